"""The machine that the program runs on, as far as it bears on speed."""

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_NVML_NAMES = ("libnvidia-ml.so.1", "nvml.dll")
_NAME_BYTES = 96
_FEATURES = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "sve"),
)


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself: `Intel(R) Core(TM) i7-1165G7 @ 2.80GHz`."""
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        with suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
            return done.stdout.strip()
    with suppress(OSError):
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "Model", "Hardware") and value.strip():
                return value.strip()
    with suppress(OSError):  # a Jetson or another board with a device tree
        model = Path("/proc/device-tree/model").read_text("utf-8", "replace").strip("\0 \n")
        if model:
            return model
    return platform.processor() or platform.machine()


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """Of the instructions that networks gain by, those that the processor has; Linux only."""
    with suppress(OSError):
        for line in cpuinfo.read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                flags = set(value.split())
                return tuple(name for name in _FEATURES if name in flags)
    return ()


def memory_mb() -> int | None:
    """Memory of the machine in MB (10^6 bytes), None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000
    except (AttributeError, ValueError, OSError):
        return None


def gpu_names() -> tuple[str, ...]:
    """Names of NVIDIA's GPUs, by its management library; empty without one."""
    names = []
    with nvml() as library:
        for handle in nvml_devices(library):
            text = ctypes.create_string_buffer(_NAME_BYTES)
            if library.nvmlDeviceGetName(handle, text, _NAME_BYTES) == 0:
                names.append(text.value.decode("utf-8", "replace"))
    return tuple(names)


@contextmanager
def nvml() -> Iterator[Any]:
    """NVIDIA's management library, initialized; None where there is none that works."""
    library = None
    for name in _NVML_NAMES:
        with suppress(OSError):
            library = ctypes.CDLL(name)
            break
    if library is None or library.nvmlInit_v2() != 0:
        yield None
        return
    try:
        yield library
    finally:
        library.nvmlShutdown()


def nvml_devices(library: Any) -> list[ctypes.c_void_p]:
    """Handles of all devices that the management library sees."""
    if library is None:
        return []
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    handles = []
    for index in range(count.value):
        handle = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0:
            handles.append(handle)
    return handles


def describe() -> dict[str, Any]:
    """What a reader of figures wants to know; values are None or empty where not known."""
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": cpu_name(),
        "cpu_features": list(cpu_features()),
        "cores": os.cpu_count(),
        "cores_usable": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_mb": memory_mb(),
        "gpus": list(gpu_names()),
        # Without what builders of kernels put behind the number.
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }
