"""Label images: equal colours are equal labels; what does not match is one clear line."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.errors import UsageError
from edge_style.photo.masks import read_masks, shrink

RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)
PHOTO = np.zeros((30, 40, 3), np.uint8)
REFERENCE = np.zeros((20, 24, 3), np.uint8)


def write_mask(path: Path, size: tuple[int, int], left, right) -> Path:
    height, width = size
    mask = np.zeros((height, width, 3), np.uint8)
    mask[:, : width // 2], mask[:, width // 2 :] = left, right
    cv2.imwrite(str(path), mask[..., ::-1])
    return path


def masks(tmp_path: Path, photo_colours, reference_colours, photo_size=(30, 40)):
    return (
        write_mask(tmp_path / "photo.png", photo_size, *photo_colours),
        write_mask(tmp_path / "reference.png", (20, 24), *reference_colours),
        PHOTO,
        REFERENCE,
    )


def test_equal_colours_are_equal_labels(tmp_path):
    own, others = read_masks(*masks(tmp_path, (RED, BLUE), (BLUE, RED)))
    assert own.shape == (30, 40)
    assert others.shape == (20, 24)
    assert own[0, 0] == others[0, -1] != own[0, -1] == others[0, 0]
    assert set(np.unique(own)) == {0, 1}


def test_another_size_is_refused(tmp_path):
    with pytest.raises(UsageError, match="41x30 pixels, its photo 40x30"):
        read_masks(*masks(tmp_path, (RED, BLUE), (RED, BLUE), photo_size=(30, 41)))


def test_labels_without_a_partner_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"'.*reference.png' lacks #0000ff") as caught:
        read_masks(*masks(tmp_path, (RED, BLUE), (RED, GREEN)))
    assert "photo.png' lacks #00ff00" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_photo_as_mask_is_refused(tmp_path):
    paths = masks(tmp_path, (RED, BLUE), (RED, BLUE))
    noise = np.random.default_rng(0).integers(0, 256, PHOTO.shape, dtype=np.uint8)
    cv2.imwrite(str(paths[0]), noise)
    with pytest.raises(UsageError, match="label image"):
        read_masks(*paths)


def test_shrinking_takes_the_label_at_the_middle():
    labels = np.repeat(np.arange(6, dtype=np.int32), 5)[np.newaxis].repeat(5, axis=0)
    np.testing.assert_array_equal(shrink(labels, 6, 1), [[0, 1, 2, 3, 4, 5]])
    assert shrink(labels, 30, 5) is labels
