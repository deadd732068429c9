"""Pictures in and out, for all three packages: uint8 [H, W, 3], RGB, 0..255, contiguous."""

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.contract import CHANNELS, MIN_SIDE_PX
from edge_style.errors import ImageError, ImageNotFoundError, UsageError

Rgb: TypeAlias = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")

_JPEG_MAGIC = b"\xff\xd8"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_LONGEST_SIDE_PX = 16_384  # more than that a network has no memory for
_PNG_MAX_SIDE_PX = 1_000_000
_ROWS_AT_ONCE = 64
# Colour, EXIF orientation applied, 16-bit samples kept, alpha dropped.
_ORIENTED = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH

# What cannot be decoded or opened, pictures as well as cameras, is ours to report, in one line.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def read_image(path: str | os.PathLike[str]) -> Rgb:
    """Read a picture as uint8 [H, W, 3], RGB.

    Grey becomes three equal channels, transparency is composited over white, 16-bit samples are
    scaled to 8 bits, EXIF orientation is applied.

    Raises:
        ImageNotFoundError: there is no such file.
        ImageError: it is no picture that can be decoded.
    """
    path = Path(path)
    if not path.exists():
        raise ImageNotFoundError(f"there is no picture '{path}'")
    if path.is_dir():
        raise ImageError(f"'{path}' is a folder, expected a picture")
    if not path.is_file():  # of a pipe one would wait for ever
        raise ImageError(f"'{path}' is no file, expected a picture")
    try:
        # Not cv2.imread: on Windows it takes ASCII paths only.
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"cannot read '{path}': {error.strerror or error}") from error
    try:
        return _decode(data)
    except (cv2.error, MemoryError, ValueError) as error:
        kinds = ", ".join(IMAGE_SUFFIXES)
        raise ImageError(
            f"'{path}' is not a picture that can be read, expected one of {kinds}: "
            "it is damaged, too large, or another kind of file"
        ) from error


def decode_image(data: bytes) -> Rgb:
    """A picture file's bytes as uint8 [H, W, 3], RGB; see `read_image`.

    Raises:
        ImageError: it is no picture that can be decoded.
    """
    try:
        return _decode(np.frombuffer(data, np.uint8))
    except (cv2.error, MemoryError, ValueError) as error:
        raise ImageError("this is not a picture that can be read") from error


def _decode(data: npt.NDArray[np.uint8]) -> Rgb:
    """Bytes of a picture file as RGB; ValueError or cv2.error where that cannot be done."""
    if data.size == 0:
        raise ValueError("empty file")
    if data[: len(_PNG_MAGIC)].tobytes() == _PNG_MAGIC:
        _check_png(data.tobytes())
    # Only the unchanged mode keeps alpha, only the colour mode turns by EXIF. JPEG has no alpha.
    if data[:2].tobytes() != _JPEG_MAGIC:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("not decodable")
        if pixels.ndim == 3 and pixels.shape[2] == CHANNELS + 1:
            return _over_white(_turned(_to_8_bit(pixels), cv2.imdecode(data, _ORIENTED)))
    pixels = cv2.imdecode(data, _ORIENTED)
    if pixels is None:
        raise ValueError("not decodable")
    rgb = cv2.cvtColor(_to_8_bit(pixels), cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(rgb, dtype=np.uint8)


def _check_png(data: bytes) -> None:
    """Refuse damaged PNG files before libpng sees them, because it prints on its own."""
    position = len(_PNG_MAGIC)
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ValueError("truncated PNG")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise ValueError("truncated PNG")
        if zlib.crc32(data[position + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ValueError("damaged PNG")
        sides_px = struct.unpack_from(">II", data, position + 8) if kind == b"IHDR" else (0,)
        if max(sides_px) > _PNG_MAX_SIDE_PX:
            raise ValueError("PNG claims a side no picture has")
        position = end + 4


def _to_8_bit(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    if pixels.dtype == np.uint16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(pixels.dtype, np.floating):
        # TIFF and HDR files hold linear or display values with 1 as white; NaN becomes black.
        unit = np.clip(np.nan_to_num(pixels.astype(np.float32)), 0, 1)
        return np.rint(unit * 255).astype(np.uint8)
    raise ValueError(f"samples of type {pixels.dtype}")


def _turned(
    bgra: npt.NDArray[np.uint8], turned: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.uint8]:
    """`bgra` as its colours alone, `turned` by EXIF, are; as it is where those are not its."""
    if turned is None:
        return bgra
    bgr = _to_8_bit(turned)
    for quarters in range(4):
        rotated = np.rot90(bgra, quarters)
        for view in (rotated, rotated[:, ::-1]):
            if np.array_equal(view[..., :CHANNELS], bgr):
                return view
    return bgra


def _over_white(bgra: npt.NDArray[np.uint8]) -> Rgb:
    rgb = np.empty((*bgra.shape[:2], CHANNELS), np.uint8)
    # A few rows at a time: whole pictures in 16 bits would take several times their memory.
    for top in range(0, len(bgra), _ROWS_AT_ONCE):
        rows = bgra[top : top + _ROWS_AT_ONCE]
        colour, alpha = rows[..., 2::-1].astype(np.uint16), rows[..., 3:].astype(np.uint16)
        rgb[top : top + len(rows)] = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return rgb


def write_image(path: str | os.PathLike[str], rgb: Rgb, *, quality: int = 95) -> None:
    """Write a picture in the format that the suffix names.

    Args:
        path: the target; an existing file is replaced, in one step, once the new one is complete.
        rgb: uint8 [H, W, 3], RGB.
        quality: of JPEG and WebP, 1..100.

    Raises:
        ImageError: unknown suffix, no such folder, no permission, or a size that the format
            cannot hold. Nothing is left behind.
    """
    path = Path(path)
    ensure_writable(path)
    _ensure_rgb(rgb)
    suffix = path.suffix.lower()
    settings = {
        ".jpg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, quality],
        ".webp": [cv2.IMWRITE_WEBP_QUALITY, quality],
    }
    try:
        done, data = cv2.imencode(
            suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings.get(suffix, [])
        )
    except cv2.error:
        done = False
    if not done:
        raise ImageError(
            f"{rgb.shape[1]}x{rgb.shape[0]} pixels do not fit into a {suffix} file: use .png"
        )
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_bytes(data.tobytes())
        partial.replace(path)
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # the first error is the one to tell
            partial.unlink()


def ensure_writable(path: str | os.PathLike[str]) -> None:
    """Check what can be checked before the work is done: suffix, folder, permission.

    Raises:
        ImageError: says what is wrong with the target.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"'{path}' is a folder, expected the name of a picture to write")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise ImageError(
            f"cannot write '{path}': expected a name that ends in {', '.join(IMAGE_SUFFIXES)}"
        )
    ensure_folder(path.parent)


def ensure_folder(folder: str | os.PathLike[str]) -> None:
    """Check that a folder exists and can be written to.

    Raises:
        ImageError: it does not, or cannot.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ImageError(f"the output folder '{folder}' does not exist: create it first")
    if not folder.is_dir():
        raise ImageError(f"'{folder}' is a file, expected a folder to write into")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageError(f"the output folder '{folder}' cannot be written to: permission denied")


def ensure_min_side(rgb: Rgb, name: str = "the picture") -> None:
    """Check that a picture is large enough for the networks.

    Raises:
        ImageError: a side is under `contract.MIN_SIDE_PX`.
    """
    _ensure_rgb(rgb)
    height, width = rgb.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise ImageError(
            f"{name} has {width}x{height} pixels, expected at least {MIN_SIDE_PX}x{MIN_SIDE_PX}: "
            "use a larger one"
        )


def _ensure_rgb(rgb: Rgb) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != CHANNELS or rgb.size == 0:
        raise ImageError(f"expected uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}")


def parse_size(text: str) -> tuple[int, int]:
    """Read `640x480` as (640, 480), width and height in pixels.

    Raises:
        UsageError: not of that form, a side under `contract.MIN_SIDE_PX`, or longer than any
            picture's.
    """
    width, by, height = text.strip().lower().partition("x")
    if not (by and width.isdecimal() and height.isdecimal()):
        raise UsageError(f"expected a size as WIDTHxHEIGHT, such as 640x480, got '{text}'")
    if min(int(width), int(height)) < MIN_SIDE_PX:
        raise UsageError(f"a size has at least {MIN_SIDE_PX}x{MIN_SIDE_PX} pixels, got '{text}'")
    ensure_sensible_side(int(width), int(height))
    return int(width), int(height)


def ensure_sensible_side(*sides_px: int) -> None:
    """Refuse sizes that are a slip of the finger, before memory is asked for them.

    Raises:
        UsageError: a side is longer than any picture's.
    """
    if max(sides_px) > _LONGEST_SIDE_PX:
        raise UsageError(f"a side has at most {_LONGEST_SIDE_PX} pixels, got {max(sides_px)}")


def resize(rgb: Rgb, width_px: int, height_px: int) -> Rgb:
    """Scale to exactly this size: by area on the way down, bicubic on the way up."""
    height, width = rgb.shape[:2]
    if (width, height) == (width_px, height_px):
        return rgb
    shrinks = width_px * height_px < width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(rgb, (width_px, height_px), interpolation=method).astype(np.uint8, copy=False)


def resize_short_side(rgb: Rgb, side_px: int) -> Rgb:
    """Scale so that the shorter side has `side_px` pixels; the shape stays."""
    height, width = rgb.shape[:2]
    scale = side_px / min(height, width)
    return resize(rgb, max(side_px, round(width * scale)), max(side_px, round(height * scale)))


def resize_long_side(rgb: Rgb, side_px: int) -> Rgb:
    """Scale so that the longer side has `side_px` pixels; the shape stays."""
    height, width = rgb.shape[:2]
    scale = side_px / max(height, width)
    return resize(rgb, max(1, round(width * scale)), max(1, round(height * scale)))


def resize_to_cover(rgb: Rgb, width_px: int, height_px: int) -> Rgb:
    """Scale until a frame of this size is covered, then cut off evenly what hangs over."""
    height, width = rgb.shape[:2]
    scale = max(width_px / width, height_px / height)
    covering = resize(
        rgb, max(width_px, round(width * scale)), max(height_px, round(height * scale))
    )
    top = (covering.shape[0] - height_px) // 2
    left = (covering.shape[1] - width_px) // 2
    return np.ascontiguousarray(covering[top : top + height_px, left : left + width_px])
