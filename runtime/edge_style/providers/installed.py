"""The installed onnxruntime: what it was built with, and why something of it does not load."""

import contextlib
import ctypes
import importlib
import io
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from edge_style.errors import MissingExtraError
from edge_style.providers import table
from edge_style.providers.table import Provider
from edge_style.shutdown import Interrupts

# The builds of onnxruntime, which exclude one another, and what they load beside them.
_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
    "tensorrt",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
)


def import_onnxruntime() -> ModuleType:
    """The onnxruntime module, told to keep its log to itself: failures become our own one line.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        # Native modules that are interrupted while they load say that they cannot be imported, and
        # numpy, which onnxruntime's loads, prints a traceback of its own.
        with Interrupts():
            importlib.import_module("numpy")
            onnxruntime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError("running a model", "onnxruntime", "cpu", "gpu") from error
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def runtime_version() -> str:
    """Version of the installed onnxruntime: `1.32.0`."""
    return str(import_onnxruntime().__version__)


@lru_cache(maxsize=1)
def package_versions() -> dict[str, str]:
    """Distribution -> version of what is installed of onnxruntime, its plugins and TensorRT."""
    found = {}
    for name in (*_PACKAGES, *(p.plugin.replace("_", "-") for p in table.PROVIDERS if p.plugin)):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def find_libraries() -> None:
    """Load the CUDA libraries that pip installed; they are on no search path of the system.

    What onnxruntime prints where there are none is told by `load_failure` if it matters.
    """
    onnxruntime = import_onnxruntime()
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()


def load_failure(provider: Provider) -> str:
    """Why a provider's library cannot be loaded, in the system's words; empty if it can."""
    if not provider.library:
        return ""
    onnxruntime = import_onnxruntime()
    prefix, suffix = ("", ".dll") if sys.platform == "win32" else ("lib", ".so")
    folder = Path(onnxruntime.__path__[0]) / "capi"
    try:
        ctypes.CDLL(str(folder / f"{prefix}{provider.library}{suffix}"))
    except OSError as error:
        return str(error).replace(str(folder) + "/", "")
    return ""
