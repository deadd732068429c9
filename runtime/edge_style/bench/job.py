"""What one process of a benchmark is asked to do, and what it answers: JSON on both ways.

Standard library only; see `loop`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any


@dataclass(frozen=True)
class Job:
    """One round of one candidate.

    Attributes:
        model: the path of a file, or whatever another program calls its model.
        provider: execution provider; never `auto`.
        width_px, height_px: of the frames.
        warmup: runs before those that count, the first frame not among them.
        runs: runs that count, at most.
        seconds: timed runs end after so long, but one is always done.
        record_graph: record a run and replay it, where the provider can.
    """

    model: str
    provider: str = "cpu"
    width_px: int = 640
    height_px: int = 480
    warmup: int = 5
    runs: int = 20
    seconds: float = 2.0
    record_graph: bool = True

    def to_text(self) -> str:
        """As one argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "Job":
        """Read an argument back; keys of a newer program are ignored."""
        known = {entry.name for entry in fields(cls)}
        return cls(**{key: value for key, value in json.loads(text).items() if key in known})


@dataclass(frozen=True)
class Answer:
    """What one process measured.

    Attributes:
        model, precision, provider: as they are called in tables.
        infer_ms: time of the network alone, per run.
        end_to_end_ms: from an RGB frame in memory to the stylized one, per run.
        wall_s, cpu_s: of all timed runs together; processor time counts every thread.
        peak_rss_mb: most memory that the process ever held, 10^6 bytes; None if not known.
        energy_j: spent by the device during the timed runs; None where it does not tell.
        energy_source: what told it.
        reference_ms: a fixed piece of work of the interpreter, to tell a slow machine from a slow
            network.
        left_to_cpu: operator -> how many the provider left to the CPU.
        replays_graph: the run was recorded and replayed.
        notes: what the user should know, one line each.
        error: why nothing was measured; empty otherwise.
    """

    model: str = ""
    precision: str = ""
    provider: str = ""
    infer_ms: tuple[float, ...] = ()
    end_to_end_ms: tuple[float, ...] = ()
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_mb: float | None = None
    energy_j: float | None = None
    energy_source: str = ""
    reference_ms: float = 0.0
    left_to_cpu: Mapping[str, int] = field(default_factory=dict)
    replays_graph: bool = False
    notes: tuple[str, ...] = ()
    error: str = ""

    def with_outcome(self, replays_graph: bool, notes: tuple[str, ...]) -> "Answer":
        """The same, with what is known after the runs only."""
        return replace(self, replays_graph=replays_graph, notes=notes)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Answer":
        """Read a process's line; keys of a newer program are ignored.

        Raises:
            TypeError, ValueError: it is no answer.
        """
        known = {entry.name for entry in fields(cls)}
        answer = cls(**{key: value for key, value in values.items() if key in known})
        if not answer.error and not len(answer.infer_ms) == len(answer.end_to_end_ms) > 0:
            raise ValueError("expected as many times of the network as of whole frames, got others")
        times = (*answer.infer_ms, *answer.end_to_end_ms)
        if not answer.error and not all(_is_number(time) and time > 0 for time in times):
            raise ValueError("expected times in milliseconds, above 0")
        sums = (answer.wall_s, answer.cpu_s, answer.reference_ms)
        if not all(_is_number(number) and number >= 0 for number in sums):
            raise ValueError("expected numbers as wall_s, cpu_s and reference_ms")
        return answer


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
