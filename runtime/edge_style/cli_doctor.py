"""The command `doctor`: how its report looks to people."""

from collections.abc import Mapping, Sequence
from typing import Any

from edge_style.cli_common import JsonOption, note, print_json

_SHOWN_MODES = 4
_MARKS = {"ran": "ran", "failed": "FAILED", "absent": "-"}


def doctor(json_output: JsonOption = False) -> None:
    """Say what is installed, what works here, and what to do about the rest."""
    from edge_style.doctor.examine import examine

    report = examine(lambda what: note(f"looking at {what} ..."))
    if json_output:
        print_json(report)
        return
    from edge_style.tables import facts_table, show

    show(facts_table(_facts(report)))
    for line in report["advice"]:
        note(f"advice: {line}")
    if not report["advice"]:
        note("nothing is missing")


def _facts(report: Mapping[str, Any]) -> dict[str, str]:
    machine, video = report["machine"], report["video"]
    memory = f", {machine['memory_mb'] / 1000:.0f} GB" if machine["memory_mb"] else ""
    features = " ".join(machine["cpu_features"])
    libraries = [f"{name} {file or '-'}" for name, file in report["libraries"].items()]
    encoders = video["pyav_encoders"]
    return {
        "edge-style": report["edge_style"],
        "packages": ", ".join(f"{name} {number}" for name, number in report["packages"].items()),
        "machine": f"{machine['cpu']} ({features}), {machine['cores_usable']} cores{memory}",
        "system": f"{machine['system']}, Python {machine['python']}",
        "GPUs": ", ".join(machine["gpus"]) or "none of NVIDIA",
        "providers": "\n".join(_engine(each) for each in report["providers"]),
        "libraries": ", ".join(libraries),
        "styles": ", ".join(report["models"]) or "none",
        "cameras": "\n".join(_camera(each) for each in report["cameras"]) or "none",
        "window": f"{video['gui'] or 'none'}, {'a' if video['display'] else 'no'} display",
        "clips": f"OpenCV {video['opencv']} writes {_listed(video['writes'])}; "
        f"FFmpeg {_yes(video['ffmpeg'])}, GStreamer {_yes(video['gstreamer'])}; "
        f"PyAV {'is not installed' if encoders is None else 'knows ' + _listed(encoders)}",
        "folders": "\n".join(
            f"{each['purpose']}: {each['path']}, {each['size_mb']} MB" for each in report["folders"]
        ),
    }


def _engine(engine: Mapping[str, str]) -> str:
    detail = engine["detail"] if engine["state"] != "absent" else ""
    line = f"{engine['name']:10} {_MARKS[engine['state']]:7} {engine['device']}"
    return f"{line}: {detail}" if detail else line


def _camera(camera: Mapping[str, Any]) -> str:
    modes = camera["modes"]
    more = f" and {len(modes) - _SHOWN_MODES} more" if len(modes) > _SHOWN_MODES else ""
    said = camera["problem"] or ", ".join(modes[:_SHOWN_MODES]) + more
    return f"{camera['source']}: {camera['name']} {said}".rstrip()


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values) or "nothing"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
