"""Cameras and their modes: asked of the driver on Linux (Video4Linux), tried elsewhere."""

import errno
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from edge_style.errors import SourceError
from edge_style.sources import open_source

# Does an ioctl on an open device, in place.
Ioctl: TypeAlias = Callable[[int, int, bytearray], object]

# linux/videodev2.h: request numbers, and the structures they take (native byte order, no padding).
_QUERYCAP, _QUERYCAP_SIZE = 0x80685600, 104
_ENUM_FMT, _FMT = 0xC0405602, "=3I32s5I"
_ENUM_FRAMESIZES, _FRAMESIZE = 0xC02C564A, "=11I"
_ENUM_FRAMEINTERVALS, _FRAMEINTERVAL = 0xC034564B, "=13I"
_CAPTURE = 1
_DISCRETE = 1
_MAX_ENTRIES = 64
_TRIED_INDICES = 4


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        source: what to give `--source`.
        name: what it calls itself.
        modes: pixel format, size and frames per second, for people.
        problem: why nothing can be asked of it; empty if it answered.
    """

    source: str
    name: str
    modes: tuple[str, ...] = ()
    problem: str = ""


def examine_cameras(
    system: str = sys.platform, devices: Path = Path("/dev"), ioctl: Ioctl | None = None
) -> list[dict[str, Any]]:
    """All cameras that are here.

    Args:
        system: as `sys.platform`.
        devices: where the system lists its devices.
        ioctl: asks a driver; the system's own if None.
    """
    if not system.startswith("linux"):
        return [asdict(camera) for camera in _tried()]
    ask = ioctl or _system_ioctl()
    paths = sorted(devices.glob("video*"), key=lambda path: (len(path.name), path.name))
    found = (_ask(path, ask) for path in paths)
    return [asdict(camera) for camera in found if camera is not None]


def _system_ioctl() -> Ioctl:
    import fcntl  # noqa: PLC0415 - not on Windows

    return fcntl.ioctl


def _tried() -> Iterator[Camera]:
    for index in range(_TRIED_INDICES):
        try:
            with open_source(str(index)) as source:
                yield Camera(str(index), source.description)
        except SourceError:
            return  # systems number their cameras without gaps


def _ask(path: Path, ioctl: Ioctl) -> Camera | None:
    """None for a device that gives no pictures: metadata, radio, output."""
    number = path.name.removeprefix("video")
    try:
        device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        reason = "no permission" if error.errno == errno.EACCES else str(error.strerror)
        return Camera(number, path.name, problem=reason)
    try:
        capability = bytearray(_QUERYCAP_SIZE)
        ioctl(device, _QUERYCAP, capability)
        (capabilities,) = struct.unpack_from("=I", capability, 88)
        if not capabilities & _CAPTURE:
            return None
        name = bytes(capability[16:48]).split(b"\0")[0].decode("utf-8", "replace")
        return Camera(number, name, tuple(_modes(device, ioctl)))
    except OSError as error:
        return Camera(number, path.name, problem=str(error.strerror or error))
    finally:
        os.close(device)


def _modes(device: int, ioctl: Ioctl) -> Iterator[str]:
    for pixel_format in _formats(device, ioctl):
        code = struct.pack("=I", pixel_format).decode("ascii", "replace").strip()
        for width, height in _sizes(device, ioctl, pixel_format):
            rates = list(_rates_fps(device, ioctl, pixel_format, width, height))
            rate = f" at {max(rates):g} frames/s" if rates else ""
            yield f"{code} {width}x{height}{rate}"


def _formats(device: int, ioctl: Ioctl) -> Iterator[int]:
    for index in range(_MAX_ENTRIES):
        request = bytearray(struct.pack(_FMT, index, _CAPTURE, 0, b"", 0, 0, 0, 0, 0))
        if not _enumerate(device, ioctl, _ENUM_FMT, request):
            return
        yield struct.unpack(_FMT, request)[4]


def _sizes(device: int, ioctl: Ioctl, pixel_format: int) -> Iterator[tuple[int, int]]:
    for index in range(_MAX_ENTRIES):
        request = bytearray(struct.pack(_FRAMESIZE, index, pixel_format, *[0] * 9))
        if not _enumerate(device, ioctl, _ENUM_FRAMESIZES, request):
            return
        _, _, kind, *sides = struct.unpack(_FRAMESIZE, request)
        if kind == _DISCRETE:
            yield sides[0], sides[1]
        else:  # any size between two: min, max, step of the width, then of the height
            yield sides[0], sides[3]
            yield sides[1], sides[4]
            return


def _rates_fps(
    device: int, ioctl: Ioctl, pixel_format: int, width: int, height: int
) -> Iterator[float]:
    for index in range(_MAX_ENTRIES):
        request = bytearray(
            struct.pack(_FRAMEINTERVAL, index, pixel_format, width, height, *[0] * 9)
        )
        if not _enumerate(device, ioctl, _ENUM_FRAMEINTERVALS, request):
            return
        # The first of the fractions is the only, or the shortest, interval.
        _, _, _, _, kind, seconds, parts, *_ = struct.unpack(_FRAMEINTERVAL, request)
        if seconds:
            yield parts / seconds
        if kind != _DISCRETE:
            return


def _enumerate(device: int, ioctl: Ioctl, number: int, request: bytearray) -> bool:
    """Ask for one entry of a list; False at its end."""
    try:
        ioctl(device, number, request)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise
    return True
