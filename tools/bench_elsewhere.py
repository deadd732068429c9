"""A model on the onnxruntime of another environment, as a candidate of `edge-style bench`.

    edge-style bench -m starry --command "starry=PYTHON tools/bench_elsewhere.py FILE openvino"

The builds of onnxruntime exclude one another, so that some providers need an environment of theirs.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "runtime"))

from edge_style.bench import worker
from edge_style.bench.job import Job

if __name__ == "__main__":
    model, provider, text = sys.argv[1:4]
    worker.main(replace(Job.from_text(text), model=model, provider=provider).to_text())
