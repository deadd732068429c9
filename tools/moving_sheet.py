"""A moving contact sheet: what models make of a clip, side by side, as an animated WebP picture.

    python tools/moving_sheet.py starry scream udnie hat --clip clip.mp4 --seconds 3 \\
        --output exported/gallery/moving.webp

Models are shipped names or `.onnx` files. Frames go through what `--stabilize` does. Needs OpenCV
4.11 or later.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge_style.errors import EdgeStyleError, UsageError
from edge_style.images import Rgb, resize_long_side
from edge_style.sources import open_source
from edge_style.stylizer import Stylizer
from edge_style_tools.flicker import steadied
from edge_style_training.contact_sheet import contact_sheet


def main() -> int:
    """Read the command line, stylize, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--clip", required=True)
    parser.add_argument("--output", type=Path, required=True, help="ends with .webp")
    parser.add_argument("--start", type=float, default=0, help="seconds into the clip")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--every", type=int, default=2, help="of so many frames one is shown")
    parser.add_argument("--size", type=int, default=480, help="longer side in the networks, pixels")
    parser.add_argument("--cell", type=int, default=240, help="longer side of a picture, pixels")
    parser.add_argument("--quality", type=int, default=50, help="of WebP, 1 to 100")
    options = parser.parse_args()
    if options.output.suffix.lower() != ".webp":
        parser.error("--output takes a name that ends with .webp")
    if not hasattr(cv2, "Animation"):
        parser.error(f"OpenCV {cv2.__version__} writes no animations: pip install -U opencv-python")
    try:
        stylizers = [Stylizer.load(model) for model in options.models]
        frames, fps = read_frames(options.clip, options.start, options.seconds, options.size)
        stylized = [paint(stylizer, frames, options.every) for stylizer in stylizers]
        names = [stylizer.name for stylizer in stylizers]
        sheets = [
            contact_sheet([pictures], names, [""], cell_px=options.cell)
            for pictures in map(list, zip(*stylized, strict=True))
        ]
        write_animation(options.output, sheets, fps / options.every, options.quality)
    except EdgeStyleError as error:
        parser.error(str(error))
    return 0


def read_frames(
    clip: str, start_s: float, seconds: float, long_side_px: int
) -> tuple[list[Rgb], float]:
    """The frames of a part of a clip, scaled, and how many there are in a second.

    Raises:
        SourceError: it cannot be read.
        UsageError: it ends before `start_s`.
    """
    with open_source(clip) as source:
        fps = source.fps or 30.0
        first = round(start_s * fps)
        part = islice(source, first, first + max(1, round(seconds * fps)))
        frames = [resize_long_side(frame.image, long_side_px) for frame in part]
    if not frames:
        raise UsageError(f"'{clip}' ends before second {start_s:g}")
    return frames, fps


def paint(stylize: Callable[[Rgb], Rgb], frames: Sequence[Rgb], every: int) -> list[Rgb]:
    """Every `every`-th stylized frame; all are stylized, so that what is shown is as steady."""
    steady = steadied(stylize)
    return [steady(frame) for frame in frames][::every]


def write_animation(path: Path, pictures: Sequence[Rgb], fps: float, quality: int) -> None:
    """Write pictures of one size as a WebP picture that repeats for ever.

    Raises:
        UsageError: it cannot be written.
    """
    animation = cv2.Animation()
    animation.frames = [np.ascontiguousarray(picture[:, :, ::-1]) for picture in pictures]
    animation.durations = np.full(len(pictures), round(1000 / fps), np.int32)
    partial = path.with_name(f".{path.stem}.part.webp")
    if not cv2.imwriteanimation(str(partial), animation, [cv2.IMWRITE_WEBP_QUALITY, quality]):
        raise UsageError(f"cannot write '{path}'")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
