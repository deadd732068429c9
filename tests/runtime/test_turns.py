"""Styles by turns: `cam --every`, which gives commands as a person would."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_style import cli
from edge_style.controls import (
    Command,
    Controls,
    Notice,
    ShowState,
    Style,
    notice_of,
    obey,
    weights_of,
)
from edge_style.images import read_image, write_image
from edge_style.sinks import StyledFrame, TurnsSink

MODELS = Path(__file__).parents[1] / "data" / "models"
# Two of one network, then one of another, then what the camera saw.
STYLES = (
    Style("plain", "plain", 0, 0, 3),
    Style("negative", "negative", 0, 1, 3),
    Style("night", "night", 1),
    Style("frame", "frame", 0, 2, 3, adopts=True),
)
FPS = 30


class Show:
    """The part of a run that matters here: frames come, commands are obeyed one by one."""

    def __init__(self, every_s: float, controls: Controls | None = None) -> None:
        self.controls = controls or Controls()
        self.sink = TurnsSink(every_s)
        self.notices: list[str] = []
        self.time_s = 0.0
        self.sink.apply(ShowState(self.controls, STYLES))

    def obey(self, command: Command | Notice) -> None:
        assert isinstance(command, Command)
        self.controls = obey(self.controls, command, STYLES)
        self.notices.append(notice_of(command, self.controls, STYLES))
        self.sink.apply(ShowState(self.controls, STYLES))

    def run(self, seconds: float, *, is_repeat: bool = False) -> list[Controls]:
        """Controls after each frame of so many seconds."""
        seen = []
        for _ in range(round(seconds * FPS)):
            if not is_repeat:
                self.time_s += 1 / FPS
            image = np.zeros((2, 2, 3), np.uint8)
            self.sink.write(StyledFrame(image, self.time_s, is_repeat=is_repeat))
            for wish in self.sink.poll():
                self.obey(wish)
            seen.append(self.controls)
        return seen


def chosen(seen: Sequence[Controls]) -> list[int]:
    """The styles one after the other, without repetitions."""
    return [c.style for i, c in enumerate(seen) if i == 0 or c.style != seen[i - 1].style]


def test_styles_follow_each_other_and_what_the_camera_saw_is_none_of_them() -> None:
    show = Show(4)
    seen = show.run(4 * 4 + 1)
    assert chosen(seen) == [0, 1, 2, 0, 1]
    starts = [i / FPS for i in range(1, len(seen)) if seen[i].style != seen[i - 1].style]
    assert starts == pytest.approx([4, 8, 12, 16], abs=0.2)


def test_styles_of_one_network_fade_and_nothing_is_said_of_it() -> None:
    show = Show(4)
    seen = show.run(4.2)
    shares = [(weights_of(controls, STYLES) or (0, 0))[1] for controls in seen]
    assert shares[: round(2.4 * FPS)] == [0] * round(2.4 * FPS)
    steps = np.diff(shares)
    assert (steps >= 0).all()
    assert steps.max() < 0.05, "no jump, neither at the start nor at the end"
    assert shares[-1] == 1
    assert seen[-1].partner is None
    assert [notice for notice in show.notices if notice] == ["negative"]


def test_networks_change_at_once() -> None:
    seen = Show(4, Controls(style=1)).run(5)
    assert {controls.partner for controls in seen} == {None}
    assert chosen(seen) == [1, 2]


def test_a_pause_stops_the_clock() -> None:
    show = Show(4)
    show.run(1)
    show.obey(Command("pause", 1))
    show.run(2, is_repeat=True)
    show.time_s += 60  # a camera's time goes on
    assert chosen(show.run(10, is_repeat=True)) == [0]
    show.obey(Command("pause", 0))
    show.time_s += 5
    assert chosen(show.run(2.7)) == [0]
    assert chosen(show.run(1)) == [0, 1]


def test_who_pauses_at_the_end_of_a_turn_keeps_the_style() -> None:
    show = Show(4)
    show.run(3.9)
    image = np.zeros((2, 2, 3), np.uint8)
    show.sink.write(StyledFrame(image, show.time_s + 0.5))
    show.obey(Command("pause", 1))  # heard before the next style is
    assert show.sink.poll() == []


def test_who_chooses_sees_a_whole_turn_and_a_fade_leaves_nothing() -> None:
    show = Show(4)
    show.run(3.2)
    assert show.controls.is_fading
    show.obey(Command("previous"))  # the frame's style, of the same network
    assert show.controls.style == 3
    assert show.notices[-1] == "frame", "nothing of the fade is in it"
    seen = show.run(2.3)
    assert {controls.style for controls in seen} == {3}
    assert {controls.blend for controls in seen} == {0.0}
    assert chosen(show.run(2)) == [3, 0]
    assert show.controls.blend == 0


@pytest.mark.parametrize("wish", [Command("style", 0), Command("adopt")])
def test_who_chooses_what_is_shown_sees_it_for_a_whole_turn_too(wish: Command) -> None:
    show = Show(4, Controls(style=0 if wish.name == "style" else 3))
    show.run(3.2)
    assert show.controls.is_fading
    show.obey(wish)
    style = show.controls.style
    assert {controls.style for controls in show.run(3.8)} == {style}
    assert chosen(show.run(1)) != [style]


@pytest.mark.parametrize("step", [0.1, -0.1])
def test_who_moves_a_fade_has_a_blend(step: float) -> None:
    show = Show(4)
    show.run(3.2)
    share = show.controls.blend
    show.obey(Command("blend", step, is_step=True))
    assert "%" in show.notices[-1]
    seen = show.run(3)
    assert {round(controls.blend - share, 3) for controls in seen} == {step}


def test_a_blend_of_a_person_stays() -> None:
    show = Show(4)
    show.obey(Command("partner", 3))
    show.obey(Command("blend", 0.3))
    seen = show.run(5)
    assert {controls.blend for controls in seen} == {0.3}
    assert {controls.partner for controls in seen} == {3}
    assert chosen(seen) == [0, 1]
    # Alone it would be no blend, so what is blended into all is none of them.
    show = Show(4, Controls(partner=1, blend=0.3))
    assert chosen(show.run(5)) == [0, 2]


def test_one_style_gives_no_commands() -> None:
    sink = TurnsSink(1)
    sink.apply(ShowState(Controls(), (STYLES[0], replace(STYLES[3], index=1))))
    for second in range(5):
        sink.write(StyledFrame(np.zeros((2, 2, 3), np.uint8), float(second)))
        assert sink.poll() == []


def run_cam(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["cam", "--provider", "cpu", *map(str, arguments)])
    return int(str(ended.value.code))


def test_cam_shows_styles_by_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "photo.png"
    write_image(photo, np.full((32, 48, 3), 200, np.uint8))
    output = tmp_path / "out"
    output.mkdir()
    models = f"{MODELS / 'many.onnx'}"
    arguments = ["--model", models, "--source", f"pan:{photo}", "--no-pace", "--every", "1"]
    assert run_cam(*arguments, "--max-frames", 75, "--output", output, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    pictures = [read_image(path) for path in sorted(output.iterdir())]
    assert len(pictures) == report["frames"] == 75
    levels = [round(float(picture.mean())) for picture in pictures]
    assert levels[0] == 200, "the first style shows the photo as it is"
    assert 55 in levels, "the second is its negative"
    assert any(60 < level < 195 for level in levels), "and one fades into the other"


def test_every_needs_something_to_change_to(capsys: pytest.CaptureFixture[str]) -> None:
    model = MODELS / "negative.onnx"
    arguments = ["--model", model, "--source", "test", "--output", "null", "--every", "5"]
    arguments += ["--max-frames", 3]
    assert run_cam(*arguments) == 2
    assert "there is one only" in capsys.readouterr().err.splitlines()[-1]
