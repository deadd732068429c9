"""The command `photo`, on networks of seeded weights built by torch and run by onnxruntime."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edge_style.cli import main
from edge_style.images import read_image
from edge_style.photo.networks import PhotoNetworks, file_names, padded, unpadded
from edge_style.photo.table import read_cube
from edge_style.photo.transfer import PhotoOptions, Stages, transfer_light
from edge_style_tools.photo_networks import build_networks, find_decoder
from edge_style_tools.photo_scores import (
    edge_similarity,
    match_histogram,
    match_mean_and_deviation,
)
from edge_style_training.photo.decoder_training import load_decoder
from edge_style_training.photo.networks import PhotoEncoder
from edge_style_training.vgg import LossNetwork, load_loss_network


def picture(width_px: int, height_px: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(LossNetwork(["relu4_1"]).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def networks(vgg: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    build_networks(vgg, folder)
    return folder


@pytest.fixture
def run(tmp_path: Path, networks: Path, capfd: pytest.CaptureFixture[str]):
    """Runs `photo` on two pictures of the test's own: (status, standard error)."""
    cv2.imwrite(str(tmp_path / "photo.png"), picture(70, 50, 0))
    cv2.imwrite(str(tmp_path / "light.png"), picture(48, 64, 1) // 2)

    def call(*more: object, photo="photo.png", reference="light.png") -> tuple[int, str]:
        arguments = [
            "photo", str(tmp_path / photo), str(tmp_path / reference),
            "--networks", str(networks), *map(str, more),
        ]  # fmt: skip
        if "-o" not in arguments:
            arguments += ["-o", str(tmp_path / "out.png")]
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        return caught.value.code, capfd.readouterr().err

    return call


def assert_one_line(result: tuple[int, str], *words: str) -> None:
    status, err = result
    assert status == 2, err
    assert err.startswith("error: "), err
    assert err.count("\n") == 1, err
    for word in words:
        assert word in err


def test_the_files_compute_what_torch_computes(vgg, networks):
    image = padded(picture(50, 41, 2))
    encoder = PhotoEncoder.of(load_loss_network(vgg, ["relu4_1"]))
    decoder = load_decoder(find_decoder())
    with torch.no_grad():
        features = encoder(torch.from_numpy(image).unsqueeze(0))
        made = decoder(features)[-1][0].numpy()
    loaded = PhotoNetworks(networks)
    x, own = image, []
    for level in range(1, 5):
        x = loaded.encode(level, x)
        own.append(x)
        np.testing.assert_allclose(x, features[level - 1][0].numpy(), rtol=1e-3, atol=1e-3)
    own.pop()
    for level in range(4, 0, -1):
        x = loaded.decode(level, x, own.pop() if own else None)
    np.testing.assert_allclose(x, made, rtol=1e-3, atol=0.1)
    assert unpadded(x, 41, 50).shape == (41, 50, 3)
    assert {path.name for path in networks.iterdir()} == set(file_names())


@pytest.mark.parametrize("colours", ["--colours-first", "--no-colours-first"])
@pytest.mark.parametrize("smooth", ["fast", "exact", "none"])
def test_photo_writes_a_picture_of_the_photos_size(run, tmp_path, smooth, colours):
    status, err = run("--smooth", smooth, colours, "--json")
    assert status == 0, err
    assert read_image(tmp_path / "out.png").shape == (50, 70, 3)


@pytest.mark.parametrize("smooth", ["fast", "exact"])
def test_a_large_photo_keeps_its_size_while_the_networks_see_little(networks, smooth):
    photo, stages = picture(700, 300, 3), Stages()
    options = PhotoOptions(smooth=smooth, long_side_px=64)
    made = transfer_light(
        photo, picture(64, 64, 4), PhotoNetworks(networks), options, stages=stages
    )
    assert made.shape == photo.shape
    assert {"encoder", "decoder", "transform", "smoothing", "full size"} <= stages.seconds.keys()


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (400, 16)])
def test_odd_and_tiny_sizes(networks, size):
    made = transfer_light(
        picture(*size, 5), picture(31, 17, 6), PhotoNetworks(networks), PhotoOptions()
    )
    assert made.shape == (size[1], size[0], 3)


def test_grey_pictures(run, tmp_path):
    grey = cv2.cvtColor(picture(70, 50, 0), cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    for pair in ({"photo": "grey.png"}, {"reference": "grey.png"}):
        status, err = run(**pair)
        assert status == 0, err


def test_a_table_of_the_colours_is_written(run, tmp_path):
    status, err = run("--table", tmp_path / "look.cube")
    assert status == 0, err
    assert read_cube(tmp_path / "look.cube").shape == (33, 33, 33, 3)


def test_masks(run, tmp_path):
    for name, shape in (("own.png", (50, 70)), ("other.png", (64, 48))):
        mask = np.zeros((*shape, 3), np.uint8)
        mask[: shape[0] // 2] = 255
        cv2.imwrite(str(tmp_path / name), mask)
    both = ("--photo-mask", tmp_path / "own.png", "--reference-mask", tmp_path / "other.png")
    status, err = run(*both)
    assert status == 0, err
    assert_one_line(run("--photo-mask", tmp_path / "own.png"), "go together")
    swapped = ("--photo-mask", tmp_path / "other.png", "--reference-mask", tmp_path / "own.png")
    assert_one_line(run(*swapped), "48x64 pixels, its photo 70x50")
    cv2.imwrite(str(tmp_path / "other.png"), np.zeros((64, 48, 3), np.uint8))
    assert_one_line(run(*both), "labels of the masks do not match", "#ffffff")


def test_mistakes_are_one_line(run, tmp_path):
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((40, 40, 3), 90, np.uint8))
    cv2.imwrite(str(tmp_path / "tiny.png"), picture(9, 9, 7))
    assert_one_line(run(reference="flat.png"), "one colour only")
    assert_one_line(run(photo="tiny.png"), "9x9", "16x16")
    assert_one_line(run(photo="nobody.png"), "no picture")
    assert_one_line(run("--smooth", "much"), "fast, exact or none")
    assert_one_line(run("--transform", "x"), "--transform")
    assert_one_line(run("--table", tmp_path / "look.png"), ".cube")
    assert_one_line(run("-o", tmp_path / "nowhere" / "out.png"), "does not exist")
    assert_one_line(run("--networks", tmp_path / "x", "--vgg", tmp_path / "no.pth"), "no.pth")


def test_what_would_be_found_late_is_found_before_anything_is_computed(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "edge_style.photo.transfer.transfer_light", lambda *_, **__: pytest.fail("computed")
    )
    # Not even the networks are looked for, which takes minutes where they have to be built.
    monkeypatch.setattr("edge_style_tools.cli_photo._built", lambda *_: pytest.fail("built"))
    assert_one_line(run("--provider", "toaster"), "no provider is called 'toaster'")
    (tmp_path / "folder.cube").mkdir()
    assert_one_line(run("--table", tmp_path / "folder.cube"), "is a folder")
    assert_one_line(run("--table", tmp_path / f"{'x' * 247}.cube"), "cannot write")
    assert_one_line(run("--table", tmp_path / "nowhere" / "look.cube"), "does not exist")
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    assert_one_line(run("--smooth", "exact"), "edge-style[photo]")
    assert not list(tmp_path.rglob(".*"))
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("smooth", ["fast", "exact", "none"])
@pytest.mark.parametrize("size", [(16, 400), (300, 17), (20, 2000)])
def test_narrow_photos_are_not_scaled_away(networks, smooth, size):
    options = PhotoOptions(smooth=smooth, long_side_px=64)
    made = transfer_light(picture(*size, 5), picture(31, 47, 6), PhotoNetworks(networks), options)
    assert made.shape == (size[1], size[0], 3)


def test_a_run_needs_no_torch(run, tmp_path, networks):
    run()  # writes the pictures
    code = (
        "import sys\nsys.modules['torch'] = sys.modules['onnx'] = None\n"
        "from edge_style_tools.cli_photo import photo\nfrom pathlib import Path\n"
        "photo(*map(Path, sys.argv[1:4]), networks=Path(sys.argv[4]))"
    )
    names = [tmp_path / name for name in ("photo.png", "light.png", "late.png")]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, names), str(networks)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert names[2].is_file()


def test_edge_similarity_sees_structure_not_darkness():
    photo = picture(90, 70, 8)
    assert edge_similarity(photo, photo) == pytest.approx(1)
    assert edge_similarity(photo, photo // 2) > 0.95
    assert edge_similarity(photo, picture(90, 70, 9)) < 0.6


def cone_logarithms(pixels: np.ndarray) -> np.ndarray:
    """l, alpha and beta of Ruderman et al. 1998, as Reinhard et al. 2001 write them out."""
    red, green, blue = ((pixels.reshape(-1, 3) + 1.0) / 256).T
    long = np.log10(0.3811 * red + 0.5783 * green + 0.0402 * blue)
    middle = np.log10(0.1967 * red + 0.7244 * green + 0.0782 * blue)
    short = np.log10(0.0241 * red + 0.1288 * green + 0.8444 * blue)
    return np.stack(
        [
            (long + middle + short) / 3**0.5,
            (long + middle - 2 * short) / 6**0.5,
            (long - middle) / 2**0.5,
        ],
        axis=1,
    )


def test_plain_transfers_reach_their_statistics():
    # Far enough from 0 and 255 that nothing is clipped.
    photo, reference = 80 + picture(90, 70, 10) // 3, 50 + picture(60, 80, 11) // 5
    reference[..., 0] += 30
    goal = reference.reshape(-1, 3).astype(float)
    matched = match_histogram(photo, reference).reshape(-1, 3).astype(float)
    # Not along the channels alone: what goes with what counts in a histogram of three dimensions.
    for way in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, -1, 0], [1, 1, -2]):
        got, wanted = (
            np.quantile(pixels @ way / np.linalg.norm(way), np.linspace(0, 1, 101))
            for pixels in (matched, goal)
        )
        assert np.abs(got - wanted).mean() < 0.6, way
    np.testing.assert_allclose(np.cov(matched.T), np.cov(goal.T), atol=0.01 * np.cov(goal.T).max())

    plain = cone_logarithms(match_mean_and_deviation(photo, reference))
    wanted = cone_logarithms(reference)
    np.testing.assert_allclose(plain.mean(axis=0), wanted.mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(plain.std(axis=0), wanted.std(axis=0), rtol=0.01)
