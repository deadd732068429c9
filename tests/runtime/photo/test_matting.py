"""The exact smoothing: the matting Laplacian by its definition, and the system really solved."""

import sys

import cv2
import numpy as np
import pytest

from edge_style.errors import MissingExtraError, UsageError
from edge_style.photo.matting import affinities, smooth_exact

pytest.importorskip("scipy")
EPSILON = 1e-5


def small_photo(width_px: int, height_px: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


def dense_affinities(photo: np.ndarray, epsilon: float) -> np.ndarray:
    """Levin et al. 2008, equation 12, window by window."""
    colours, (height, width) = photo / 255.0, photo.shape[:2]
    found = np.zeros((height * width, height * width))
    for top in range(height - 2):
        for left in range(width - 2):
            window = colours[top : top + 3, left : left + 3].reshape(9, 3)
            centred = window - window.mean(axis=0)
            inverse = np.linalg.inv(np.cov(window.T, bias=True) + epsilon / 9 * np.eye(3))
            places = [(top + y) * width + left + x for y in range(3) for x in range(3)]
            found[np.ix_(places, places)] += (1 + centred @ inverse @ centred.T) / 9
    return found


@pytest.mark.parametrize("size_px", [(16, 16), (21, 17)])
def test_affinities_are_the_definition(size_px):
    photo = small_photo(*size_px)
    width, height = size_px
    dense = np.zeros((height * width, height * width))
    for (dy, dx), band in affinities(photo, EPSILON).items():
        for y in range(height):
            for x in range(width):
                if 0 <= x + dx < width and y + dy < height:
                    here, there = y * width + x, (y + dy) * width + x + dx
                    dense[here, there] = dense[there, here] = band[y, x]
                else:
                    assert band[y, x] == 0
    np.testing.assert_allclose(dense, dense_affinities(photo, EPSILON), atol=1e-8)


# In narrow ones neighbours of different ways lie equally far apart in the rows' order.
@pytest.mark.parametrize("size_px", [(24, 18), (3, 40), (4, 40), (40, 3), (3, 3), (4, 4)])
def test_exact_solves_the_linear_system(size_px):
    photo = small_photo(*size_px)
    picture = np.random.default_rng(1).integers(0, 256, photo.shape).astype(np.uint8)
    fidelity = 1e-3
    weights = dense_affinities(photo, EPSILON)
    degree, alpha = np.diag(weights.sum(axis=1)), 1 / (1 + fidelity)
    wanted = np.linalg.solve(
        degree - alpha * weights, (1 - alpha) * degree @ picture.reshape(-1, 3).astype(float)
    )
    found = smooth_exact(photo, picture, fidelity=fidelity, epsilon=EPSILON)
    np.testing.assert_allclose(found.reshape(-1, 3), wanted, atol=0.05)


def test_one_colour_stays_what_it_is_up_to_the_border():
    photo = small_photo(40, 30)
    picture = np.full(photo.shape, (200, 90, 30), np.uint8)
    np.testing.assert_allclose(smooth_exact(photo, picture), picture, atol=0.05)


def test_a_local_affine_map_of_the_photo_stays():
    photo = small_photo(40, 30)
    picture = np.clip(photo * np.array([0.5, 0.8, 0.3]) + (20, 0, 90), 0, 255).astype(np.float32)
    # The less counts as flat, the more of it stays: at 0 all of it would.
    assert np.abs(smooth_exact(photo, picture, epsilon=1e-7) - picture).mean() < 1.5


def test_noise_goes_and_edges_stay():
    photo = np.full((40, 60, 3), 60, np.uint8)
    photo[:, 30:] = 190
    noise = np.random.default_rng(2).normal(0, 25, photo.shape)
    picture = np.clip(photo + noise, 0, 255).astype(np.uint8)
    smoothed = smooth_exact(photo, picture)
    assert smoothed[5:-5, 5:25].std() < 4 < picture[5:-5, 5:25].std()
    step = smoothed[:, 30].mean() - smoothed[:, 29].mean()
    assert step > 100


def test_the_steps_of_8_bit_colours_are_not_drawn_into_a_smooth_sky():
    """Seen as edges, those steps keep the patches of colour between them apart."""
    ramp = np.linspace(100, 108, 60, dtype=np.float32)[:, np.newaxis, np.newaxis]
    photo = np.tile(np.rint(ramp), (1, 50, 3)).astype(np.uint8)
    blotches = cv2.resize(
        np.random.default_rng(5).normal(0, 30, (6, 6, 3)), (50, 60), interpolation=cv2.INTER_CUBIC
    )
    smoothed = smooth_exact(photo, blotches)
    sharp = np.abs(np.diff(smoothed, axis=0)).max()
    assert sharp < 0.6 * np.abs(np.diff(smooth_exact(photo, blotches, epsilon=1e-7), axis=0)).max()


def test_more_fidelity_is_closer_to_the_picture():
    photo = small_photo(30, 30)
    picture = np.random.default_rng(3).integers(0, 256, photo.shape).astype(np.uint8)
    distances = [
        np.abs(smooth_exact(photo, picture, fidelity=fidelity) - picture).mean()
        for fidelity in (1e-4, 1e-2, 1.0)
    ]
    assert distances[0] > distances[1] > distances[2]


def test_progress_grows():
    photo = small_photo(60, 50)
    picture = np.random.default_rng(4).integers(0, 256, photo.shape).astype(np.uint8)
    shares: list[float] = []
    smooth_exact(photo, picture, report=shares.append)
    assert shares
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_sizes_must_match():
    with pytest.raises(UsageError, match="size"):
        smooth_exact(small_photo(20, 20), small_photo(20, 21))


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(MissingExtraError, match=r"edge-style\[photo\]"):
        smooth_exact(small_photo(20, 20), small_photo(20, 20))
