"""How steady networks are on video, side by side: still, panned and zoomed photos, and a real clip.

    python tools/bench_flicker.py exported/starry.onnx exported/checkpoints/starry-johnson.pth \
        --photos DIR [--clip fox.mp4] [--stabilize]

Prints JSON: for every network and kind of motion the change from frame to frame beyond the
camera's, in 8-bit levels, its ratio to the same of the noisy input, and that ratio for pictures of
equal contrast (see `edge_style_tools.flicker`). Checkpoints of any kind that `export` takes are
exported to fp32 first. With --stabilize every network has a second row, of what `cam --stabilize`
shows of it. For the style loss beside it see `edge-style evaluate`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from statistics import fmean

from edge_style.images import Rgb, read_image, resize_to_cover
from edge_style.sources import open_source
from edge_style.stylizer import Stylizer
from edge_style_tools.export import ExportSettings, export_network
from edge_style_tools.flicker import Flicker, Step, filmed, measure, moving_camera, steadied
from edge_style_tools.photos import read_photos
from edge_style_tools.script import at_least, run_script
from edge_style_tools.sources import read_source

SIZE_PX = (320, 240)
FRAMES = 10
MOTIONS: dict[str, dict[str, object]] = {
    "still": {},
    "pan": {"pan_px": (2.3, 1.1)},
    "zoom": {"zoom": 1.015},
}


def load(name: str, folder: Path) -> Stylizer:
    """A model, or a checkpoint after its export."""
    path = Path(name)
    if path.exists() and path.suffix != ".onnx":
        target = folder / f"{path.stem}.onnx"
        settings = ExportSettings(output=target, precision="fp32", force=True)
        path = export_network(read_source(path), settings).path
        return Stylizer.load(path, provider="cpu")
    return Stylizer.load(name, provider="cpu")


def clip_frames(path: Path, frames: int) -> Iterator[Rgb]:
    """The first frames of a clip at `SIZE_PX`."""
    with open_source(str(path.absolute())) as source:
        for frame in islice(source, frames):
            yield resize_to_cover(frame.image, *SIZE_PX)


def painter(stylizer: Stylizer, *, stabilized: bool) -> Callable[[Rgb], Rgb]:
    """What paints the frames of one clip, in their order."""
    return steadied(stylizer) if stabilized else stylizer


def over_photos(
    photos: Iterable[Rgb], motion: dict[str, object], stylizer: Stylizer, *, stabilized: bool
) -> Flicker:
    """The mean over photos."""
    found = [
        measure(_moved(photo, motion, seed), painter(stylizer, stabilized=stabilized))
        for seed, photo in enumerate(photos)
    ]
    figures = [asdict(one) for one in found]
    return Flicker(**{name: fmean(one[name] for one in figures) for name in figures[0]})


def _moved(photo: Rgb, motion: dict[str, object], seed: int) -> Iterator[Step]:
    options: dict[str, object] = {"frames": FRAMES, "size_px": SIZE_PX, "seed": seed, **motion}
    return moving_camera(photo, **options)  # type: ignore[arg-type] # of MOTIONS


def main() -> None:
    """Read the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="models or checkpoints")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos, or a photo")
    parser.add_argument("--limit", type=at_least(1), default=6, help="photos")
    parser.add_argument("--clip", type=Path, help="a real clip")
    parser.add_argument("--clip-frames", type=at_least(2), default=60)
    parser.add_argument("--stabilize", action="store_true", help="with `--stabilize` too")
    arguments = parser.parse_args()
    report: dict[str, dict[str, dict[str, float]]] = {}
    if arguments.photos.is_dir():
        photos = read_photos(arguments.photos, limit=arguments.limit)
    else:
        photos = [read_image(arguments.photos)]
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            stylizer = load(name, Path(folder))
            for stabilized in (False, True) if arguments.stabilize else (False,):
                rows = {
                    kind: over_photos(photos, motion, stylizer, stabilized=stabilized)
                    for kind, motion in MOTIONS.items()
                }
                if arguments.clip is not None:
                    frames = clip_frames(arguments.clip, arguments.clip_frames)
                    paint = painter(stylizer, stabilized=stabilized)
                    rows["clip"] = measure(filmed(frames), paint)
                row = f"{name} --stabilize" if stabilized else name
                report[row] = {kind: _rounded(found) for kind, found in rows.items()}
                print(row, json.dumps(report[row]), file=sys.stderr)
    print(json.dumps(report, indent=2))


def _rounded(found: Flicker) -> dict[str, float]:
    figures = {**asdict(found), "ratio": found.ratio, "relative_ratio": found.relative_ratio}
    return {name: round(value, 3) for name, value in figures.items()}


if __name__ == "__main__":
    run_script(main)
