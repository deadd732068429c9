"""How many processors this process may use."""

import math
import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int | None:
    """Processors granted to this process, if an affinity mask or a container grants fewer.

    None where it has the whole machine, so that onnxruntime's own count (one thread per physical
    core) holds.
    """
    machine = os.cpu_count() or 1
    granted: float = machine
    if hasattr(os, "sched_getaffinity"):
        granted = len(os.sched_getaffinity(0))
    granted = min(granted, _quota(cgroup))
    return max(1, math.ceil(granted)) if granted < machine else None


def _quota(cgroup: Path) -> float:
    """Processors' worth of time per period that the container grants (cgroup 2 and 1)."""
    try:
        quota, period = (cgroup / "cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text("ascii").strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text("ascii").strip()
        except (OSError, ValueError):
            return math.inf
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return math.inf  # "max" or -1: no limit
    return int(quota) / int(period)
