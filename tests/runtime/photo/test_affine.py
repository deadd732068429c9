"""The fast smoothing: He et al.'s guided filter, and its step to full size."""

import cv2
import numpy as np
import pytest

from edge_style.photo.affine import LocalAffine, fit_local_affine, smooth_fast


def photo_of(width_px: int, height_px: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


def test_one_pixel_is_the_papers_formula():
    photo, target = photo_of(24, 20), photo_of(24, 20, 1).astype(np.float32)
    radius, epsilon = 1, 1e-3
    fitted = fit_local_affine(photo, target, radius_px=radius, epsilon=epsilon)
    guide, wanted = photo / 255.0, target / 255.0
    maps = []
    for y in range(8, 11):
        for x in range(8, 11):
            window = guide[y - 1 : y + 2, x - 1 : x + 2].reshape(9, 3)
            values = wanted[y - 1 : y + 2, x - 1 : x + 2].reshape(9, 3)
            spread = np.cov(window.T, bias=True) + epsilon * np.eye(3)
            cross = (window - window.mean(0)).T @ (values - values.mean(0)) / 9
            factors = np.linalg.solve(spread, cross)
            maps.append((factors, values.mean(0) - window.mean(0) @ factors))
    factors = np.mean([factors for factors, _ in maps], axis=0)
    offset = np.mean([offset for _, offset in maps], axis=0)
    own = fitted.coefficients[9, 9].reshape(3, 4)
    np.testing.assert_allclose(own[:, :3], factors.T, atol=2e-3)
    np.testing.assert_allclose(own[:, 3], offset, atol=2e-3)


@pytest.mark.parametrize("size_px", [(16, 16), (97, 53)])
def test_one_colour_stays(size_px):
    photo = photo_of(*size_px)
    picture = np.full(photo.shape, (210, 80, 20), np.uint8)
    assert np.abs(smooth_fast(photo, picture).apply(photo).astype(int) - picture).max() <= 1


def test_an_affine_map_of_the_photo_stays():
    photo = photo_of(120, 90)
    picture = photo @ np.array([[0.5, 0.1, 0], [0.1, 0.6, 0.1], [0, 0, 0.4]]) + (30, 10, 60)
    made = smooth_fast(photo, picture, epsilon=1e-5).apply(photo)
    assert np.abs(made - picture).mean() < 1.5


def test_texture_that_the_photo_lacks_goes_and_edges_stay():
    photo = np.full((80, 120, 3), 60, np.uint8)
    photo[:, 60:] = 190
    texture = np.random.default_rng(2).normal(0, 25, photo.shape)
    picture = np.clip(255 - photo + texture, 0, 255).astype(np.uint8)
    smoothed = smooth_fast(photo, picture, window=0.13, shrink=1).apply(photo).astype(float)
    assert smoothed[10:-10, 10:50].std() < 4
    assert smoothed[:, 58].mean() - smoothed[:, 61].mean() > 100


def test_no_glow_is_left_around_dark_things_before_a_sky():
    photo = np.full((180, 240, 3), 200, np.uint8)
    photo[60:, 90:150] = 30
    photo[130:] = 90
    around = cv2.GaussianBlur((photo[..., 0] == 30).astype(np.float32), (0, 0), 8)
    glow = np.where(photo == 200, 60 * around[..., np.newaxis], 0)
    sky = slice(20, 120), slice(20, 86)
    assert glow[sky].max() > 15
    # With windows half as wide, ten of seventeen levels stayed.
    assert np.ptp(smooth_fast(photo, glow).values(photo)[sky]) < 6


def test_a_map_of_a_small_picture_brings_the_photos_details_back():
    large = photo_of(64, 48).repeat(8, axis=0).repeat(8, axis=1)  # sharp blocks of 8 pixels
    small = cv2.resize(large, (128, 96), interpolation=cv2.INTER_AREA)
    made = smooth_fast(small, 255 - small, window=0.03, epsilon=1e-5).apply(large)
    assert made.shape == large.shape
    assert np.abs(made.astype(int) - (255 - large)).mean() < 3
    # A picture merely enlarged would be soft at the blocks' edges.
    blurred = cv2.resize(255 - small, (512, 384), interpolation=cv2.INTER_CUBIC)
    assert (
        np.abs(made.astype(int) - (255 - large)).mean()
        < np.abs(blurred.astype(int) - (255 - large)).mean()
    )


def test_strips_leave_no_seams():
    large = photo_of(50, 700)
    small = cv2.resize(large, (25, 350), interpolation=cv2.INTER_AREA)
    fitted = smooth_fast(small, photo_of(25, 350, 3))
    made = fitted.apply(large)
    stretched = cv2.resize(fitted.coefficients, (50, 700), interpolation=cv2.INTER_LINEAR)
    values = np.einsum("yxoi,yxi->yxo", stretched.reshape(700, 50, 3, 4)[..., :3], large / 1.0)
    whole = np.clip(values + stretched.reshape(700, 50, 3, 4)[..., 3] * 255, 0, 255)
    assert np.abs(made - whole).max() <= 1.01


def test_sums_of_maps_and_values_beyond_white():
    photo = photo_of(40, 30)
    whole = LocalAffine(np.full((1, 1, 12), 0.5, np.float32))
    fitted = smooth_fast(photo, photo_of(40, 30, 4).astype(np.float32) - photo)
    both = whole.plus(fitted)
    assert both.coefficients.shape == fitted.coefficients.shape
    np.testing.assert_allclose(
        both.values(photo), whole.values(photo) + fitted.values(photo), atol=0.02
    )
    assert whole.values(photo).max() > 255
    clipped = np.clip(np.rint(whole.values(photo)), 0, 255)
    np.testing.assert_array_equal(whole.apply(photo), clipped)


def test_differences_may_be_negative():
    photo = photo_of(60, 40)
    smoothed = smooth_fast(photo, np.full(photo.shape, -30, np.float32)).values(photo)
    np.testing.assert_allclose(smoothed, -30, atol=0.5)
