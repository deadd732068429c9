"""One place holds what is wanted; commands change it, whoever gives them."""

import math

import numpy as np
import pytest

from edge_style.controls import (
    COMMAND_NAMES,
    Command,
    Controls,
    Style,
    find_style,
    obey,
    title_of,
    weights_of,
)
from edge_style.errors import UsageError
from edge_style.pipeline.mix import Mixer, mirrored
from edge_style.sinks.keys import HELP_LINES, KEYS, command_for

STYLES = (
    Style("starry", "The Starry Night, Vincent van Gogh"),
    Style("plain", "plain", 1, 0, 3),
    Style("negative", "negative", 1, 1, 3),
    Style("night", "night", 1, 2, 3),
)


def after(*commands: Command, start: Controls | None = None) -> Controls:
    controls = start or Controls()
    for command in commands:
        controls = obey(controls, command, STYLES)
    return controls


def test_next_and_previous_go_round_and_a_number_chooses() -> None:
    assert after(Command("previous")).style == 3
    assert after(Command("previous"), Command("next")).style == 0
    assert after(Command("style", 2)).style == 2
    assert after(Command("style", 9)).style == 0
    assert after(Command("style", -1)).style == 0


def test_ten_steps_lead_from_one_end_to_the_other_and_no_further() -> None:
    down = [Command("strength", -0.1, is_step=True)] * 10
    assert after(*down).strength == 0
    assert after(*down, *down).strength == 0
    up = [Command("strength", 0.1, is_step=True)] * 10
    assert after(*down, *up).strength == 1
    assert after(Command("strength", 0.37)).strength == 0.37


def test_switches_turn_round_or_are_set() -> None:
    assert after(Command("mirror")).is_mirrored
    assert not after(Command("mirror"), Command("mirror")).is_mirrored
    assert after(Command("mirror", 1), Command("mirror", 1)).is_mirrored
    assert not after(Command("record", 0)).is_recording
    assert after(Command("snapshot"), Command("snapshot")).snapshots == 2


@pytest.mark.parametrize("name", COMMAND_NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, 5, -5, None])
def test_no_value_does_harm(name: str, value: float | None) -> None:
    controls = obey(Controls(), Command(name, value), STYLES)  # type: ignore[arg-type]
    assert 0 <= controls.strength <= 1
    assert 0 <= controls.edge <= 1
    assert 0 <= controls.style < len(STYLES)
    weights_of(controls, STYLES)


def test_styles_blend_within_a_network_only() -> None:
    alone = after(Command("partner"))
    assert (alone.partner, alone.blend) == (None, 0)
    pair = after(Command("style", 1), Command("partner"))
    assert (pair.partner, pair.blend) == (2, 0.5)
    assert weights_of(pair, STYLES) == (0.5, 0.5, 0)
    assert title_of(pair, STYLES) == "plain + 50% negative"
    more = obey(pair, Command("blend", 0.2, is_step=True), STYLES)
    assert weights_of(more, STYLES) == pytest.approx((0.3, 0.7, 0))
    assert obey(pair, Command("partner"), STYLES).partner == 3
    assert obey(pair, Command("style", 0), STYLES).partner is None
    assert obey(pair, Command("style", 2), STYLES).partner is None, "not with itself"
    assert weights_of(Controls(), STYLES) is None


def test_styles_are_found_by_name_title_or_number() -> None:
    assert find_style("Negative", STYLES) == 2
    assert find_style("the starry night, vincent van gogh", STYLES) == 0
    assert find_style("4", STYLES) == 3
    with pytest.raises(UsageError, match="starry, plain, negative, night"):
        find_style("missing", STYLES)


def test_every_key_is_in_the_help_and_means_one_thing() -> None:
    characters = [character for key in KEYS for character in key.keys]
    assert len(characters) == len(set(characters))
    assert len(HELP_LINES) == len(KEYS) + 1
    assert command_for("N") == command_for("n") == Command("next")
    assert command_for("9") == Command("style", 8)
    assert command_for("0") is None
    assert command_for("\xff") is None


def pair_of_pictures() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        rng.integers(0, 256, (40, 60, 3), dtype=np.uint8),
    )


def test_strength_lies_between_camera_and_painting() -> None:
    picture, frame = pair_of_pictures()
    before = picture.copy()
    mixer = Mixer()
    assert mixer.mix(picture, frame, Controls()) is picture, "costs nothing when it is off"
    assert (mixer.mix(picture, frame, Controls(strength=0)) == frame).all()
    half = mixer.mix(picture, frame, Controls(strength=0.5))
    expected = (picture.astype(float) + frame) / 2
    assert np.abs(half - expected).max() <= 1
    assert (picture == before).all()


def test_the_cameras_colours_keep_their_chroma_and_take_the_paintings_light() -> None:
    rng = np.random.default_rng(0)
    # Away from the ends of the range, where nothing is clipped.
    picture = rng.integers(100, 140, (40, 60, 3), dtype=np.uint8)
    frame = rng.integers(90, 160, (40, 60, 3), dtype=np.uint8)
    mixed = Mixer().mix(picture, frame, Controls(keeps_colours=True)).astype(float)
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(mixed @ weights - picture @ weights).max() <= 1
    chroma = mixed - (mixed @ weights)[..., None]
    expected = frame - (frame @ weights)[..., None]
    assert np.abs(chroma - expected).max() <= 1.5


@pytest.mark.parametrize(("edge", "columns"), [(0, 0), (0.25, 15), (1, 60)])
def test_the_split_view_shows_the_camera_left_of_its_edge(edge: float, columns: int) -> None:
    picture, frame = pair_of_pictures()
    before = picture.copy()
    shown = Mixer().mix(picture, frame, Controls(is_split=True, edge=edge))
    assert (picture == before).all(), "others look at it too"
    assert (shown[:, : max(0, columns - 1)] == frame[:, : max(0, columns - 1)])[:, :58].all()
    assert (shown[:, columns + 1 :] == picture[:, columns + 1 :])[:, 1:].all()
    assert (shown == 255).all(axis=(0, 2)).sum() == 2, "the line"


def test_results_are_fresh_because_outputs_keep_them() -> None:
    picture, frame = pair_of_pictures()
    mixer = Mixer()
    for controls in (
        Controls(keeps_colours=True),
        Controls(strength=0.5, keeps_colours=True),
        Controls(is_split=True, keeps_colours=True),
    ):
        first = mixer.mix(picture, frame, controls)
        kept = first.copy()
        mixer.mix(frame, picture, controls)
        assert (first == kept).all()


def test_mirrored() -> None:
    picture, _ = pair_of_pictures()
    assert (mirrored(picture) == picture[:, ::-1]).all()
