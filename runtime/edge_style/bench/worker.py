"""One process of a benchmark: `python -m edge_style.bench.worker JOB`."""

import itertools
import sys
import time

import numpy as np

from edge_style.bench.job import Answer, Job
from edge_style.bench.loop import answer, measure
from edge_style.errors import EdgeStyleError
from edge_style.sources import Image, open_source
from edge_style.stylizer import Stylizer

_FRAMES = 8  # different ones, so that nothing depends on a single picture


def main(text: str) -> None:
    """Do a job and print the answer."""
    job = Job.from_text(text)
    try:
        result = _measure(job)
    except EdgeStyleError as error:
        result = Answer(provider=job.provider, error=" ".join(str(error).split()))
    answer(result)


def _measure(job: Job) -> Answer:
    size_px = (job.width_px, job.height_px)
    stylizer = Stylizer.load(
        job.model, provider=job.provider, size=size_px, record_graph=job.record_graph
    )

    def step(frame: Image) -> tuple[float, float]:
        start_s = time.perf_counter()
        prepared = stylizer.prepare(frame)
        prepared_s = time.perf_counter()
        inferred = stylizer.infer(prepared)
        inferred_s = time.perf_counter()
        stylizer.finish(inferred, frame)
        return inferred_s - prepared_s, time.perf_counter() - start_s

    def make_frames() -> list[Image]:
        source = open_source("test", size_px=size_px)
        return [frame.image for frame in itertools.islice(source, _FRAMES)]

    grey = np.full((job.height_px, job.width_px, 3), 128, np.uint8)
    measured = measure(
        step,
        grey,
        make_frames,
        job,
        Answer(
            model=stylizer.name,
            precision=stylizer.precision,
            provider=stylizer.provider,
            left_to_cpu=dict(stylizer.left_to_cpu),
        ),
    )
    # Known only after the runs: a graph may turn out not to be recordable.
    return measured.with_outcome(stylizer.replays_graph, stylizer.notes)


if __name__ == "__main__":
    main(sys.argv[1])
