"""Runs the processes of a benchmark, one at a time, in interleaved rounds."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_style.bench.job import Answer, Job
from edge_style.bench.plan import Candidate
from edge_style.shutdown import Interrupts

_TIMEOUT_S = 1800.0  # an engine may be built for a long time
_LAST_WORDS = 300
# Not by `-m`, which puts the current folder first among those that modules come from: what there is
# called random.py or cv2.py would be run. The switch for that, -P, came with Python 3.11.
_START = (
    "import sys; sys.path[:1] == [''] and sys.path.pop(0); "
    "from edge_style.bench.worker import main; main(sys.argv[1])"
)
_WORKER = (sys.executable, "-c", _START)


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: processes per candidate, at most.
        min_rounds: also of slow candidates.
        warmup: runs before those that count, per round.
        runs: runs that count, all rounds together, at most.
        seconds: of processes' whole life per candidate, after which it joins no more rounds.
    """

    rounds: int = 5
    min_rounds: int = 3
    warmup: int = 5
    runs: int = 100
    seconds: float = 15.0


@dataclass
class Track:
    """A candidate and what its rounds gave.

    Attributes:
        answers: one per round.
        cold_starts_ms: from the start of a process to its first frame, one per round.
        error: why it gave no figures.
        spent_s: life of its processes so far.
    """

    candidate: Candidate
    answers: list[Answer] = field(default_factory=list)
    cold_starts_ms: list[float] = field(default_factory=list)
    error: str = ""
    spent_s: float = 0.0


def run_rounds(
    planned: Sequence[Candidate],
    effort: Effort,
    on_step: Callable[[Candidate, int], None] | None = None,
) -> list[Track]:
    """Measure all candidates.

    In each round every candidate has its turn, every other round backwards, so that drift of the
    machine and what the one before left in caches and heat hits all alike.

    Args:
        planned: what to measure.
        effort: how thoroughly.
        on_step: called before each process with its candidate and the round, from 0.
    """
    tracks = [Track(candidate) for candidate in planned]
    for index in range(effort.rounds):
        for track in tracks if index % 2 == 0 else reversed(tracks):
            is_spent = index >= effort.min_rounds and track.spent_s >= effort.seconds
            if track.error or is_spent:
                continue
            if on_step is not None:
                on_step(track.candidate, index)
            _one_round(track, effort)
    return tracks


def _one_round(track: Track, effort: Effort) -> None:
    candidate = track.candidate
    job = Job(
        model=candidate.model,
        provider=candidate.provider,
        width_px=candidate.size_px[0],
        height_px=candidate.size_px[1],
        warmup=effort.warmup,
        runs=-(-effort.runs // effort.rounds),
        seconds=effort.seconds / effort.rounds,
        record_graph=candidate.record_graph,
    )
    start_s = time.perf_counter()
    answer, cold_start_ms = run_process([*(candidate.command or _WORKER), job.to_text()])
    track.spent_s += time.perf_counter() - start_s
    if answer.error:
        track.error = answer.error
        return
    track.answers.append(answer)
    if cold_start_ms is not None:
        track.cold_starts_ms.append(cold_start_ms)


def run_own_job(job: Job, timeout_s: float) -> Answer:
    """Do a job in a process of our own; one that dies or hangs is an answer with an error."""
    answer, _ = run_process([*_WORKER, job.to_text()], timeout_s)
    return answer


def run_process(
    command: Sequence[str], timeout_s: float = _TIMEOUT_S
) -> tuple[Answer, float | None]:
    """Run one process to its end: its answer, and the time to its first frame in ms.

    A process that dies, or gives no answer in time, is an answer with an error; whatever goes
    wrong in a provider's driver stays in there. One that is interrupted, be it by `kill`, ends its
    process first: left alone it would load the machine until its round is over.
    """
    with Interrupts():
        return _run_process(command, timeout_s)


def _run_process(command: Sequence[str], timeout_s: float) -> tuple[Answer, float | None]:
    start_s = time.perf_counter()
    try:
        process = subprocess.Popen(
            list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        return Answer(error=f"cannot start '{command[0]}': {error.strerror or error}"), None
    cold_start_ms = None
    answer = None
    with process:
        watch = _Watch(process, timeout_s)
        try:
            for line in process.stdout or ():
                now_s = time.perf_counter()
                values = _json(line)
                if values.get("first_frame"):
                    cold_start_ms = (now_s - start_s) * 1000
                elif "error" in values:
                    answer = _answer(values)
            last_words = watch.last_words()
        except BaseException:
            process.kill()
            raise
        finally:
            watch.end()
    if watch.has_struck:
        return Answer(error=f"no answer within {timeout_s:g} seconds"), None
    if answer is None:
        status = process.returncode
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return Answer(error=f"the process ended with {how}: {last_words or 'no word'}"), None
    return answer, cold_start_ms


class _Watch:
    """Reads what a process complains of, and ends it when its time is over."""

    def __init__(self, process: "subprocess.Popen[str]", timeout_s: float) -> None:
        self.has_struck = False
        self._process = process
        self._text = ""
        self._timer = threading.Timer(timeout_s, self._strike)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._timer.start()
        self._reader.start()

    def _strike(self) -> None:
        self.has_struck = True
        self._process.kill()

    def _read(self) -> None:
        for line in self._process.stderr or ():
            self._text = line.strip() or self._text

    def last_words(self) -> str:
        """The last line that the process complained of; waits for its end."""
        self._reader.join()
        return self._text[:_LAST_WORDS]

    def end(self) -> None:
        self._timer.cancel()


def _json(line: str) -> dict[str, Any]:
    """A line as JSON; what libraries print by themselves is nothing."""
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _answer(values: dict[str, Any]) -> Answer:
    try:
        return Answer.from_json(values)
    except (TypeError, ValueError) as error:
        return Answer(error=f"the process gave an answer that cannot be read: {error}")
