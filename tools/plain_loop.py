"""A plain timing loop around onnxruntime, to check `edge-style bench` against: prints a median."""

import statistics
import sys
import time

import numpy as np
import onnxruntime

path, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
frame = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
for _ in range(10):
    session.run(["stylized"], {"image": frame})
times_ms = []
for _ in range(40):
    start_s = time.perf_counter()
    session.run(["stylized"], {"image": frame})
    times_ms.append((time.perf_counter() - start_s) * 1000)
print(f"{statistics.median(times_ms):.2f}")
