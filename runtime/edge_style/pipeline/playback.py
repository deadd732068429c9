"""The time of a run: pauses, and when a frame is due."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from edge_style.sources import Frame, Source


class Playback:
    """Paces a source's frames. One thread iterates, another one pauses, resumes and stops.

    Args:
        source: open.
        is_paced: give each frame when it is due; not for live sources, which come in time.
    """

    def __init__(self, source: Source, *, is_paced: bool) -> None:
        self._source = source
        self._is_paced = is_paced and not source.live
        self._stop = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._paused_at_s = 0.0
        self._paused_s = 0.0
        self._last_frame_s = time.perf_counter()

    @property
    def silence_s(self) -> float:
        """Time since the source gave its last frame."""
        return time.perf_counter() - self._last_frame_s

    def toggle_pause(self) -> float:
        """Pause, or go on; how long the pause was that is over now, 0 if one begins."""
        now_s = time.perf_counter()
        if self._running.is_set():
            self._paused_at_s = now_s
            self._running.clear()
            return 0.0
        pause_s = now_s - self._paused_at_s
        self._paused_s += pause_s
        self._running.set()
        return pause_s

    def stop(self) -> None:
        """End the iteration, also one that is waiting."""
        self._stop.set()
        self._running.set()
        self._source.interrupt()

    def __iter__(self) -> Iterator[Frame]:
        """The source's frames, without those that a camera gives during a pause."""
        start_s: float | None = None
        end_s = 0.0
        for frame in self._source:
            self._last_frame_s = time.perf_counter()
            if not self._running.is_set():
                if self._source.live:
                    continue  # read and forget, or the camera would queue old frames
                self._running.wait()
            if self._stop.is_set():
                return
            if not self._is_paced:
                yield self._without_pauses(frame)
                continue
            if start_s is None:
                start_s = time.perf_counter() - frame.time_s - self._paused_s
            self._wait_until(start_s + frame.time_s)
            end_s = start_s + frame.time_s + (1 / self._source.fps if self._source.fps else 0)
            # Played at its own speed, a clip is as if it were captured when it is due.
            yield replace(frame, captured_s=time.perf_counter())
        if start_s is not None:
            self._wait_until(end_s)  # the last picture is shown as long as the others

    def _without_pauses(self, frame: Frame) -> Frame:
        if not self._source.live or self._paused_s == 0:
            return frame
        return replace(frame, time_s=frame.time_s - self._paused_s)

    def _wait_until(self, due_s: float) -> None:
        """Wait for a time that pauses put off."""
        while not self._stop.is_set():
            self._running.wait()
            wait_s = due_s + self._paused_s - time.perf_counter()
            if wait_s <= 0:
                return
            self._stop.wait(wait_s)
