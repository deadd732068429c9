"""Runs `cam --source test` for a long time and watches memory, threads and the frame rate.

    python tools/soak.py --minutes 20 --model starry --model tests/data/models/many.onnx

Every second another style is chosen, and other controls are changed now and then; a browser's
stream is read all the while and a recording is switched on and off each minute. Prints JSON:
resident memory in MB after the first minute and at the end, its slope, frames per second in the
first and in the last fifth, threads before, meanwhile and after. `--csv` keeps the samples,
`--plot` draws them. The exit status is 1 if a thread is left.
"""

import argparse
import csv
import http.client
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_style.controls import Command, Notice
from edge_style.images import write_image
from edge_style.live import Show, ShowOptions
from edge_style.pipeline import PipelineOptions
from edge_style.sinks import Sink, StyledFrame
from edge_style_tools.script import run_script

SAMPLE_S = 5.0
SWITCH_S = 1.0
WARM_UP_S = 60.0
# What a restless visitor does between two styles, in turn.
WISHES = (
    Command("strength", 0.6),
    Command("colours"),
    Command("steady"),
    Command("mirror"),
    Command("split"),
    Command("partner"),
    Command("colours"),
    Command("strength", 1.0),
    Command("mirror"),
    Command("split"),
    Command("snapshot"),
)


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment: seconds since the start, MB, count, frames so far."""

    time_s: float
    rss_mb: float
    threads: int
    frames: int


class Visitor(Sink):
    """Switches styles and notes what that costs."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.frames = 0
        self.switches = 0
        self._start_s = time.perf_counter()
        self._next_switch_s = SWITCH_S
        self._next_sample_s = SAMPLE_S
        self._next_recording_s = 30.0

    def write(self, frame: StyledFrame) -> None:
        """Count it."""
        self.frames += not frame.is_repeat

    def poll(self) -> list[Command | Notice]:
        """What the visitor wants now."""
        now_s = time.perf_counter() - self._start_s
        if now_s >= self._next_sample_s:
            self._next_sample_s += SAMPLE_S
            self.samples.append(Sample(now_s, rss_mb(), threading.active_count(), self.frames))
        wishes: list[Command | Notice] = []
        if now_s >= self._next_recording_s:
            self._next_recording_s += 30.0
            wishes.append(Command("record"))
        if now_s >= self._next_switch_s:
            self._next_switch_s += SWITCH_S
            wishes += [Command("next"), WISHES[self.switches % len(WISHES)]]
            self.switches += 1
        return wishes


def rss_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch(port: int, is_over: threading.Event) -> None:
    """Read the stream as a browser does, until the end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    while not is_over.is_set() and answer.read(1 << 16):
        pass
    connection.close()


def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[Sample]]:
    """Let it run, and return the figures."""
    visitor = Visitor()
    is_over = threading.Event()
    viewers: list[threading.Thread] = []

    def note(line: str) -> None:
        if line.startswith("watch at"):
            port = int(line.split(":")[2].split("/", maxsplit=1)[0])
            viewers.append(threading.Thread(target=watch, args=(port, is_over), daemon=True))
            viewers[0].start()

    before = threading.active_count()
    with tempfile.TemporaryDirectory() as folder:
        show = Show(
            ShowOptions(
                models=options.model,
                source="test",
                outputs=options.output or ["null", "http://127.0.0.1:0"],
                provider=options.provider,
                size=options.size,
                snapshots=Path(folder),
                pipeline=PipelineOptions(duration_s=60 * options.minutes),
            ),
            note=note,
            note_start=lambda _: None,
            more_sinks=[visitor],
        )
        show.run()
    is_over.set()
    for thread in viewers:
        thread.join(30)
    report = show.report()
    figures = summary(visitor.samples) | {
        "minutes": options.minutes,
        "style_switches": visitor.switches,
        "frames": report["frames"],
        "dropped": report["dropped"],
        "fps": report["fps"],
        "threads_before": before,
        "threads_after": threading.active_count(),
    }
    return figures, visitor.samples


def summary(samples: list[Sample]) -> dict[str, Any]:
    """Memory and rate, from after the warm-up to the end."""
    warm = [sample for sample in samples if sample.time_s > WARM_UP_S] or samples
    times_h = np.array([sample.time_s / 3600 for sample in warm])
    slope, _ = np.polyfit(times_h, [sample.rss_mb for sample in warm], 1)
    fifth = max(2, len(warm) // 5)

    def rate(part: list[Sample]) -> float:
        return (part[-1].frames - part[0].frames) / (part[-1].time_s - part[0].time_s)

    return {
        "rss_mb_start": round(float(np.median([one.rss_mb for one in warm[:fifth]])), 1),
        "rss_mb_end": round(float(np.median([one.rss_mb for one in warm[-fifth:]])), 1),
        "rss_mb_per_hour": round(float(slope), 2),
        "fps_start": round(rate(warm[:fifth]), 2),
        "fps_end": round(rate(warm[-fifth:]), 2),
        "threads": sorted({sample.threads for sample in warm}),
    }


def draw(samples: list[Sample], path: Path) -> None:
    """Memory and frame rate over time, one above the other."""
    times_s = np.array([sample.time_s for sample in samples])
    frames = np.array([sample.frames for sample in samples])
    rates = np.diff(frames) / np.diff(times_s)
    rows = [
        ("resident memory, MB", times_s, np.array([sample.rss_mb for sample in samples])),
        ("frames/s", times_s[1:], rates),
    ]
    panels = [panel(title, x / 60, y) for title, x, y in rows]
    write_image(path, np.concatenate(panels))


def panel(title: str, minutes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A curve from zero up, uint8 [240, 800, 3]."""
    image = np.full((240, 800, 3), 255, np.uint8)
    left, right, top, bottom = 70, 780, 40, 200
    most = float(values.max()) * 1.1
    x = left + (right - left) * minutes / max(float(minutes.max()), 1e-6)
    y = bottom - (bottom - top) * values / most
    cv2.rectangle(image, (left, top), (right, bottom), (180, 180, 180))
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(image, [points], isClosed=False, color=(30, 80, 160), thickness=1)
    texts = [
        (title, (left, 25)), (f"{most:.0f}", (10, top + 8)), ("0", (10, bottom)),
        ("0", (left, 225)), (f"{minutes.max():.0f} minutes", (right - 100, 225)),
    ]  # fmt: skip
    for text, place in texts:
        cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return image


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--output", action="append")
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    figures, samples = run(options)
    if options.csv:
        with options.csv.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["time_s", "rss_mb", "threads", "frames"])
            writer.writerows(astuple(sample) for sample in samples)
    if options.plot:
        draw(samples, options.plot)
    print(json.dumps(figures))
    sys.exit(figures["threads_after"] > figures["threads_before"])


if __name__ == "__main__":
    run_script(main)
