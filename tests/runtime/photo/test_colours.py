"""The first step: colours with the reference's statistics, in every region."""

import cv2
import numpy as np
import pytest

from edge_style.photo.colours import match_colours


def picture(seed: int, width_px: int = 80, height_px: int = 60) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(60, 200, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


def test_mean_and_covariance_are_the_references():
    photo, reference = picture(0), picture(1, 50, 70) // 2
    made = match_colours(photo, reference).values(photo).reshape(-1, 3)
    goal = reference.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(made.mean(0), goal.mean(0), atol=1)
    np.testing.assert_allclose(np.cov(made.T), np.cov(goal.T), atol=0.05 * np.cov(goal.T).max())


def halves(height_px: int, width_px: int) -> np.ndarray:
    labels = np.zeros((height_px, width_px), np.int32)
    labels[height_px // 2 :] = 1
    return labels


def test_each_region_gets_its_own_light():
    photo = picture(4)
    reference = picture(5)
    reference[:30] = reference[:30] // 4
    reference[30:] = 155 + reference[30:] // 4
    made = match_colours(photo, reference, (halves(60, 80), halves(60, 80))).values(photo)
    for rows in (slice(0, 20), slice(40, 60)):
        wanted = reference[rows].mean((0, 1))
        assert np.abs(made[rows].mean((0, 1)) - wanted).max() < 12
    # One map for both would have to meet in the middle.
    plain = match_colours(photo, reference).values(photo)
    assert np.abs(plain[:20].mean((0, 1)) - reference[:20].mean((0, 1))).max() > 40


def test_regions_meet_at_the_photos_edge_not_at_a_sloppy_masks():
    photo = np.full((60, 80, 3), 60, np.uint8)
    photo[30:] = 200
    reference = photo.copy()
    reference[30:] = (255, 120, 40)
    sloppy = np.roll(halves(60, 80), 3, axis=0)
    sloppy[:3] = 0
    made = match_colours(photo, reference, (sloppy, halves(60, 80))).apply(photo)
    red = made[..., 0].astype(int)
    # Rows 30 to 32 are bright in the photo, and the dark region's in the mask.
    assert red[40, 40] > 220
    assert abs(red[31, 40] - red[40, 40]) < 0.5 * (255 - 60)
    assert abs(red[29, 40] - 60) < 20


def test_a_region_too_small_to_measure_keeps_its_colours():
    photo, reference = picture(6), picture(7) // 3
    own, other = np.zeros((60, 80), np.int32), np.zeros((60, 80), np.int32)
    own[:20], other[0, :3] = 1, 1
    made = match_colours(photo, reference, (own, other)).values(photo)
    assert np.abs(made[:8] - photo[:8]).mean() < 8
    assert made[40:].mean() < 0.7 * photo[40:].mean()


@pytest.mark.parametrize("flat", ["photo", "reference"])
def test_one_colour_is_no_division_by_nothing(flat):
    pictures = {"photo": picture(8), "reference": picture(9)}
    pictures[flat] = np.full((60, 80, 3), 90, np.uint8)
    made = match_colours(pictures["photo"], pictures["reference"]).values(pictures["photo"])
    assert np.isfinite(made).all()
    assert made.min() > -100
    assert made.max() < 355
