"""Small stand-ins for what training needs: a seeded loss network, photos, a painting."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from edge_style_training.losses import Objective
from edge_style_training.training_loop import Training
from edge_style_training.vgg import LossNetwork


def textured(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A smooth random picture [H, W, 3]: like a photo, neighbouring pixels resemble each other."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 8 + 2, width // 8 + 2, 3))
    return cv2.resize(noise.astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def ensure_validated_at(training: Training, sides: tuple[int, ...]) -> None:
    """A training with crops of `sides`, the middle one first, is scored by their mean."""
    scores, pictures = training.validate()
    assert pictures.shape[1:] == (3, sides[0], sides[0])
    totals = []
    for side in sides:
        training.dataset.crop_px, training.dataset.spread = side, 1.0
        totals.append(training.validate()[0]["total"])
    assert max(totals) > 1.001 * min(totals)
    assert scores["total"] == pytest.approx(sum(totals) / len(sides))


@pytest.fixture(scope="session")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG16 up to relu4_3 with seeded weights, under torchvision's keys."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    state = LossNetwork(["relu4_3"]).state_dict()
    save_file({key: value.half() for key, value in state.items()}, path)
    return path


@pytest.fixture(scope="session")
def loss_network() -> LossNetwork:
    torch.manual_seed(7)
    return LossNetwork(Objective().layers)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photos, nested, of several types and sizes, with two broken ones among them."""
    folder = tmp_path_factory.mktemp("content")
    (folder / "nested" / "deeper").mkdir(parents=True)
    names = ["a.jpg", "b.png", "nested/c.jpeg", "nested/deeper/d.bmp", "e.JPG", "f.webp", "g.jpg"]
    for seed, name in enumerate(names):
        cv2.imwrite(str(folder / name), textured(70 + 9 * seed, 100 - 6 * seed, seed))
    (folder / "notes.txt").write_text("not a picture")
    (folder / "broken.jpg").write_text("not a picture either")
    whole = (folder / "a.jpg").read_bytes()
    (folder / "nested" / "truncated.png").write_bytes(whole[:40])
    return folder


@pytest.fixture(scope="session")
def painting_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("painting") / "painting.png"
    cv2.imwrite(str(path), textured(90, 120, 99))
    return path
