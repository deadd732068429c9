"""`--provider auto`: measures the providers that start, takes the quickest, and remembers it."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_style.errors import ProviderError
from edge_style.machine import cpu_name, gpu_names
from edge_style.providers import cache_folder, package_versions, usable_cores

Opened = TypeVar("Opened")

_OPTIONS_VERSION = 1  # raise it when providers are given other options: what was measured is void
_WARM_UPS = 2
_MAX_RUNS = 12
_MAX_TIMED_S = 0.6
_SLOW_S = 1.0  # one warm-up is enough for those
_REST_S = 0.2  # for the threads of the candidate before, which spin a while after their last run


@dataclass(frozen=True)
class Choice:
    """What was measured, and so chosen.

    Attributes:
        provider: the quickest.
        infer_ms: provider -> shortest time of the network for a frame; only of those that ran it.
        size_px: (width, height) of the frames.
        is_remembered: it was measured at an earlier start.
    """

    provider: str
    infer_ms: Mapping[str, float]
    size_px: tuple[int, int]
    is_remembered: bool = False

    def __str__(self) -> str:
        width, height = self.size_px
        ranking = sorted(self.infer_ms.items(), key=lambda item: item[1])
        times = ", ".join(f"{name} {duration_ms:.3g} ms" for name, duration_ms in ranking)
        when = "as measured before" if self.is_remembered else "measured now and remembered"
        return f"auto chose {self.provider} at {width}x{height}: {times} a frame, {when}"


def open_quickest(
    files: Mapping[str, str],
    size_px: tuple[int, int],
    *,
    open_on: Callable[[str], Opened],
    time_on: Callable[[str], float],
    what: str,
) -> tuple[Opened, tuple[str, ...]]:
    """A model on the quickest of several providers, and what there is to tell of it, line by line.

    Args:
        files: provider -> sha256 of the file that it would run.
        size_px: (width, height) of the frames.
        open_on: opens the model on a provider; raises ProviderError where that cannot run it.
        time_on: shortest time of the network for a frame on a provider, ms; raises the same.
        what: the model, for a message.

    Raises:
        ProviderError: none can run it.
    """
    key = choice_key(files, size_px)
    choice = recall(key)
    if choice is not None and choice.provider in files:
        try:
            return open_on(choice.provider), (str(choice),)
        except ProviderError:
            forget(key)  # a device was taken out, or a library
    skipped: dict[str, str] = {}
    infer_ms: dict[str, float] = {}
    for name in files:
        try:
            infer_ms[name] = time_on(name)
        except ProviderError as error:
            skipped[name] = str(error)
        rest()
    if not infer_ms:
        raise ProviderError(f"no provider can run '{what}': {'; '.join(skipped.values())}")
    choice = Choice(min(infer_ms, key=infer_ms.__getitem__), infer_ms, size_px)
    remember(key, choice)
    return open_on(choice.provider), (*skipped.values(), str(choice))


def choice_key(files: Mapping[str, str], size_px: tuple[int, int]) -> str:
    """Names what a choice depends on.

    Args:
        files: provider -> sha256 of the file that it would run.
        size_px: (width, height) of the frames.
    """
    circumstances = {
        "options": _OPTIONS_VERSION,
        "files": dict(files),
        "size": size_px,
        "versions": package_versions(),
        "cpu": cpu_name(),
        "cores": usable_cores() or os.cpu_count(),
        "gpus": gpu_names(),
    }
    text = json.dumps(circumstances, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def recall(key: str) -> Choice | None:
    """The choice that was remembered under a key; None without one that can be read."""
    try:
        values = json.loads(_path(key).read_text("utf-8"))
        times = {str(name): float(value) for name, value in values["infer_ms"].items()}
        width, height = values["size"]
        choice = Choice(str(values["provider"]), times, (int(width), int(height)), True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return choice if choice.provider in times else None


def remember(key: str, choice: Choice) -> None:
    """Keep a choice for later starts, if the cache folder can be written to."""
    values = {
        "provider": choice.provider,
        "infer_ms": dict(choice.infer_ms),
        "size": choice.size_px,
    }
    path = _path(key)
    scratch = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(json.dumps(values), "utf-8")
        scratch.replace(path)


def forget(key: str) -> None:
    """Measure anew next time."""
    with suppress(OSError):
        _path(key).unlink(missing_ok=True)


def time_runs(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The quickest of some runs in milliseconds, in a second or so.

    What else goes on in the machine can only add to a run's time, and it adds more to a provider
    whose threads spin: medians on a busy machine named the wrong one.

    Args:
        run: runs the network on one frame.
        clock: seconds, monotonic.
    """
    for _ in range(_WARM_UPS):
        start_s = clock()
        run()
        if clock() - start_s > _SLOW_S:
            break
    durations_s: list[float] = []
    while len(durations_s) < _MAX_RUNS and sum(durations_s) < _MAX_TIMED_S:
        start_s = clock()
        run()
        durations_s.append(clock() - start_s)
    return min(durations_s) * 1000


def rest() -> None:
    """Wait until the threads of a session that was let go are quiet."""
    time.sleep(_REST_S)


def _path(key: str) -> Path:
    return cache_folder() / "auto" / f"{key}.json"
