"""Pictures that nobody painted: each technique does what it says, and no two are alike."""

import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edge_style_training.made_styles import (
    brushed,
    cut_out,
    drawn,
    hatched,
    inlaid,
    made_style,
    made_texture,
    tiled,
)

from .conftest import textured

SIDE_PX = 96
TECHNIQUES = [brushed, tiled, inlaid, cut_out, hatched, drawn, made_style]


def draws(number: int) -> list[random.Random]:
    return [random.Random(f"made {each}") for each in range(number)]


@pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda one: one.__name__)
def test_each_draw_is_a_picture_of_its_own(technique: Callable[..., Any]) -> None:
    photo = textured(SIDE_PX, SIDE_PX, 1)
    untouched = photo.copy()
    made = [technique(photo, draw) for draw in draws(12)]
    assert all(one.shape == photo.shape and one.dtype == np.uint8 for one in made)
    assert all(one.std() > 1 for one in made), "something is to be seen"
    assert len({one.tobytes() for one in made}) == 12
    again = [technique(photo, draw) for draw in draws(12)]
    assert [one.tobytes() for one in made] == [one.tobytes() for one in again]
    np.testing.assert_array_equal(photo, untouched)


def test_the_smallest_crops_can_be_painted_too() -> None:
    for draw in draws(60):
        assert made_style(textured(16, 16, 2), draw).shape == (16, 16, 3)


@pytest.mark.parametrize("technique", [brushed, tiled], ids=lambda one: one.__name__)
def test_paint_has_the_photos_colours(technique: Callable[..., Any]) -> None:
    photo = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    photo[:, : SIDE_PX // 2] = (220, 40, 40)
    photo[:, SIDE_PX // 2 :] = (40, 40, 220)
    for draw in draws(12):
        left, right = np.split(technique(photo, draw).astype(float), 2, axis=1)
        assert left[..., 0].mean() > right[..., 0].mean() + 60
        assert right[..., 2].mean() > left[..., 2].mean() + 60


@pytest.mark.parametrize("technique", [hatched, drawn], ids=lambda one: one.__name__)
def test_ink_is_denser_where_the_photo_is_dark(technique: Callable[..., Any]) -> None:
    photo = np.full((SIDE_PX, SIDE_PX, 3), 230, np.uint8)
    photo[SIDE_PX // 2 :] = 30
    for draw in draws(12):
        light, dark = np.split(technique(photo, draw).astype(float), 2)
        assert light.mean() > dark.mean() + 60


def test_a_drawing_has_the_tones_between_one_ink_and_one_paper() -> None:
    photo = textured(SIDE_PX, SIDE_PX, 6)
    for draw in draws(12):
        pixels = drawn(photo, draw).reshape(-1, 3).astype(float)
        spread = np.linalg.svd(pixels - pixels.mean(axis=0), compute_uv=False)
        assert spread[1] < 0.05 * spread[0], "colours lie on one line"
        assert np.ptp(pixels[:, 0]) > 80
        assert len(np.unique(pixels[:, 0])) > 20, "softer than ink"


def test_a_painters_colours_may_be_stronger_than_the_photos() -> None:
    photo = np.full((SIDE_PX, SIDE_PX, 3), (120, 100, 90), np.uint8)
    chroma = [float(np.ptp(brushed(photo, draw).mean(axis=(0, 1)))) for draw in draws(30)]
    assert sum(one > 42 for one in chroma) > 3
    assert sum(25 < one < 38 for one in chroma) > 12


def test_cut_paper_has_few_colours() -> None:
    photo = textured(SIDE_PX, SIDE_PX, 3)
    for draw in draws(12):
        made = cut_out(photo, draw).reshape(-1, 3)
        _, counts = np.unique(made, axis=0, return_counts=True)
        # Smoothed edges have others; sixteen and the ink are what there may be of flat ones.
        flat = np.sort(counts)[::-1][:17].sum()
        assert flat > 0.5 * len(made)


def test_strokes_follow_forms() -> None:
    """Stripes are painted along, not across: there is less change along them than without order."""
    photo = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    photo[:] = (127 + 90 * np.sin(np.arange(SIDE_PX) / 6)).astype(np.uint8)[:, None, None]
    shares = []
    for draw in draws(24):
        grey = brushed(photo, draw).mean(axis=2).astype(np.float32)
        across, down = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        shares.append(float(np.square(across).sum() / np.square(down).sum()))
    assert np.median(shares) < 0.7, shares


def test_stones_of_few_kinds_lie_in_mortar() -> None:
    """A black and white photo: its stones are nearly its two colours, what is between them not."""
    photo = np.full((SIDE_PX, SIDE_PX, 3), 235, np.uint8)
    photo[SIDE_PX // 2 :] = 20
    for draw in draws(24):
        light, dark = np.split(inlaid(photo, draw).astype(float), 2)
        between = [
            ((half.mean(axis=2) > 45) & (half.mean(axis=2) < 190)).mean() for half in (light, dark)
        ]
        assert np.mean(between) > 0.05, "mortar is to be seen"
        # Chance may take both kinds from one half: then the halves are alike, but never reversed.
        assert light.mean() > dark.mean() - 15


def test_textures_have_any_side() -> None:
    assert made_texture(37, random.Random(0)).shape == (37, 37, 3)
