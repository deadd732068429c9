"""Energy spent while something runs, where the device tells: RAPL, NVIDIA's GPUs, Jetson boards.

Standard library only; see `loop`. Counters of whole packages and boards: what else runs is in it.
"""

import ctypes
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from edge_style.machine import nvml, nvml_devices

_RAPL = Path("/sys/class/powercap")
_HWMON = Path("/sys/class/hwmon")
_SAMPLE_S = 0.1  # between readings of devices that tell power, not energy


class EnergyMeter:
    """Joules between the begin and the end of a `with` block.

    Attributes:
        joules: what was spent, None if nothing tells or the block has not ended.
        source: what told it: `RAPL`, `NVML`, `INA3221`, several joined by " + ".
    """

    def __init__(self, rapl: Path = _RAPL, hwmon: Path = _HWMON) -> None:
        self._rapl = rapl
        self._hwmon = hwmon
        self._stack = ExitStack()
        self._library: Any = None
        self._rails: list[tuple[Path, Path]] = []
        self._board_j = 0.0
        self._board_s = 0.0
        self._begin: dict[str, float] = {}
        self.joules: float | None = None
        self.source = ""

    def __enter__(self) -> "EnergyMeter":
        self._library = self._stack.enter_context(nvml())
        self._rails = list(_jetson_rails(self._hwmon))
        self._begin = self._counters()
        self._board_s = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            self.tick(is_last=True)
            end = self._counters()
        spent = {
            name: _difference(self._begin[name], end[name], _range_of(self._rapl, name))
            for name in self._begin
            if name in end
        }
        sources = sorted({name.split(":")[0] for name in spent})
        if self._rails:
            spent["INA3221"] = self._board_j
            sources.append("INA3221")
        if spent:
            self.joules = sum(spent.values())
            self.source = " + ".join(sources)

    def tick(self, *, is_last: bool = False) -> None:
        """Between two runs: read what has no counter, if it is time again."""
        now_s = time.perf_counter()
        passed_s = now_s - self._board_s
        if self._rails and (is_last or passed_s >= _SAMPLE_S):
            self._board_j += passed_s * _power_w(self._rails)
            self._board_s = now_s

    def _counters(self) -> dict[str, float]:
        """Name of a counter -> joules so far."""
        counters = {}
        for domain in sorted(self._rapl.glob("intel-rapl:*")):
            # intel-rapl:0 is a package, intel-rapl:0:1 a part of it.
            if domain.name.count(":") == 1:
                with suppress(OSError, ValueError):
                    counters[f"RAPL:{domain.name}"] = _number(domain / "energy_uj") / 1e6
        for index, handle in enumerate(nvml_devices(self._library)):
            millijoules = ctypes.c_ulonglong()
            read = self._library.nvmlDeviceGetTotalEnergyConsumption
            if read(handle, ctypes.byref(millijoules)) == 0:
                counters[f"NVML:{index}"] = millijoules.value / 1e3
        return counters


def _number(path: Path) -> float:
    return float(path.read_text("ascii"))


def _range_of(rapl: Path, name: str) -> float:
    """Where a counter begins anew, joules; 0 if it does not."""
    kind, _, domain = name.partition(":")
    if kind != "RAPL":
        return 0.0
    try:
        return _number(rapl / domain / "max_energy_range_uj") / 1e6
    except (OSError, ValueError):
        return 0.0


def _difference(begin_j: float, end_j: float, range_j: float) -> float:
    return end_j - begin_j if end_j >= begin_j else end_j + range_j - begin_j


def _jetson_rails(hwmon: Path) -> Iterator[tuple[Path, Path]]:
    """Voltage and current of the input of a Jetson board: (mV file, mA file)."""
    for label in sorted(hwmon.glob("hwmon*/in*_label")):
        with suppress(OSError):
            if label.read_text("ascii", "replace").strip() in ("VDD_IN", "POM_5V_IN"):
                number = label.name.removeprefix("in").removesuffix("_label")
                current = label.with_name(f"curr{number}_input")
                if current.exists():
                    yield label.with_name(f"in{number}_input"), current


def _power_w(rails: list[tuple[Path, Path]]) -> float:
    total_w = 0.0
    for millivolts, milliamperes in rails:
        with suppress(OSError, ValueError):
            total_w += _number(millivolts) * _number(milliamperes) / 1e6
    return total_w
