"""The measure of steadiness: it knows the camera's motion, and sees what else changes."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from edge_style.images import Rgb
from edge_style_tools.flicker import filmed, measure, moving_camera
from edge_style_tools.photos import made_photo

# Blurred, so that interpolation does not count.
PHOTO = cv2.GaussianBlur(made_photo(3, 300, 400), None, 3)


@pytest.mark.parametrize(
    ("pan_px", "zoom"), [((0.0, 0.0), 1.0), ((3.0, -2.0), 1.0), ((0.0, 0.0), 1.02)]
)
def test_what_the_camera_did_is_undone(pan_px: tuple[float, float], zoom: float) -> None:
    steps = moving_camera(PHOTO, frames=4, pan_px=pan_px, zoom=zoom, noise_levels=0)
    change = measure(steps, lambda frame: frame).change_levels
    frames = [step.before for step in moving_camera(PHOTO, frames=4, pan_px=pan_px, zoom=zoom)]
    moved = np.abs(frames[0].astype(int) - frames[2]).mean()
    assert change < 1.0  # interpolation
    if pan_px != (0.0, 0.0):
        assert moved > 5 * change


def test_a_picture_that_is_left_as_it_is_flickers_like_its_noise() -> None:
    found = measure(moving_camera(PHOTO, frames=4, noise_levels=4), lambda frame: frame)
    assert found.ratio == pytest.approx(1)
    # The mean absolute difference of two normal variables of deviation 4.
    assert found.input_change_levels == pytest.approx(4 * 2 / np.sqrt(np.pi), rel=0.1)


def test_strokes_that_boil_are_seen_and_those_that_stick_are_not() -> None:
    generator = np.random.default_rng(0)

    def boil(frame: Rgb) -> Rgb:
        return np.clip(frame + generator.normal(0, 20, frame.shape), 0, 255).astype(np.uint8)

    def invert(frame: Rgb) -> Rgb:
        return 255 - frame

    def pale(frame: Rgb) -> Rgb:
        return (frame // 4 + 96).astype(np.uint8)

    boiling, still, paler = (
        measure(moving_camera(PHOTO, frames=4, pan_px=(2, 1)), stylize)
        for stylize in (boil, invert, pale)
    )
    assert boiling.ratio > 3
    assert still.ratio == pytest.approx(1, rel=0.05)
    # A paler picture changes less, but not for its contrast.
    assert paler.ratio < 0.4
    assert paler.relative_ratio == pytest.approx(still.relative_ratio, rel=0.2)


def test_the_motion_of_a_clip_is_estimated() -> None:
    clip = [step.before for step in moving_camera(PHOTO, frames=5, pan_px=(3, 2), noise_levels=1)]
    found = measure(filmed(clip), lambda frame: frame)
    unmoved = np.mean([np.abs(a.astype(int) - b).mean() for a, b in pairwise(clip)])
    assert found.change_levels < 0.5 * unmoved
