"""Steadied pictures: flicker goes, what moves leaves no ghosts, and `t` brings it back."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edge_style.cli import app
from edge_style.controls import Command, Controls, obey
from edge_style.live import ShowOptions
from edge_style.meter import Meter
from edge_style.pipeline import (
    PipelineOptions,
    PlainStylizer,
    Steadier,
    list_styles,
    run_pipeline,
)
from edge_style.pipeline.render import Renderer
from edge_style.sinks import Sink, StyledFrame
from edge_style.sources import Frame, open_source

SIZE_PX = (320, 240)


def scene(index: int, *, moves: bool) -> np.ndarray:
    """A textured background with a bright ball that crosses it, seen by a camera that pans."""
    rng = np.random.default_rng(1)
    small = rng.integers(60, 160, (30, 60, 3), dtype=np.uint8)
    background = cv2.resize(small, (640, 240), interpolation=cv2.INTER_CUBIC)
    left = 3 * index if moves else 0
    image = np.ascontiguousarray(background[:, left : left + SIZE_PX[0]])
    cv2.circle(image, (40 + 8 * index, 120), 24, (250, 240, 60), -1, cv2.LINE_AA)
    return image


def boil(image: np.ndarray, index: int) -> np.ndarray:
    """What a flickering network makes of it: strokes that differ from frame to frame."""
    noise = np.random.default_rng(index).integers(-30, 31, (60, 80, 1))
    strokes = np.kron(noise, np.ones((4, 4, 1), int))
    return np.clip(image.astype(int) + strokes, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("moves", [False, True], ids=["still", "panned"])
def test_boiling_is_halved_and_the_scene_stays(moves: bool) -> None:
    steadier = Steadier()
    raw, steadied = [], []
    for index in range(25):
        frame = scene(index, moves=moves)
        picture = boil(frame, index)
        raw.append(np.abs(picture.astype(float) - frame)[:, 20:-20].mean())
        result = steadier.steady(picture, frame).copy()
        steadied.append(np.abs(result.astype(float) - frame)[:, 20:-20].mean())
    # The scene itself is what all the boiling pictures have in common.
    assert np.mean(steadied[8:]) < (0.5 if not moves else 0.65) * np.mean(raw[8:])


@pytest.mark.parametrize("moves", [False, True], ids=["still", "panned"])
def test_a_ball_leaves_no_trail(moves: bool) -> None:
    steadier = Steadier()
    for index in range(20):
        frame = scene(index, moves=moves)
        steadied = steadier.steady(frame, frame)
    # Where the ball was in the frames before, and is no more.
    trail = np.zeros(SIZE_PX[::-1], bool)
    for before in range(12, 19):
        disc = np.zeros(SIZE_PX[::-1], np.uint8)
        cv2.circle(disc, (40 + 8 * before, 120), 24, 1, -1)
        trail |= disc.astype(bool)
    ball = np.zeros(SIZE_PX[::-1], np.uint8)
    cv2.circle(ball, (40 + 8 * 19, 120), 26, 1, -1)
    trail &= ~ball.astype(bool)
    ghost = (steadied.astype(float) - frame)[trail]
    assert trail.sum() > 1000
    assert np.abs(ghost.mean(axis=0)).max() < 2, "of the 130 levels between ball and background"
    assert np.quantile(np.abs(ghost), 0.99) < 25


def test_strokes_stick_where_a_textured_scene_moves_by_parts_of_a_pixel() -> None:
    """A flow that is a little off looks like disagreement there, and should not be taken for it."""
    rng = np.random.default_rng(3)
    texture = cv2.resize(rng.integers(0, 256, (120, 240, 3), np.uint8), (720, 360))
    steadier = Steadier()
    raw, steadied = [], []
    for index in range(20):
        moved = np.array([[1, 0, -2.3 * index], [0, 1, -1.1 * index]])
        scene_now = cv2.warpAffine(texture, moved, SIZE_PX).astype(float)
        noise = rng.normal(0, 4, scene_now.shape)
        frame = np.clip(scene_now + noise, 0, 255).astype(np.uint8)
        picture = boil(frame, index)
        result = steadier.steady(picture, frame).copy()
        raw.append(np.abs(picture - scene_now)[20:-20, 20:-20].mean())
        steadied.append(np.abs(result - scene_now)[20:-20, 20:-20].mean())
    assert np.mean(steadied[8:]) < 0.7 * np.mean(raw[8:])


def test_what_differs_in_colour_only_leaves_no_trail_either() -> None:
    """Grey shows no change where it was, so that the neighbourhood alone can tell."""
    steadier = Steadier()
    for index in range(12):
        frame = np.full((*SIZE_PX[::-1], 3), 122, np.uint8)
        cv2.circle(frame, (40 + 20 * index, 120), 30, (202, 86, 110), -1)
        steadied = steadier.steady(frame, frame)
    assert np.abs(steadied[:, :190].astype(int) - 122).max() < 12


def test_what_is_still_stays_and_the_first_picture_is_the_networks() -> None:
    steadier = Steadier()
    frame = scene(0, moves=False)
    picture = 255 - frame
    assert steadier.steady(picture, frame) is picture
    for _ in range(5):
        result = steadier.steady(picture, frame)
    assert np.abs(result.astype(int) - picture).max() <= 2


def test_a_cut_and_another_size_begin_anew() -> None:
    steadier = Steadier()
    dark, bright = np.full((48, 64, 3), 20, np.uint8), np.full((48, 64, 3), 220, np.uint8)
    steadier.steady(dark, dark)
    assert np.abs(steadier.steady(bright, bright).astype(int) - 220).max() <= 2
    small = np.full((30, 40, 3), 99, np.uint8)
    assert (steadier.steady(small, small) == 99).all()
    steadier.reset()
    assert (steadier.steady(dark, dark) == 20).all()


def test_frames_of_another_size_are_steadied_as_if_there_had_been_no_others() -> None:
    one, fresh = Steadier(), Steadier()
    for index in range(3):
        one.steady(boil(scene(index, moves=True), index), scene(index, moves=True))
    for index in range(5):
        frame = cv2.resize(scene(index, moves=True), (200, 151))
        picture = 255 - frame
        assert (one.steady(picture, frame) == fresh.steady(picture, frame)).all()


@pytest.mark.parametrize(
    "size_px", [(1, 1), (9000, 1), (1, 9000), (400, 64), (640, 100), (64, 640), (17, 31)]
)
def test_pictures_of_any_form_are_steadied(size_px: tuple[int, int]) -> None:
    """OpenCV's optical flow ends the program on some."""
    rng = np.random.default_rng(5)
    photo = rng.integers(100, 160, (size_px[1], size_px[0], 3), dtype=np.uint8)
    steadier = Steadier()
    for index in range(4):
        frame = np.roll(photo + np.uint8(3 * index), index, axis=1)
        assert steadier.steady(255 - frame, frame).shape == photo.shape


def test_pictures_of_a_folder_have_nothing_of_each_other() -> None:
    """They are no scene that goes on: what agrees does so by chance."""
    rng = np.random.default_rng(4)
    steadier = Steadier()
    for index in range(6):
        small = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        photo = np.asarray(cv2.resize(small, SIZE_PX, interpolation=cv2.INTER_CUBIC), np.uint8)
        assert steadier.steady(photo, photo) is photo, "after another photo"
        picture = boil(photo, index)
        assert steadier.steady(picture, photo) is not picture, "the same scene goes on"


def test_in_the_pipeline_it_keeps_the_frames_and_resets_at_a_switch() -> None:
    class Collector(Sink):
        def __init__(self) -> None:
            self.images: list[np.ndarray] = []

        def write(self, frame: StyledFrame) -> None:
            self.images.append(frame.image.copy())

    source = open_source("test", size_px=(64, 48))
    plain, steady = Collector(), Collector()
    options = PipelineOptions(pace=False, drop=False, max_frames=12)
    negative = PlainStylizer(lambda image: 255 - image, "negative")
    run_pipeline(source, [negative], [plain], options)
    controls = Controls(is_steady=True)
    run_pipeline(source, [negative], [steady], replace(options, controls=controls))
    assert len(plain.images) == len(steady.images) == 12
    assert (plain.images[0] == steady.images[0]).all()
    assert any((a != b).any() for a, b in zip(plain.images, steady.images, strict=True))
    for one, other in zip(plain.images, steady.images, strict=True):
        assert np.abs(one.astype(int) - other).mean() < 8


def renderer_that_boils() -> tuple[Callable[..., np.ndarray], list[np.ndarray]]:
    """What renders a still scene, and what its network painted, frame by frame."""
    painted: list[np.ndarray] = []

    def paint(image: np.ndarray) -> np.ndarray:
        painted.append(boil(image, len(painted)))
        return painted[-1].copy()

    network = PlainStylizer(paint, "boiling")
    renderer = Renderer([network], list_styles([network]), Meter())
    frame = Frame(scene(0, moves=False), 0.0, 0.0)

    def render(controls: Controls, *, is_repeat: bool = False) -> np.ndarray:
        prepared = renderer.prepare(frame, controls)
        return renderer.render(prepared, controls, is_repeat=is_repeat).image.copy()

    return render, painted


def test_steadying_can_be_left_and_begins_anew_after_that() -> None:
    render, painted = renderer_that_boils()
    steady = Controls(is_steady=True)
    render(steady)
    assert (render(steady) != painted[-1]).any()
    plain = obey(steady, Command("steady"), ())
    assert not plain.is_steady
    assert (render(plain) == painted[-1]).all()
    assert (render(steady) == painted[-1]).all(), "nothing of long ago is mixed in"
    assert (render(steady) != painted[-1]).any()


def test_a_paused_picture_stays_as_it_was_shown() -> None:
    render, painted = renderer_that_boils()
    steady = Controls(is_steady=True)
    shown = [render(steady) for _ in range(3)][-1]
    assert (render(steady, is_repeat=True) == shown).all()
    weaker = render(replace(steady, strength=0.5), is_repeat=True).astype(float)
    assert np.abs(weaker - (shown + scene(0, moves=False).astype(float)) / 2).max() <= 1
    assert (render(Controls(), is_repeat=True) == painted[-1]).all(), "without steadying"
    assert (render(steady, is_repeat=True) == shown).all()
    mirrored = render(replace(steady, is_mirrored=True), is_repeat=True)
    assert (mirrored == painted[-1]).all(), "the other way round it was not shown yet"
    assert (render(steady) != painted[-1]).any(), "and goes on from there"


@pytest.mark.parametrize(
    ("arguments", "is_steady"),
    [
        (["cam"], True),
        (["cam", "--no-stabilize"], False),
        (["cam", "--no-pace"], False),
        (["cam", "--no-pace", "--stabilize"], True),
        (["video", "a.mp4", "-o", "b.mp4"], False),
        (["video", "a.mp4", "-o", "b.mp4", "--stabilize"], True),
    ],
    ids=str,
)
def test_live_pictures_are_steadied_unless_speed_is_wanted(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], is_steady: bool
) -> None:
    wanted: list[ShowOptions] = []

    class AskedError(Exception):
        pass

    def show(options: ShowOptions, **_: object) -> None:
        wanted.append(options)
        raise AskedError

    monkeypatch.setattr("edge_style.live.Show", show)
    result = CliRunner().invoke(app, [*arguments, "--model", "starry"])
    assert isinstance(result.exception, AskedError), result.output
    assert wanted[0].pipeline.controls.is_steady is is_steady
