"""Shows `--fps` holding a frame rate while the machine is loaded, beside a run that does not.

    python tools/bench_rate.py --model starry --size 640x480 --fps 15 --plot rate.png

Two runs on the test picture, with `--fps` and without. In the middle third of each, processes that
compute without end load the processors (`--load` of them). Prints JSON: frames per second and the
network's width in each third of each run; `--plot` draws both over time, the loaded third shaded.
"""

import argparse
import json
import multiprocessing
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from edge_style.controls import Command, Notice
from edge_style.images import write_image
from edge_style.live import Show, ShowOptions
from edge_style.pipeline import PipelineOptions
from edge_style.sinks import Sink, StyledFrame
from edge_style_tools.script import at_least, run_script

WINDOW_S = 1.0
COLOURS = {"with": (30, 80, 160), "without": (190, 90, 30)}


@dataclass(frozen=True)
class Moment:
    """A frame: when it was delivered, and at which width the network ran."""

    time_s: float
    width_px: int


def compute() -> None:
    """Keep a processor busy until killed."""
    while True:
        sum(number * number for number in range(10_000))


class Loader(Sink):
    """Notes each frame, and loads the machine in the middle third."""

    def __init__(self, third_s: float, processes: int) -> None:
        self.moments: list[Moment] = []
        self._third_s = third_s
        self._count = processes
        self._processes: list[multiprocessing.Process] = []
        self._start_s: float | None = None

    def write(self, frame: StyledFrame) -> None:
        """Note it."""
        now_s = time.perf_counter()
        self._start_s = now_s if self._start_s is None else self._start_s
        width = (frame.network_px or (frame.image.shape[1], 0))[0]
        self.moments.append(Moment(now_s - self._start_s, width))

    def poll(self) -> list[Command | Notice]:
        """Start and stop the load."""
        if self._start_s is not None:
            third = int((time.perf_counter() - self._start_s) / self._third_s)
            if third == 1 and not self._processes:
                for _ in range(self._count):
                    process = multiprocessing.Process(target=compute, daemon=True)
                    process.start()
                    self._processes.append(process)
            elif third > 1:
                self.stop()
        return []

    def stop(self) -> None:
        """End the load."""
        for process in self._processes:
            if process.is_alive():
                process.kill()
                process.join()

    def close(self, *, failed: bool) -> None:
        """End the load, whatever happened."""
        del failed
        self.stop()


def run(options: argparse.Namespace, target_fps: float | None) -> list[Moment]:
    """One run; its frames."""
    loader = Loader(options.third, options.load)
    show = Show(
        ShowOptions(
            models=[options.model],
            source="test",
            outputs=["null"],
            provider="cpu",
            size=options.size,
            target_fps=target_fps,
            pipeline=PipelineOptions(duration_s=3 * options.third),
        ),
        note=lambda _: None,
        note_start=lambda _: None,
        more_sinks=[loader],
    )
    show.run()
    return loader.moments


def thirds(moments: list[Moment], third_s: float) -> list[dict[str, Any]]:
    """Rate and width in each third."""
    found = []
    for number in range(3):
        part = [one for one in moments if number <= one.time_s / third_s < number + 1]
        seconds = part[-1].time_s - part[0].time_s
        found.append(
            {
                "fps": round((len(part) - 1) / seconds, 2),
                "width_px": median(one.width_px for one in part),
            }
        )
    return found


def draw(runs: dict[str, list[Moment]], options: argparse.Namespace) -> None:
    """Frames per second above, the network's width below."""
    fastest = [rate(moments, one.time_s) for moments in runs.values() for one in moments[::20]]
    most_fps = 1.3 * max(options.fps, *fastest)
    most_px = 1.15 * max(one.width_px for moments in runs.values() for one in moments)
    image = np.full((560, 860, 3), 255, np.uint8)
    places = ((60, 250), (320, 510))
    titles = (
        f"frames/s ({options.model}, {options.size}, --fps {options.fps:g})",
        "width of the network's picture, pixels",
    )
    for (top, bottom), most, title in zip(places, (most_fps, most_px), titles, strict=True):
        x = [round(70 + 760 * part / 3) for part in range(4)]
        cv2.rectangle(image, (x[1], top), (x[2], bottom), (240, 232, 222), -1)
        cv2.rectangle(image, (x[0], top), (x[3], bottom), (160, 160, 160))
        write(image, title, (70, top - 12))
        write(image, f"{most:.0f}", (15, top + 10))
        write(image, "0", (45, bottom))
    write(image, f"{options.load} computing processes", (335, 270))
    for name, moments in runs.items():
        times_s = np.array([one.time_s for one in moments])
        rates = np.array([rate(moments, time_s) for time_s in times_s])
        widths = np.array([one.width_px for one in moments])
        x = 70 + 760 * times_s / (3 * options.third)
        for (top, bottom), values, most in zip(
            places, (rates, widths), (most_fps, most_px), strict=True
        ):
            y = bottom - (bottom - top) * values / most
            points = np.stack([x, y], axis=1).round().astype(np.int32)[times_s > WINDOW_S]
            cv2.polylines(image, [points], isClosed=False, color=COLOURS[name], thickness=2)
    for row, (name, colour) in enumerate(COLOURS.items()):
        cv2.line(image, (70 + 220 * row, 540), (110 + 220 * row, 540), colour, 3)
        write(image, f"{name} --fps", (120 + 220 * row, 545))
    write_image(options.plot, image)


def rate(moments: list[Moment], time_s: float) -> float:
    """Frames per second in the second before."""
    times_s = np.array([one.time_s for one in moments])
    start, end = np.searchsorted(times_s, [time_s - WINDOW_S, time_s])
    return float(end - start) / min(WINDOW_S, max(time_s, 1e-6))


def write(image: np.ndarray, text: str, place: tuple[int, int]) -> None:
    """A line of text."""
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default="starry")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--fps", type=float, default=15)
    parser.add_argument("--third", type=float, default=20, help="seconds")
    parser.add_argument("--load", type=at_least(0), default=multiprocessing.cpu_count())
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    runs = {"with": run(options, options.fps), "without": run(options, None)}
    if options.plot:
        draw(runs, options)
    print(json.dumps({name: thirds(moments, options.third) for name, moments in runs.items()}))


if __name__ == "__main__":
    run_script(main)
