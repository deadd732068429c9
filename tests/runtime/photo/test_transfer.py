"""The whole way, with networks that pass pixels on: what is done around the networks shows."""

import cv2
import numpy as np
import pytest

from edge_style.photo.networks import padded, unpadded
from edge_style.photo.transfer import PhotoOptions, transfer_light


class PixelNetworks:
    """One level whose features are the pixels, and a noise and a tint that the decoder adds."""

    def __init__(self, noise_levels: float = 0, tint_levels: float = 0) -> None:
        self.seen: list[np.ndarray] = []
        self._noise_levels = noise_levels
        self._tint_levels = tint_levels

    def encode(self, level: int, features: np.ndarray) -> np.ndarray:
        assert level == 1
        self.seen.append(features)
        return features

    def decode(self, level: int, features: np.ndarray, details: np.ndarray | None) -> np.ndarray:
        assert level == 1
        assert details is None
        noise = np.random.default_rng(0).normal(0, self._noise_levels, features.shape)
        return (features + noise + self._tint_levels).astype(np.float32)


def picture(seed: int, width_px: int = 96, height_px: int = 64) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


PHOTO, REFERENCE = picture(0), picture(1, 64, 80) // 2


def transferred(networks: PixelNetworks, **more: object) -> np.ndarray:
    options = PhotoOptions(levels=1, **more)
    return transfer_light(PHOTO, REFERENCE, networks, options).astype(float)


@pytest.mark.parametrize("smooth", ["fast", "exact", "none"])
@pytest.mark.parametrize("colours_first", [True, False])
def test_statistics_are_the_references(smooth, colours_first):
    if smooth == "exact":
        pytest.importorskip("scipy")
    made = transferred(PixelNetworks(), smooth=smooth, colours_first=colours_first)
    assert np.abs(made.mean((0, 1)) - REFERENCE.mean((0, 1))).max() < 5


@pytest.mark.parametrize("smooth", ["fast", "none"])
def test_strength_goes_from_the_very_photo_to_all(smooth):
    nothing, half, whole = (
        transferred(PixelNetworks(tint_levels=9), smooth=smooth, strength=share)
        for share in (0, 0.5, 1)
    )
    np.testing.assert_array_equal(nothing, PHOTO)
    np.testing.assert_allclose(half, (nothing + whole) / 2, atol=0.5)
    assert np.abs(whole - PHOTO).mean() > 20


def test_the_networks_see_the_photo_in_the_references_colours():
    for colours_first, expected in ((True, REFERENCE), (False, PHOTO)):
        networks = PixelNetworks()
        transferred(networks, colours_first=colours_first)
        _, photo = networks.seen
        seen = unpadded(photo, *PHOTO.shape[:2])
        assert np.abs(seen.mean((0, 1)) - expected.mean((0, 1))).max() < 2
    np.testing.assert_array_equal(seen, unpadded(padded(PHOTO), *PHOTO.shape[:2]))


@pytest.mark.parametrize("smooth", ["fast", "exact"])
def test_what_networks_add_is_smoothed_and_the_photos_details_are_not(smooth):
    if smooth == "exact":
        pytest.importorskip("scipy")
    clean = transferred(PixelNetworks(), smooth="none")
    rough = transferred(PixelNetworks(25), smooth="none")
    smoothed = transferred(PixelNetworks(25), smooth=smooth)
    assert np.abs(rough - clean).mean() > 12
    assert np.abs(smoothed - clean).mean() < 4
