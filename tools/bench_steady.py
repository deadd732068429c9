"""What `--stabilize` does to flicker, and what it costs.

    python tools/bench_steady.py CLIP --model starry --size 640 --frames 120

Flicker is the warping error of Lai et al. 2018 ("Learning Blind Video Temporal Consistency"): the
mean difference, in levels of 0..255, between a picture and the one before it, warped along the
optical flow of the *camera's* frames, where that flow is consistent forth and back. The flow is
computed at full size and with a finer preset than the steadier's own. It is given for the camera's
frames too: no picture can be steadier than what it is made of.

Ghosts are looked for where a network's own boiling cannot hide them: the steadier runs on the
camera's frames themselves, and `ghost_levels` is the mean difference that it makes where the scene
changed most, in the tenth of the pixels that differ most from the frame before. `change_levels` is
what those pixels differ by from one frame to the next, so a picture that lagged by a whole frame
would have as much. Prints JSON.
"""

import argparse
import json
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb, resize_long_side, write_image
from edge_style.pipeline.steady import Steadier
from edge_style.sources import open_source
from edge_style.stylizer import Stylizer

CONSISTENT_PX = 1.0  # forth and back may end so far from where they began
Flow = npt.NDArray[np.float32]


@dataclass
class Streams:
    """The same moments thrice: as the camera, the network and the steadier have them."""

    frames: list[Rgb]
    pictures: list[Rgb]
    steadied: list[Rgb]


def optical_flow(one: Rgb, other: Rgb) -> Flow:
    """Where each pixel of `one` is in `other`: float32 [H, W, 2]."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (one, other)]
    return np.asarray(method.calc(*grays, None), np.float32)


def warp(image: npt.NDArray[Any], flow: Flow) -> npt.NDArray[Any]:
    """What `image` shows at the places that the flow points to."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.asarray(cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR))


def visible(back: Flow, forth: Flow) -> npt.NDArray[np.bool_]:
    """Pixels that are in both frames: the way back and forth ends where it began."""
    round_trip = back + warp(forth, back)
    return np.asarray(np.linalg.norm(round_trip, axis=2) < CONSISTENT_PX)


def flicker(images: list[Rgb], flows: list[tuple[Flow, npt.NDArray[np.bool_]]]) -> float:
    """Mean warping error in levels."""
    errors = []
    for (flow, mask), before, now in zip(flows, images, images[1:], strict=False):
        difference = np.abs(warp(before, flow).astype(float) - now)
        errors.append(difference[mask].mean())
    return float(np.mean(errors))


def ghosts(frames: list[Rgb]) -> tuple[float, float]:
    """What the steadier changes on frames that need no steadying, and what they change by."""
    steadier = Steadier()
    steadied = [steadier.steady(frame, frame).copy() for frame in frames]
    differences, changes = [], []
    for index in range(1, len(frames)):
        frame = frames[index].astype(float)
        moved = np.abs(frame - frames[index - 1]).mean(axis=2)
        mask = moved >= np.quantile(moved, 0.9)
        differences.append(np.abs(frame - steadied[index])[mask].mean())
        changes.append(moved[mask].mean())
    return float(np.mean(differences)), float(np.mean(changes))


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Stylize the clip with and without, and measure."""
    cv2.setNumThreads(1)
    stylizer = Stylizer.load(options.model, provider="cpu")
    steadier = Steadier()
    streams = Streams([], [], [])
    costs_ms = []
    with open_source(options.clip) as source:
        for frame in islice(source, options.frames):
            image = resize_long_side(frame.image, options.size)
            picture = stylizer(image)
            start_s = time.perf_counter()
            steadied = steadier.steady(picture, image)
            costs_ms.append((time.perf_counter() - start_s) * 1000)
            streams.frames.append(image)
            streams.pictures.append(picture)
            streams.steadied.append(steadied.copy())
    flows = []
    for before, now in zip(streams.frames, streams.frames[1:], strict=False):
        back = optical_flow(now, before)
        flows.append((back, visible(back, optical_flow(before, now))))
    if options.sheet:
        index = len(streams.frames) // 2
        write_image(
            options.sheet,
            np.concatenate(
                [streams.frames[index], streams.pictures[index], streams.steadied[index]], axis=1
            ),
        )
    ghost_levels, change_levels = ghosts(streams.frames)
    height, width = streams.frames[0].shape[:2]
    return {
        "clip": Path(options.clip).name,
        "model": stylizer.name,
        "size": f"{width}x{height}",
        "frames": len(streams.frames),
        "flicker_camera": round(flicker(streams.frames, flows), 2),
        "flicker_network": round(flicker(streams.pictures, flows), 2),
        "flicker_steadied": round(flicker(streams.steadied, flows), 2),
        "ghost_levels": round(ghost_levels, 2),
        "change_levels": round(change_levels, 2),
        "steady_ms": round(median(costs_ms), 2),
    }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("clip")
    parser.add_argument("--model", default="starry")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--sheet", type=Path)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    main()
