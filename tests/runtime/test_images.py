"""Pictures in and out, beyond what the command line's tests see."""

import os
import struct
import threading
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from edge_style.errors import ImageError, ImageNotFoundError, UsageError
from edge_style.images import (
    decode_image,
    parse_size,
    read_image,
    resize_short_side,
    resize_to_cover,
    write_image,
)

from .conftest import encode, make_rgb


def png(color_type: int, row: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG of 4x4 pixels from raw rows, for the kinds that OpenCV does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 4, 4, 8, color_type, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        *extra,
        (b"IDAT", zlib.compress((b"\0" + row) * 4)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def test_round_trip_is_exact_and_contiguous(tmp_path):
    rgb = make_rgb(65, 47)
    write_image(tmp_path / "a.png", rgb)
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read, rgb)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous


def test_transparent_palette(tmp_path):
    palette = (b"PLTE", bytes([255, 0, 0, 0, 0, 255])), (b"tRNS", bytes([0, 255]))
    (tmp_path / "a.png").write_bytes(png(3, bytes([0, 1, 0, 1]), *palette))
    row = read_image(tmp_path / "a.png")[0].tolist()
    assert row == [[255, 255, 255], [0, 0, 255]] * 2


def test_grey_with_alpha(tmp_path):
    (tmp_path / "a.png").write_bytes(png(4, bytes([90, 255, 90, 0, 90, 255, 90, 0])))
    row = read_image(tmp_path / "a.png")[0].tolist()
    assert row == [[90, 90, 90], [255, 255, 255]] * 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("width", [40, 32])
def test_transparent_pictures_are_turned_as_others_are(tmp_path, orientation, width):
    """A PNG with EXIF beside the same picture, put on white before it was written."""
    rgba = np.dstack([make_rgb(width, 32), make_rgb(width, 32)[..., 1]])
    alpha = rgba[..., 3:] / 255
    opaque = np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    exif = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x112, 3, 1, orientation, 0, 0)
    for name, data in (
        ("alpha.png", cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()),
        ("opaque.png", encode(opaque, ".png")),
    ):
        place = data.index(b"IDAT") - 4
        chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif
        chunk += struct.pack(">I", zlib.crc32(b"eXIf" + exif))
        (tmp_path / name).write_bytes(data[:place] + chunk + data[place:])
    expected = read_image(tmp_path / "opaque.png").astype(int)
    found = read_image(tmp_path / "alpha.png").astype(int)
    assert found.shape == expected.shape == ((32, width, 3), (width, 32, 3))[orientation > 4]
    assert np.abs(found - expected).max() <= 1
    assert (orientation == 1) == np.array_equal(expected, opaque)


def test_transparent_pictures_take_little_more_memory_than_opaque_ones():
    """Larger than what is put on white at once; from the network such a file is a small upload."""
    rgba = np.dstack([make_rgb(900, 700), make_rgb(900, 700)[..., 1]])
    data = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()
    tracemalloc.start()
    found = decode_image(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    alpha = rgba[..., 3:] / 255
    expected = np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha))
    assert np.abs(found - expected).max() <= 1
    # Colours with and without alpha, and whether they are the same.
    assert peak < 11 * 900 * 700 + len(data) + 2_000_000


def test_float_picture(tmp_path):
    unit = (make_rgb(20, 16) / 255).astype(np.float32)
    done, data = cv2.imencode(".tif", cv2.cvtColor(unit, cv2.COLOR_RGB2BGR))
    assert done
    (tmp_path / "a.tif").write_bytes(data.tobytes())
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), make_rgb(20, 16))


def test_damage_inside_a_png(tmp_path):
    data = bytearray(encode(make_rgb(64, 48), ".png"))
    data[60] ^= 255
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match="damaged"):
        read_image(tmp_path / "a.png")


def test_errors_are_the_built_in_ones_too(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")
    with pytest.raises(ImageNotFoundError):
        read_image(tmp_path / "none.png")


def test_a_size_that_a_format_cannot_hold(tmp_path):
    wide = np.zeros((16, 70_000, 3), np.uint8)
    with pytest.raises(ImageError, match=r"70000x16.*\.png"):
        write_image(tmp_path / "a.jpg", wide)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [np.zeros((16, 16), np.uint8), np.zeros((16, 16, 3), np.float32)])
def test_only_rgb_is_written(tmp_path, bad):
    with pytest.raises(ImageError, match=r"uint8 \[H, W, 3\]"):
        write_image(tmp_path / "a.png", bad)


def test_quality(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_image(tmp_path / "low.jpg", noise, quality=20)
    write_image(tmp_path / "high.jpg", noise)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size / 2


def test_cover_keeps_the_middle_and_the_proportions():
    rgb = make_rgb(200, 100)
    covering = resize_to_cover(rgb, 50, 50)
    assert covering.shape == (50, 50, 3)
    assert covering.flags.c_contiguous
    middle = rgb[:, 50:150].astype(int)
    assert abs(covering[25].mean(axis=0) - middle[50].mean(axis=0)).max() < 2
    assert resize_to_cover(rgb[:31, :17], 50, 50).shape == (50, 50, 3)


def test_short_side():
    assert resize_short_side(make_rgb(200, 100), 50).shape == (50, 100, 3)
    assert resize_short_side(make_rgb(99, 201), 50).shape == (102, 50, 3)


@pytest.mark.parametrize("text", ["10000000x480", "480x16385"])
def test_sizes_that_are_slips_of_the_finger(text):
    with pytest.raises(UsageError, match="at most 16384 pixels"):
        parse_size(text)


def test_parse_size():
    assert parse_size("640x480") == (640, 480)
    assert parse_size(" 16X16 ") == (16, 16)
    with pytest.raises(UsageError, match="15x16"):
        parse_size("15x16")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    # Whoever does read it comes to its end: somebody writes nothing into it, and stops at last.
    writer = threading.Thread(target=(tmp_path / "pipe.jpg").write_bytes, args=(b"",), daemon=True)
    writer.start()
    try:
        with pytest.raises(ImageError, match="no file"):
            read_image(tmp_path / "pipe.jpg")
    finally:
        reader = os.open(tmp_path / "pipe.jpg", os.O_RDONLY | os.O_NONBLOCK)
        writer.join(10)
        os.close(reader)
    assert not writer.is_alive()
