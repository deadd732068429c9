"""What `--stabilize` does to flicker, what it does to things that move, and what it costs.

    python tools/bench_steady.py starry --photos DIR --clip fox.mp4

Flicker is the figure that the networks are compared by (`edge_style_tools.flicker`): the change
from frame to frame beyond the camera's own motion, in 8-bit levels, over photos that are still,
panned and zoomed, with a webcam's noise, and in a real clip; without the steadier and with it.

Ghosts are looked for where a network's own boiling cannot hide them: the steadier runs on the
clip's frames themselves, and `ghost_levels` is the mean difference that it makes where the scene
changed most, in the tenth of the pixels that differ most from the frame before. `moved_levels` is
what those pixels differ by from one frame to the next: a picture that lagged by a whole frame would
have as much. Prints JSON; `steady_ms` is a median, at 640x480.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from statistics import fmean, median

import cv2
import numpy as np

from edge_style.images import Rgb, resize_to_cover
from edge_style.pipeline import Steadier
from edge_style.sources import open_source
from edge_style.stylizer import Stylizer
from edge_style_tools.flicker import Step, filmed, measure, moving_camera, steadied
from edge_style_tools.photos import read_photos
from edge_style_tools.script import at_least, run_script

SIZE_PX = (320, 240)
FRAMES = 16
MOTIONS: dict[str, dict[str, object]] = {
    "still": {},
    "pan": {"pan_px": (2.3, 1.1)},
    "zoom": {"zoom": 1.015},
}


def clip_frames(path: str, frames: int, size_px: tuple[int, int]) -> Iterator[Rgb]:
    """The first frames of a clip."""
    with open_source(path) as source:
        for frame in islice(source, frames):
            yield resize_to_cover(frame.image, *size_px)


def both(
    make_steps: Iterable[Callable[[], Iterable[Step]]], stylizer: Stylizer
) -> dict[str, float]:
    """Flicker without and with the steadier, the mean over clips."""
    plain, steady = [], []
    for steps in make_steps:
        plain.append(measure(steps(), stylizer).change_levels)
        steady.append(measure(steps(), steadied(stylizer)).change_levels)
    return {"network": round(fmean(plain), 2), "stabilized": round(fmean(steady), 2)}


def ghosts(frames: list[Rgb]) -> dict[str, float]:
    """What the steadier changes on frames that need no steadying, and what they change by."""
    steadier = Steadier()
    steady = [steadier.steady(frame, frame) for frame in frames]
    differences, moves = [], []
    for before, frame, result in zip(frames, frames[1:], steady[1:], strict=False):
        moved = np.abs(frame.astype(float) - before).mean(axis=2)
        mask = moved >= np.quantile(moved, 0.9)
        differences.append(np.abs(frame.astype(float) - result)[mask].mean())
        moves.append(moved[mask].mean())
    return {"ghost_levels": round(fmean(differences), 2), "moved_levels": round(fmean(moves), 2)}


def cost_ms(frames: list[Rgb]) -> float:
    """What it takes for a frame."""
    steadier = Steadier()
    times_ms = []
    for frame in frames:
        start_s = time.perf_counter()
        steadier.steady(255 - frame, frame)
        times_ms.append((time.perf_counter() - start_s) * 1000)
    return round(median(times_ms), 2)


def main() -> None:
    """Read the command line, measure, print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photos")
    parser.add_argument("--limit", type=at_least(1), default=4, help="photos")
    parser.add_argument("--clip", required=True, help="a real clip")
    parser.add_argument("--clip-frames", type=at_least(2), default=60)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    stylizer = Stylizer.load(options.model, provider="cpu")
    photos = read_photos(options.photos, limit=options.limit)
    report: dict[str, object] = {
        kind: both([_over(photo, seed, motion) for seed, photo in enumerate(photos)], stylizer)
        for kind, motion in MOTIONS.items()
    }
    small = list(clip_frames(options.clip, options.clip_frames, SIZE_PX))
    report["clip"] = both([lambda: filmed(small)], stylizer) | ghosts(small)
    report["steady_ms"] = cost_ms(list(clip_frames(options.clip, 60, (640, 480))))
    print(json.dumps(report))


def _over(photo: Rgb, seed: int, motion: dict[str, object]) -> Callable[[], Iterable[Step]]:
    settings: dict[str, object] = {"frames": FRAMES, "size_px": SIZE_PX, "seed": seed, **motion}
    return lambda: moving_camera(photo, **settings)  # type: ignore[arg-type] # of MOTIONS


if __name__ == "__main__":
    run_script(main)
