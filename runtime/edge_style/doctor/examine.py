"""Everything in one report, and the advice that follows."""

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edge_style import __version__
from edge_style.catalog import CatalogEntry, is_encoder, list_models, style_folders
from edge_style.doctor.cameras import examine_cameras
from edge_style.doctor.engines import examine_engines
from edge_style.doctor.libraries import nvidia_libraries
from edge_style.doctor.private import without_paths
from edge_style.doctor.video import examine_video
from edge_style.errors import MissingExtraError
from edge_style.machine import describe
from edge_style.providers import cache_folder, package_versions

_PACKAGES = ("numpy", "opencv-python", "opencv-python-headless", "av", "torch", "onnx")
_RUNTIME_BUILDS = "onnxruntime"


def examine(step: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Look at everything.

    Args:
        step: told what is looked at next.

    Returns:
        `edge_style, packages, machine, providers, libraries, models, cameras, video, folders,
        advice`: JSON values without private paths.
    """
    # An encoder paints nothing, so no provider can be tried with it.
    entries = [entry for entry in list_models() if not entry.problem and not is_encoder(entry.path)]
    report: dict[str, Any] = {
        "edge_style": __version__,
        "packages": _packages(),
        "machine": describe(),
    }
    step("execution providers")
    try:
        report["providers"] = examine_engines(_to_try(entries))
        report["libraries"] = nvidia_libraries()
    except MissingExtraError as error:
        report["providers"], report["libraries"] = [], {}
        report["no_onnxruntime"] = str(error)
    report["models"] = [entry.name for entry in entries]
    step("cameras")
    report["cameras"] = examine_cameras()
    step("windows and codecs")
    report["video"] = examine_video()
    report["folders"] = _folders()
    report["advice"] = advice(report)
    return dict(without_paths(report))


def _to_try(entries: Sequence[CatalogEntry]) -> str | None:
    """A file that providers can be tried with, a shipped one if there is one.

    Those of the current folder come first in the list and may be anything: of one size, another
    program's, or no network for pictures.
    """
    able = [
        entry.path
        for entry in entries
        if entry.spec and entry.spec.role == "transformer" and not entry.spec.code_length
    ]
    shipped = [path for path in able if path.parent in style_folders()[1:]]
    chosen = next(iter([*shipped, *able]), None)
    return None if chosen is None else str(chosen)


def _packages() -> dict[str, str]:
    found = dict(package_versions())
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _folders() -> list[dict[str, Any]]:
    folders = [("cache", cache_folder()), ("styles", style_folders()[1])]
    return [
        {
            "purpose": purpose,
            "path": str(path),
            "size_mb": round(_size_bytes(path) / 1e6, 1),
            "writable": _is_writable(path),
        }
        for purpose, path in folders
    ]


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _is_writable(folder: Path) -> bool:
    """Whether a file could be written there; folders are made when they are needed."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def advice(report: Mapping[str, Any]) -> list[str]:
    """What to do about what is missing, one line each, the gravest first."""
    if "no_onnxruntime" in report:
        return [report["no_onnxruntime"]]
    return [
        *_about_builds(report),
        *_about_providers(report),
        *_about_video(report),
        *_about_cameras(report),
        *(
            f"the {folder['purpose']} folder {folder['path']} cannot be written to"
            for folder in report["folders"]
            if not folder["writable"]
        ),
    ]


def _about_builds(report: Mapping[str, Any]) -> list[str]:
    plugins = ("-ep-", "-qnn")
    builds = [
        name
        for name in report["packages"]
        if name.startswith(_RUNTIME_BUILDS) and not any(part in name for part in plugins)
    ]
    if len(builds) > 1:
        return [
            f"{' and '.join(builds)} overwrite each other's files: uninstall all of them, then "
            "install one"
        ]
    return []


def _about_providers(report: Mapping[str, Any]) -> list[str]:
    lines = []
    by_name = {each["name"]: each for each in report["providers"]}
    for each in report["providers"]:
        if each["state"] == "failed":
            # How to get it is no help where it is installed and lacks something else.
            is_there = each["name"] in ("cuda", "tensorrt")
            how = "" if is_there else f" ({each['install']})"
            lines.append(f"{each['name']} did not run: {each['detail']}{how}")
    machine = report["machine"]
    if machine["gpus"] and by_name["cuda"]["state"] == "absent":
        gpu, how = machine["gpus"][0], by_name["cuda"]["install"]
        lines.append(f"there is a GPU ({gpu}) that nothing here can use: {how}")
    missing = [name for name, file in report["libraries"].items() if file is None]
    if by_name["cuda"]["state"] == "failed" and missing:
        lines.append(
            f"for cuda and tensorrt these libraries were not found: {', '.join(missing)}; NVIDIA's "
            "driver brings its own, pip install 'onnxruntime-gpu[cuda,cudnn]' those of CUDA and "
            "cuDNN, pip install tensorrt its own"
        )
    if "Intel" in machine["cpu"] and by_name["openvino"]["state"] == "absent":
        lines.append("an Intel processor: openvino may be quicker, pip install "
                     "'edge-style[openvino]', then compare with edge-style bench")  # fmt: skip
    if not report["models"]:
        folders = " and ".join(str(folder) for folder in style_folders()[-2:])
        lines.append(f"no styles are installed: looked in {folders}")
    return lines


def _about_video(report: Mapping[str, Any]) -> list[str]:
    video = report["video"]
    lines = []
    if video["gui"] in ("", "NONE"):
        lines.append("this OpenCV has no windows: pip install opencv-python in place of "
                     "opencv-python-headless")  # fmt: skip
    elif not video["display"]:
        lines.append("no display for a window: give cam an --output, or log in to a desktop")
    if video["pyav_encoders"] is None:
        lines.append("clips are written without sound and not in H.264: pip install "
                     "'edge-style[video]'")  # fmt: skip
    if not video["writes"] and not video["pyav_encoders"]:
        lines.append("nothing here can write a clip: pip install 'edge-style[video]'")
    return lines


def _about_cameras(report: Mapping[str, Any]) -> list[str]:
    cameras = report["cameras"]
    lines = []
    if not cameras:
        lines.append("no camera was found: --source test, pan:PHOTO or a clip need none")
        if sys.platform.startswith("linux") and "microsoft" in platform.release().lower():
            lines.append("Windows hands no camera to WSL by itself: see usbipd")
    for camera in cameras:
        if camera["problem"] == "no permission":
            lines.append(f"camera {camera['source']} may not be opened: usermod -aG video $USER, "
                         "then log in again")  # fmt: skip
        elif camera["problem"]:
            lines.append(f"camera {camera['source']} does not answer: {camera['problem']}")
    return lines
