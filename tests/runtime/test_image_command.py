"""`edge-style image`: the pictures that must simply work, and every mistake a user can make."""

import errno
import json
import os
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.images import read_image

from .conftest import assert_error, encode, make_rgb


def inverted(cli, models, photo: Path, *options: object) -> np.ndarray:
    """Stylize with the model that inverts colours; give back what it was made from."""
    result = cli("image", photo, "--model", models / "negative.onnx", "-o", "out.png", *options)
    assert result.status == 0, result.err
    return 255 - read_image("out.png")


def exif_jpeg(rgb: np.ndarray, orientation: int) -> bytes:
    """A JPEG whose EXIF data says how to turn it."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)
    segment = b"Exif\0\0" + tiff
    jpeg = encode(rgb, ".jpg")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


def png_claiming(width_px: int, height_px: int) -> bytes:
    """A tiny PNG that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (17, 31), (16, 16), (301, 16)])
def test_any_size(cli, models, tmp_path, size):
    rgb = make_rgb(*size)
    (tmp_path / "in.png").write_bytes(encode(rgb, ".png"))
    np.testing.assert_array_equal(inverted(cli, models, Path("in.png")), rgb)


def test_large_photo(cli, models, tmp_path):
    rgb = make_rgb(4000, 3000)
    (tmp_path / "in.bmp").write_bytes(encode(rgb, ".bmp"))
    np.testing.assert_array_equal(inverted(cli, models, Path("in.bmp")), rgb)


def test_grey(cli, models, tmp_path):
    grey = make_rgb(64, 48)[..., 0]
    (tmp_path / "in.png").write_bytes(encode(grey, ".png"))
    result = inverted(cli, models, Path("in.png"))
    np.testing.assert_array_equal(result, np.repeat(grey[..., np.newaxis], 3, axis=2))


def test_alpha_over_white(cli, models, tmp_path):
    rgba = np.dstack([make_rgb(64, 48), np.full((48, 64), 255, np.uint8)])
    rgba[:, :20, 3] = 0
    rgba[:, 20:40, 3] = 128
    (tmp_path / "in.png").write_bytes(encode(rgba, ".png"))
    result = inverted(cli, models, Path("in.png")).astype(int)
    assert (result[:, :20] == 255).all()
    half = rgba[:, 20:40, :3].astype(int) * 128 / 255 + 255 * 127 / 255
    assert abs(result[:, 20:40] - half).max() <= 1
    np.testing.assert_array_equal(result[:, 40:], rgba[:, 40:, :3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit(cli, models, tmp_path, suffix):
    rgb = make_rgb(64, 48)
    # A little below each level: these round up to it, and dropping the lower byte would not.
    deep = np.maximum(rgb.astype(np.int32) * 257 - 120, 0).astype(np.uint16)
    (tmp_path / f"in{suffix}").write_bytes(encode(deep, suffix))
    np.testing.assert_array_equal(inverted(cli, models, Path(f"in{suffix}")), rgb)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, lambda rgb: rgb), (3, lambda rgb: rgb[::-1, ::-1]), (6, lambda rgb: np.rot90(rgb, -1))],
)
def test_exif_rotation(cli, models, tmp_path, orientation, turn):
    rgb = make_rgb(64, 48)
    (tmp_path / "in.jpg").write_bytes(exif_jpeg(rgb, orientation))
    result = inverted(cli, models, Path("in.jpg")).astype(int)
    expected = turn(rgb)
    assert result.shape == expected.shape
    assert abs(result - expected).mean() < 3


def test_names_beyond_ascii(cli, models, tmp_path):
    folder = tmp_path / "Bücher 絵"
    folder.mkdir()
    (folder / "sternennächte ✨.png").write_bytes(encode(make_rgb(64, 48), ".png"))
    result = cli(
        "image", folder / "sternennächte ✨.png", "-m", models / "negative.onnx",
        "-o", folder / "ölbild.jpg",
    )  # fmt: skip
    assert result.status == 0
    assert read_image(folder / "ölbild.jpg").shape == (48, 64, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".TIFF"])
def test_output_formats(cli, models, photo, suffix):
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", f"out{suffix}")
    assert result.status == 0
    picture = cv2.imdecode(np.fromfile(f"out{suffix}", np.uint8), cv2.IMREAD_COLOR)
    difference = picture[..., ::-1].astype(int) - (255 - make_rgb(64, 48).astype(int))
    assert abs(difference).mean() < 4


def test_size_cuts_what_hangs_over(cli, models, photo):
    result = inverted(cli, models, photo, "--size", "32x32")
    assert result.shape == (32, 32, 3)
    # 64x48 covers 32x32 when it is scaled to 43x32: red misses about an eighth at both ends.
    red = result[16, :, 0].astype(int)
    assert 20 < red[0] < 45
    assert 210 < red[-1] < 235


def test_size_of_the_longer_side(cli, models, photo):
    assert inverted(cli, models, photo, "--size", "32").shape == (24, 32, 3)


def test_several_photos_and_styles_into_a_folder(cli, models, photo, tmp_path):
    other = tmp_path / "other.jpg"
    other.write_bytes(encode(make_rgb(40, 30), ".jpg"))
    (tmp_path / "made").mkdir()
    both = f"{models / 'negative.onnx'},{models / 'foreign_1.onnx'}"
    result = cli("image", photo, other, "--model", both, "--output", "made", "--json")
    assert result.status == 0
    results = json.loads(result.out)["results"]
    written = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert written == sorted(
        ["photo-negative.png", "other-negative.jpg", "photo-foreign_1.png", "other-foreign_1.jpg"]
    )
    assert sorted(Path(entry["output"]).name for entry in results) == written
    assert {entry["provider"] for entry in results} == {"cpu"}
    assert results[0]["size"] == "64x48"
    assert results[0]["infer_ms"] > 0


def test_one_damaged_photo_of_many_does_not_end_it(cli, models, photo, tmp_path):
    broken, last = tmp_path / "broken.jpg", tmp_path / "last.png"
    broken.write_text("no picture")
    last.write_bytes(Path(photo).read_bytes())
    (tmp_path / "made").mkdir()
    options = ["-m", models / "negative.onnx", "-o", "made", "--json"]
    result = cli("image", broken, photo, last, *options)
    assert result.status == 2
    found = json.loads(result.out)
    assert [Path(each["photo"]).name for each in found["results"]] == ["photo.png", "last.png"]
    assert found["failed"] == [str(broken)]
    assert result.err.splitlines()[-1] == "error: 1 of 3 pictures could not be made"
    assert "broken.jpg' is not a picture" in result.err
    assert len(list((tmp_path / "made").iterdir())) == 2


def test_a_size_that_is_too_small_for_a_photo_is_said_to_be_that(cli, models, tmp_path):
    wide = tmp_path / "wide.png"
    wide.write_bytes(encode(make_rgb(400, 20), ".png"))
    result = cli("image", wide, "-m", models / "negative.onnx", "-o", "out.png", "--size", "200")
    assert_error(result, "wide.png' with --size 200 has 200x10 pixels")


def test_says_which_file_runs_where(cli, models, photo):
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", "out.png")
    assert result.out == ""
    assert "negative.onnx on cpu" in result.err


def test_missing_photo(cli, models, tmp_path):
    result = cli("image", "nowhere.jpg", "-m", models / "negative.onnx", "-o", "out.png")
    assert_error(result, "nowhere.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.jpg", b"Dear diary, this is no picture."),
        ("empty.png", b""),
        ("cut.png", encode(make_rgb(64, 48), ".png")[:150]),
        ("huge.png", png_claiming(2**31 - 1, 2**31 - 1)),
        ("large.png", png_claiming(900_000, 900_000)),
    ],
)
def test_files_that_are_no_pictures(cli, models, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    result = cli("image", name, "-m", models / "negative.onnx", "-o", "out.png")
    assert_error(result, name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_folder_as_photo(cli, models, tmp_path):
    (tmp_path / "album").mkdir()
    result = cli("image", "album", "-m", models / "negative.onnx", "-o", "out.png")
    assert_error(result, "album", "folder")


def test_picture_under_16_pixels(cli, models, tmp_path):
    (tmp_path / "icon.png").write_bytes(encode(make_rgb(64, 15), ".png"))
    result = cli("image", "icon.png", "-m", models / "negative.onnx", "-o", "out.png")
    assert_error(result, "icon.png", "64x15", "16x16")
    assert not (tmp_path / "out.png").exists()


def test_unknown_output_format(cli, models, photo):
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", "out.gif")
    assert_error(result, "out.gif", ".png", ".jpg", ".webp")


def test_the_look_is_not_replaced(cli, photo, tmp_path):
    look = tmp_path / "look.png"
    look.write_bytes(Path(photo).read_bytes())
    before = look.read_bytes()
    assert_error(cli("image", photo, "--look", look, "-o", look), "choose another --output")
    assert look.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "any.onnx", "--style", "photo.png,look.png"], "a photo has one style"),
        (["--model", "any.onnx,negative.onnx", "--style", "look.png"], "has its own styles"),
        (["--look", "look.png", "--style", "photo.png"], "--style and --provider are for networks"),
        (["--look", "look.png", "--provider", "cpu"], "--style and --provider are for networks"),
    ],
)
def test_what_would_not_be_heeded_is_refused(cli, models, photo, tmp_path, options, says):
    (tmp_path / "look.png").write_bytes(Path(photo).read_bytes())
    for name in ("any.onnx", "any.encoder.onnx", "negative.onnx"):
        (tmp_path / name).write_bytes((models / name).read_bytes())
    (tmp_path / "out").mkdir()
    assert_error(cli("image", photo, *options, "-o", "out"), says)
    assert list((tmp_path / "out").iterdir()) == []


def test_without_a_network_there_is_no_file(cli, photo, tmp_path):
    (tmp_path / "look.png").write_bytes(Path(photo).read_bytes())
    result = cli("image", photo, "--look", "look.png", "-o", "out.png", "--json")
    assert json.loads(result.out)["results"][0]["file"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are Unicode")
def test_names_that_are_no_utf8(cli, models, photo, tmp_path):
    odd = tmp_path / os.fsdecode(b"caf\xe9.png")
    odd.write_bytes(Path(photo).read_bytes())
    result = cli("image", odd, "-m", models / "negative.onnx", "-o", "out.png", "--json")
    assert result.status == 0, result.err
    (made,) = json.loads(result.out.encode("utf-8"))["results"]
    assert made["photo"] == str(odd)
    model = tmp_path / os.fsdecode(b"n\xe9t.onnx")
    model.write_bytes((models / "negative.onnx").read_bytes())
    result = cli("image", photo, "-m", model, "-o", "out.png")
    assert_error(result, "is not UTF-8: rename the file or folder")


@pytest.mark.parametrize("as_output", [True, False])
def test_a_folder_that_may_not_be_entered(cli, models, photo, monkeypatch, as_output):
    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    output, read = ("private/out.png", photo) if as_output else ("out.png", "private/in.png")
    monkeypatch.setattr(Path, "exists", refuse)  # as for any user but root
    result = cli("image", read, "-m", models / "negative.onnx", "-o", output)
    assert_error(result, "permission denied")


@pytest.mark.parametrize("as_output", [True, False])
@pytest.mark.parametrize("length", [250, 400])
def test_a_name_that_is_too_long(cli, models, photo, tmp_path, as_output, length):
    name = f"{'x' * (length - 4)}.png"
    output, read = (name, photo) if as_output else ("out.png", name)
    result = cli("image", read, "-m", models / "negative.onnx", "-o", output)
    said = "too long" if length > 255 or as_output else "there is no picture"
    assert said in result.err.replace("name too long", "name is too long")
    assert (result.status, result.err.count("error:")) == (2, 1)
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize("output", ["nowhere/out.png", "nowhere/"])
def test_output_folder_that_does_not_exist(cli, models, photo, tmp_path, output):
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", output)
    assert_error(result, "nowhere", "does not exist")
    assert list(tmp_path.iterdir()) == [photo]


def test_output_folder_that_is_a_file(cli, models, photo):
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", photo / "out.png")
    assert_error(result, "photo.png", "is a file")


def test_output_folder_that_cannot_be_written(cli, models, photo, tmp_path):
    # Nobody can make files here, the superuser included.
    unwritable = "/proc" if Path("/proc").is_dir() else "/System"
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", f"{unwritable}/out.png")
    assert_error(result, unwritable)


def test_full_disk_leaves_the_old_picture(cli, models, photo, tmp_path, monkeypatch):
    (tmp_path / "out.png").write_bytes(b"old")

    def full(self, data):
        self.open("wb").write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        result = cli("image", photo, "-m", models / "negative.onnx", "-o", "out.png")
    assert_error(result, "out.png", "No space left")
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.png"]


def test_several_photos_need_a_folder(cli, models, photo):
    result = cli("image", photo, photo, "-m", models / "negative.onnx", "-o", "out.png")
    assert_error(result, "folder")


def test_two_photos_of_one_name(cli, models, photo, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "photo.png").write_bytes(photo.read_bytes())
    result = cli(
        "image", photo, "b/photo.png", "-m", models / "negative.onnx", "-o", f"{tmp_path}/"
    )
    assert_error(result, "photo-negative.png")


def test_never_replaces_the_photo(cli, models, photo):
    before = photo.read_bytes()
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", photo)
    assert_error(result, "the photo itself")
    assert photo.read_bytes() == before


def test_never_replaces_another_photo(cli, models, photo, tmp_path):
    other = tmp_path / "photo-negative.png"
    other.write_bytes(photo.read_bytes())
    before = other.read_bytes()
    result = cli("image", photo, other, "-m", models / "negative.onnx", "-o", f"{tmp_path}/")
    assert_error(result, "photo-negative.png' would be written", "choose another --output")
    assert other.read_bytes() == before
    assert not (tmp_path / "photo-negative-negative.png").exists()


@pytest.mark.parametrize("size", ["0x0", "wide", "640x", "-3x20", "640x480x3", "8x8", "0", "20000"])
def test_bad_sizes(cli, models, photo, size):
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", "out.png", f"--size={size}")
    assert_error(result, size)


def test_missing_model_file(cli, photo):
    assert_error(cli("image", photo, "-m", "models/none.onnx", "-o", "out.png"), "models/none.onnx")


@pytest.mark.parametrize("length", [0, 10, 200, 700])
def test_truncated_model(cli, models, photo, tmp_path, length):
    (tmp_path / "cut.onnx").write_bytes((models / "negative.onnx").read_bytes()[:length])
    result = cli("image", photo, "-m", "./cut.onnx", "-o", "out.png")
    assert_error(result, "cut.onnx")
    assert not (tmp_path / "out.png").exists()


def test_picture_as_model(cli, photo):
    assert_error(cli("image", photo, "-m", photo, "-o", "out.png"), "not an ONNX model")


def test_model_that_is_no_image_network(cli, models, photo):
    result = cli("image", photo, "-m", models / "classifier.onnx", "-o", "out.png")
    assert_error(result, "expected an image network", "[1, 4]", "[1, 2]")


def test_unknown_style_suggests_the_nearest(cli, models, photo, tmp_path):
    (tmp_path / "exported").mkdir()
    for name in ("starry", "scream"):
        data = (models / "negative.onnx").read_bytes()
        (tmp_path / "exported" / f"{name}.onnx").write_bytes(data)
    result = cli("image", photo, "-m", "stary", "-o", "out.png")
    assert_error(result, "did you mean 'starry'?", "scream")


def test_provider_that_is_not_there(cli, models, photo, tmp_path):
    result = cli(
        "image", photo, "-m", models / "negative.onnx", "-o", "out.png", "--provider", "rocm"
    )
    assert_error(result, "rocm", "available: ", "cpu")
    assert not (tmp_path / "out.png").exists()


def test_provider_misspelt(cli, models, photo):
    result = cli(
        "image", photo, "-m", models / "negative.onnx", "-o", "out.png", "--provider", "cdua"
    )
    assert_error(result, "did you mean 'cuda'?")
