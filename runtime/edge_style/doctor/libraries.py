"""The libraries that NVIDIA's providers need: found by loading them, as onnxruntime does."""

import ctypes
import sys
from collections.abc import Callable

from edge_style.providers import find_libraries

# Versions that builds of onnxruntime ask for, newest first.
_LINUX = {
    "driver": ("libcuda.so.1",),
    "CUDA runtime": ("libcudart.so.13", "libcudart.so.12"),
    "cuBLAS": ("libcublasLt.so.13", "libcublasLt.so.12"),
    "cuFFT": ("libcufft.so.12", "libcufft.so.11"),
    "cuDNN": ("libcudnn.so.9", "libcudnn.so.8"),
    "TensorRT": ("libnvinfer.so.10", "libnvinfer.so.8"),
}
_WINDOWS = {
    "driver": ("nvcuda.dll",),
    "CUDA runtime": ("cudart64_13.dll", "cudart64_12.dll"),
    "cuBLAS": ("cublasLt64_13.dll", "cublasLt64_12.dll"),
    "cuFFT": ("cufft64_12.dll", "cufft64_11.dll"),
    "cuDNN": ("cudnn64_9.dll", "cudnn64_8.dll"),
    "TensorRT": ("nvinfer_10.dll", "nvinfer.dll"),
}


def nvidia_libraries(
    load: Callable[[str], object] = ctypes.CDLL, system: str = sys.platform
) -> dict[str, str | None]:
    """What each is for -> the file that loads, None where none does; empty on other systems.

    Args:
        load: loads a library by its name and raises OSError if it cannot.
        system: as `sys.platform`.
    """
    names = {"linux": _LINUX, "win32": _WINDOWS}.get(system, {})
    if names:
        find_libraries()  # those that pip installed
    return {purpose: _first(load, files) for purpose, files in names.items()}


def _first(load: Callable[[str], object], files: tuple[str, ...]) -> str | None:
    for file in files:
        try:
            load(file)
        except OSError:
            continue
        return file
    return None
