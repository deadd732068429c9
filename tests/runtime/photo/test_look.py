"""`--look`: tables of colours, how they are fitted, and how they follow a stream."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.errors import ImageError, UsageError
from edge_style.photo.look import Look, LookChoice
from edge_style.photo.table import (
    ColourTable,
    fit_nodes,
    identity_nodes,
    read_cube,
    write_cube,
)
from edge_style.photo.transport import carry_over
from edge_style.photo.wrapped import NoPainting, WithLook


def picture(seed: int, width_px: int = 80, height_px: int = 60) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (width_px, height_px), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.png"
    cv2.imwrite(str(path), (picture(1) // 3)[..., ::-1] + np.array([0, 20, 90], np.uint8))
    return path


def test_the_identity_changes_nothing_to_speak_of():
    frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    made = ColourTable.of(identity_nodes()).apply(frame)
    assert np.abs(made.astype(int) - frame).max() <= 1


def test_channels_are_not_confused():
    frame = picture(2)
    nodes = identity_nodes() * np.array([1.0, 0.5, 0.25], np.float32)
    made = ColourTable.of(nodes).apply(frame)
    assert np.abs(made - frame * np.array([1.0, 0.5, 0.25])).max() <= 1.5


def test_a_fitted_table_does_what_was_done():
    before = picture(3)
    after = 255 * (before / 255.0) ** 1.5
    made = ColourTable.of(fit_nodes(before, after)).apply(before)
    assert np.abs(made - after).mean() < 4


def test_cube_files_are_read_back(tmp_path):
    nodes = fit_nodes(picture(4), picture(5))
    write_cube(tmp_path / "x.cube", nodes, "x")
    np.testing.assert_allclose(read_cube(tmp_path / "x.cube"), nodes, atol=1e-3)


@pytest.mark.parametrize(
    "text", ["", "LUT_3D_SIZE 2\n0 0 0\n", "LUT_3D_SIZE 999\n", "LUT_3D_SIZE x", "1 2 3"]
)
def test_damaged_cube_files_are_refused(tmp_path, text):
    (tmp_path / "x.cube").write_text(text)
    with pytest.raises(ImageError, match=r"\.cube"):
        read_cube(tmp_path / "x.cube")


def test_transport_reaches_the_references_colours():
    photo, goal = picture(6), picture(7) // 3 + np.array([90, 20, 0], np.uint8)
    before, after = carry_over(photo, goal)
    pixels = goal.reshape(-1, 3)
    apart = np.abs(before.mean(0) - pixels.mean(0)).max()
    assert np.abs(after.mean(0) - pixels.mean(0)).max() < 0.2 * apart
    np.testing.assert_allclose(after.std(0), pixels.std(0), rtol=0.35)


def test_a_look_reaches_the_reference_and_a_still_scene_stays_still(reference):
    look, frame = Look(LookChoice.read(reference), in_background=False), picture(8)
    first = look.apply(frame)
    goal = cv2.imread(str(reference))[..., ::-1]
    assert np.abs(first.mean((0, 1)) - goal.mean((0, 1))).max() < 12
    for _ in range(200):
        last = look.apply(frame)
    assert np.abs(last.astype(int) - first).mean() < 1.5


def test_the_table_glides_and_never_jumps_while_the_scene_changes(reference):
    look = Look(LookChoice.read(reference), in_background=False)
    probe, frame = picture(9), picture(10)
    look.apply(frame)
    before = look._table.apply(probe).astype(int)
    largest = 0.0
    for number in range(200):
        look.apply(np.clip(frame.astype(int) + number // 8, 0, 255).astype(np.uint8))
        now = look._table.apply(probe).astype(int)
        largest, before = max(largest, np.abs(now - before).mean()), now
    assert 0 < largest < 3


def test_another_scene_gets_its_own_table_at_once(reference):
    look = Look(LookChoice.read(reference), in_background=False)
    for _ in range(20):
        look.apply(picture(11) // 4)
    bright = 255 - picture(12) // 4
    for _ in range(8):
        made = look.apply(bright)
    alone = Look(LookChoice.read(reference), in_background=False).apply(bright)
    assert np.abs(made.astype(int) - alone).mean() < 2


class Shades(NoPainting):
    """Two styles, a dark one and a bright one."""

    styles = ("dark", "bright")

    def infer(self, prepared, style=None):
        weights = (1, 0) if style is None else style
        return (prepared * (0.2 * weights[0] + weights[1])).astype(np.uint8)


@pytest.mark.parametrize("in_background", [True, False])
def test_another_style_gets_its_own_table_at_once(reference, in_background):
    stylizer = WithLook(Shades(), Look(LookChoice.read(reference), in_background=in_background))
    frame = picture(8)

    def shown(style):
        return stylizer.finish(stylizer.infer(frame, style), frame).astype(int)

    goal = cv2.imread(str(reference))[..., ::-1].mean((0, 1))
    for style in ((1, 0), (0, 1), (1, 0)):
        for _ in range(20):
            last = shown(style)
            assert np.abs(last.mean((0, 1)) - goal).max() < 12


def test_a_look_follows_a_fade(reference):
    stylizer = WithLook(Shades(), Look(LookChoice.read(reference), in_background=False))
    frame = picture(8)
    goal = cv2.imread(str(reference))[..., ::-1].mean()
    for step in range(46 + 8):
        share = min(1.0, step / 45)
        made = stylizer.finish(stylizer.infer(frame, (1 - share, share)), frame)
        # Between two of its steps, eight frames here, colours run ahead.
        assert abs(made.mean() - goal) < 40
    assert abs(made.mean() - goal) < 12


def test_errors_in_the_background_reach_the_caller():
    def broken(_: np.ndarray) -> np.ndarray:
        raise UsageError("broken")

    look = Look(LookChoice(broken), in_background=True)
    with pytest.raises(UsageError, match="broken"):
        look.apply(picture(13))


def test_a_finished_table_is_taken_as_it_is(tmp_path):
    write_cube(tmp_path / "x.cube", 255 - identity_nodes(), "negative")
    look, frame = Look(LookChoice.read(tmp_path / "x.cube"), in_background=True), picture(14)
    assert np.abs(look.apply(frame).astype(int) - (255 - frame)).max() <= 2


def test_a_reference_of_one_colour_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((40, 40, 3), 90, np.uint8))
    with pytest.raises(UsageError, match="one colour"):
        LookChoice.read(tmp_path / "flat.png")
