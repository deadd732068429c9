"""A plain timing loop around onnxruntime, to check `edge-style bench` against: prints a median."""

import statistics
import sys
import time

import numpy as np
import onnxruntime

path, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = onnxruntime.SessionOptions()  # as the program sets them, or the figures would differ
options.add_free_dimension_override_by_name("W", width)
options.add_free_dimension_override_by_name("H", height)
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
frames = np.random.default_rng(0).integers(0, 256, (8, 1, height, width, 3), np.uint8)
for _ in range(10):
    session.run(["stylized"], {"image": frames[0]})
times_ms = []
for run in range(40):
    start_s = time.perf_counter()
    session.run(["stylized"], {"image": frames[run % 8]})
    times_ms.append((time.perf_counter() - start_s) * 1000)
print(f"{statistics.median(times_ms):.2f}")
