"""Any picture as the style: the encoder, mixes, and how pictures change while a show runs."""

import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from edge_style.any_style import AnyStylizer, StyleEncoder, parse_styles
from edge_style.controls import Command, Controls, Style, notice_of, obey
from edge_style.errors import (
    ImageError,
    ModelError,
    ModelNotFoundError,
    SourceError,
    UsageError,
)
from edge_style.images import read_image, write_image
from edge_style.live.networks import Networks
from edge_style.live.options import ShowOptions
from edge_style.meter import Meter
from edge_style.pipeline import list_styles
from edge_style.pipeline.rate import RateController, ScaledStylizer
from edge_style.pipeline.render import Renderer
from edge_style.pipeline.steady import Steadier
from edge_style.sources import Frame, Source, open_source
from edge_style.stylizer import Stylizer

# The transformer of these tests paints a code's colour, the encoder's code is a picture's mean.
RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def flat(colour: tuple[int, int, int], side: int = 40) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, in which the test runs, with red.png, green.png and blue.png."""
    folder = tmp_path / "styles"
    folder.mkdir()
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        write_image(folder / f"{name}.png", flat(colour))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def open_any(models: Path, pictures: Path) -> Callable[..., AnyStylizer]:
    def open_(text: str, **how: bool) -> AnyStylizer:
        stylizer = Stylizer.load(models / "any.onnx", provider="cpu")
        return AnyStylizer.open(stylizer, text, **{"is_live": False, **how})

    return open_


def colour_of(picture: Any) -> list[int]:
    return [int(level) for level in np.asarray(picture).reshape(-1, 3).mean(axis=0).round()]


FRAME = flat((100, 100, 100))


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("red.png", [200, 0, 0]),
        ("red.png+blue.png", [100, 0, 100]),
        ("red.png=0.25+blue.png=0.75", [50, 0, 150]),
        ("red.png=1+blue.png=1", [100, 0, 100]),
        # What is left is the photo's own style, a grey of 100.
        ("red.png=0.5", [150, 50, 50]),
        ("red.png=0.2+blue.png=0.2", [100, 60, 100]),
    ],
)
def test_the_picture_and_mixes(open_any: Any, text: str, colour: list[int]) -> None:
    assert colour_of(open_any(text)(FRAME)) == pytest.approx(colour, abs=1)


def test_styles_blend_by_weights_and_the_rest_is_the_frames_own(open_any: Any) -> None:
    stylizer = open_any("red.png,green.png")
    assert stylizer.styles == ("red", "green")
    assert colour_of(stylizer(FRAME, (0.25, 0.75))) == pytest.approx([50, 150, 0], abs=1)
    assert colour_of(stylizer(FRAME, (0, 0.5))) == pytest.approx([50, 150, 50], abs=1)
    # Photos that do not follow one another have each its own.
    assert colour_of(stylizer(flat(BLUE), (0, 0))) == [0, 0, 200]
    assert colour_of(stylizer(flat(RED), (0, 0))) == [200, 0, 0]
    with pytest.raises(UsageError, match="2 weights"):
        stylizer(FRAME, (1.0,))


def test_pictures_of_every_shape_are_encoded_at_the_size_of_the_training(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = StyleEncoder(models / "any.encoder.onnx", "cpu")
    seen = []
    run = encoder._session.run
    monkeypatch.setattr(
        encoder._session, "run", lambda feeds, name: seen.append(feeds["image"]) or run(feeds, name)
    )
    for shape in ((512, 512), (100, 60), (300, 3000), (2000, 16)):
        code = encoder(np.full((*shape, 3), 7, np.uint8))
        assert code.tolist() == [1, 0, 7, 7, 7]
        assert code.dtype == np.float32
    sizes = [image.shape[1:3] for image in seen]
    assert sizes[0] == (256, 256)
    assert sizes[1][1] == 256
    assert max(max(size) for size in sizes[2:]) <= 640


def test_an_encoder_says_at_what_size_it_looks_at_pictures(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "any.encoder.onnx"
    model = onnx.load(models / "any.encoder.onnx")
    said = {prop.key: prop.value for prop in model.metadata_props}
    for wrong in ("-384", "1000000", "0.5"):
        onnx.helper.set_model_props(model, said | {"edge_style.picture_px": wrong})
        onnx.save(model, path)
        with pytest.raises(ModelError, match="2048 at most"):
            StyleEncoder(path, "cpu")
    onnx.helper.set_model_props(model, said | {"edge_style.picture_px": "384"})
    onnx.save(model, path)
    encoder = StyleEncoder(path, "cpu")
    seen = []
    run = encoder._session.run

    def watched(feeds: Any, name: str) -> Any:
        seen.append(feeds["image"].shape[1:3])
        return run(feeds, name)

    encoder._session.run = watched  # type: ignore[method-assign]
    for shape in ((512, 512), (400, 4000)):
        encoder(np.full((*shape, 3), 7, np.uint8))
    assert seen == [(384, 384), (96, 960)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("missing.png", "no picture 'missing.png'"),
        ("red.png=2", "expected --style PICTURE"),
        ("red.png=x", "expected --style PICTURE"),
        ("red.png=0.5+blue.png", "some have a share"),
        ("frame=0.5+red.png", "cannot be mixed|some have a share"),
        ("red.png,,blue.png", "expected --style PICTURE"),
        ("frame", "for cameras and clips"),
    ],
)
def test_what_cannot_be_a_style_is_said(open_any: Any, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_any(text)


def test_a_file_may_be_called_what_it_likes(pictures: Path) -> None:
    odd = pictures / "a+b,c=0.5.png"
    write_image(odd, flat(RED))
    (mix,) = parse_styles(str(odd))
    assert [picture.source for picture in mix.pictures] == [str(odd)]
    assert [mix.name for mix in parse_styles("red.png,red.png")] == ["red", "red-2"]
    assert len(parse_styles(",".join(["red.png"] * 60))) == 60, "longer than a file's name may be"


def test_a_picture_called_frame_is_not_the_frames_style(open_any: Any, pictures: Path) -> None:
    write_image(pictures / "frame.png", flat(RED))
    stylizer = open_any("frame.png,green.png", is_live=True)
    styles = list_styles([stylizer])
    assert [(style.name, style.adopts) for style in styles] == [
        *(("frame-2", False), ("green", False), ("frame", True))
    ]


def test_without_the_encoder_or_with_a_strange_one(models: Path, tmp_path: Path) -> None:
    alone = tmp_path / "any.onnx"
    shutil.copy(models / "any.onnx", alone)
    stylizer = Stylizer.load(alone, provider="cpu")
    with pytest.raises(ModelNotFoundError, match=r"any\.encoder\.onnx"):
        StyleEncoder.beside(stylizer)
    shutil.copy(models / "negative.onnx", tmp_path / "any.encoder.onnx")
    with pytest.raises(ModelError, match="is no style encoder"):
        StyleEncoder.beside(stylizer)
    torn = Stylizer.load(models / "torn.onnx", provider="cpu")
    with pytest.raises(ModelError, match="of two trainings"):
        StyleEncoder.beside(torn)


def test_an_int8_transformer_takes_either_encoder(models: Path, tmp_path: Path) -> None:
    for name in ("any.int8.onnx", "any.onnx"):
        shutil.copy(models / "any.onnx", tmp_path / name)
    shutil.copy(models / "any.encoder.onnx", tmp_path / "any.encoder.onnx")
    int8 = Stylizer.load(tmp_path / "any.int8.onnx", provider="cpu")
    assert StyleEncoder.beside(int8).path.name == "any.encoder.onnx"
    shutil.copy(models / "any.encoder.onnx", tmp_path / "any.encoder.int8.onnx")
    assert StyleEncoder.beside(int8).path.name == "any.encoder.int8.onnx"
    other = Stylizer.load(tmp_path / "any.onnx", provider="cpu")
    assert StyleEncoder.beside(other).path.name == "any.encoder.onnx"


def render(renderer: Renderer, controls: Controls, image: np.ndarray = FRAME) -> list[int]:
    frame = Frame(image, 0.0, 0.0)
    return colour_of(renderer.render(renderer.prepare(frame, controls), controls).image)


@pytest.mark.parametrize("is_scaled", [False, True])
def test_strength_goes_through_the_code_and_frames_are_adopted(
    open_any: Any, is_scaled: bool
) -> None:
    stylizer: Any = open_any("red.png", is_live=True)
    if is_scaled:
        stylizer = ScaledStylizer(stylizer, (40, 40), RateController(10, [(40, 40)]))
    styles = list_styles([stylizer])
    assert [(style.name, style.adopts) for style in styles] == [("red", False), ("frame", True)]
    renderer = Renderer([stylizer], styles, Meter())
    controls = Controls()
    assert render(renderer, controls) == [200, 0, 0]
    # By half: half the frame's own code, not half the frame's picture.
    assert render(renderer, replace(controls, strength=0.5)) == pytest.approx([150, 50, 50], abs=1)
    halves = flat((0, 0, 0))
    halves[:, 20:] = 200
    prepared = renderer.prepare(Frame(halves, 0.0, 0.0), controls)
    weak = renderer.render(prepared, replace(controls, strength=0.5)).image
    assert weak.std(axis=(0, 1)).max() < 1, "nothing of the frame itself is mixed in"
    controls = obey(controls, Command("adopt"), styles)
    assert styles[controls.style].adopts
    assert render(renderer, controls, flat(GREEN)) == [0, 200, 0]
    assert render(renderer, controls, flat(BLUE)) == [0, 200, 0], "the frame of that moment"
    controls = obey(controls, Command("adopt", picture=flat(BLUE)), styles)
    assert render(renderer, controls) == [0, 0, 200]
    # Two pictures blend with each other and with the frame that was adopted.
    mixed = obey(controls, Command("partner", 0), styles)
    assert render(renderer, mixed) == pytest.approx([100, 0, 100], abs=1)


def test_a_frames_style_that_is_chosen_without_more_is_that_of_the_frame(open_any: Any) -> None:
    stylizer = open_any("red.png", is_live=True)
    styles = list_styles([stylizer])
    renderer = Renderer([stylizer], styles, Meter())
    assert render(renderer, Controls(style=1), flat(GREEN)) == [0, 200, 0]


def test_a_frames_style_that_is_blended_in_is_that_of_the_frame_too(open_any: Any) -> None:
    stylizer = open_any("red.png", is_live=True)
    renderer = Renderer([stylizer], list_styles([stylizer]), Meter())
    assert render(renderer, Controls(partner=1, blend=1.0), flat(GREEN)) == [0, 200, 0]


def test_a_scene_of_long_ago_is_no_style_of_this_one(open_any: Any) -> None:
    stylizer = open_any("red.png", is_live=True)
    assert colour_of(stylizer(flat(BLUE), (0, 0))) == [0, 0, 200]
    for _ in range(40):
        stylizer(flat(GREEN), (1, 0))
    assert colour_of(stylizer(flat(GREEN), (0, 0))) == [0, 200, 0]


def test_frames_that_were_measured_with_are_no_scene(open_any: Any) -> None:
    stylizer = open_any("red.png", is_live=True)
    stylizer(flat((128, 128, 128)), (0, 0))
    stylizer.forget_frames()
    assert colour_of(stylizer(flat(GREEN), (0, 0))) == [0, 200, 0]


def test_a_fade_stays_steadied_and_another_style_does_not(open_any: Any) -> None:
    class Counting(Steadier):
        resets = 0

        def reset(self) -> None:
            self.resets += 1
            super().reset()

    stylizer, steadier = open_any("red.png,green.png", is_live=True), Counting()
    renderer = Renderer([stylizer], list_styles([stylizer]), Meter(), steadier=steadier)
    steady = Controls(is_steady=True)
    render(renderer, steady)
    begun = steadier.resets
    for step in range(1, 46):
        render(renderer, replace(steady, partner=1, blend=step / 45, is_fading=True))
    render(renderer, replace(steady, style=1))
    assert steadier.resets == begun, "the last step of a fade is the next style already"
    render(renderer, steady)
    assert steadier.resets == begun + 1


def test_a_frame_prepared_for_another_network_is_painted_in_the_style_of_then(
    open_any: Any, models: Path
) -> None:
    networks = [
        open_any("red.png,green.png", is_live=True),
        Stylizer.load(models / "negative.onnx", provider="cpu"),
    ]
    renderer = Renderer(networks, list_styles(networks), Meter())
    before, after = Controls(style=1, partner=0, blend=0.5), Controls(style=3)
    for then, now, colour in ((before, after, [0, 200, 0]), (after, before, [155, 155, 155])):
        prepared = renderer.prepare(Frame(flat((100, 100, 100)), 0.0, 0.0), then)
        rendered = renderer.render(prepared, now)
        assert colour_of(rendered.image) == pytest.approx(colour, abs=1)
        assert rendered.style == list_styles(networks)[then.style]


def test_the_frames_own_code_is_approached_in_steps(open_any: Any) -> None:
    stylizer = open_any("red.png", is_live=True)
    levels = [colour_of(stylizer(flat(BLUE), (0, 0)))[2]]
    levels += [colour_of(stylizer(flat(RED), (0, 0)))[2] for _ in range(60)]
    assert levels[0] == 200
    steps = np.diff(levels)
    assert levels[-1] < 30, "it gets there"
    assert steps.min() >= -25, "but not at once"


@pytest.mark.parametrize(("in_background", "frames"), [(True, 200), (False, 28)])
def test_frames_do_not_wait_while_their_own_code_is_looked_up(
    open_any: Any, monkeypatch: pytest.MonkeyPatch, in_background: bool, frames: int
) -> None:
    stylizer = open_any("red.png", is_live=True, in_background=in_background)
    stylizer(flat(BLUE), (0, 0))
    may_end, encode = threading.Event(), stylizer._encoder
    begun = threading.Event()

    def slow(frame: Any) -> Any:
        begun.set()
        assert may_end.wait(20)
        return encode(frame)

    monkeypatch.setattr(stylizer, "_encoder", slow)
    for _ in range(frames):
        assert colour_of(stylizer(flat(RED), (0, 0)))[2] == 200
    assert begun.wait(20)
    may_end.set()
    if in_background:
        stylizer._coming.result(20)
    for _ in range(5):
        last = colour_of(stylizer(flat(RED), (0, 0)))[2]
    assert last < 200


@pytest.mark.parametrize("is_conversion", [True, False])
def test_frames_of_a_conversion_wait_for_the_encoder_and_those_of_a_show_do_not(
    models: Path, pictures: Path, is_conversion: bool
) -> None:
    options = ShowOptions(
        [str(models / "any.onnx")], "test", [], "cpu", is_conversion=is_conversion, style="red.png"
    )
    networks = Networks(options, note=print, note_start=print)
    with open_source("test", size_px=(64, 48)) as source:
        networks.load(source)
    (stylizer,) = networks.stylizers
    assert isinstance(stylizer, AnyStylizer)
    assert stylizer._in_background != is_conversion


def test_adopting_takes_a_network_that_can() -> None:
    plain, able = Style("starry", "starry"), Style("frame", "frame", 1, 1, 2, adopts=True)
    styles = (plain, Style("red", "red", 1, 0, 2), able)
    command = Command("adopt")
    taken = obey(Controls(), command, styles)
    assert (taken.style, taken.adopted) == (2, 1)
    assert notice_of(command, taken, styles) == "in the style of this frame"
    assert obey(taken, command, styles).adopted == 2
    none = obey(Controls(), command, (plain,))
    assert none == Controls()
    assert "none of the networks" in notice_of(command, none, (plain,))


def test_image_command(cli: Any, models: Path, pictures: Path, photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.png"
    options = ["image", photo, "--provider", "cpu", "--output", output]
    model = models / "any.onnx"
    made = cli(*options, "--model", model, "--style", "red.png=0.5+blue.png=0.5", "--json")
    assert made.status == 0, made.err
    assert "styles by any.encoder.onnx" in made.err
    assert json.loads(made.out)["results"][0]["model"] == "any"
    assert colour_of(read_image(output)) == [100, 0, 100]
    for wrong, said in (
        (["--model", model], "give it with --style PICTURE"),
        (["--model", model, "--style", "no.png"], "no picture 'no.png'"),
        (["--model", models / "negative.onnx", "--style", "red.png"], "leave --style out"),
        (["--model", models / "torn.onnx", "--style", "red.png"], "of two trainings"),
    ):
        result = cli(*options, *wrong)
        assert result.status == 2
        assert said in result.err
        assert result.err.count("\n") == 1, result.err


def test_cam_begins_with_the_first_picture_of_a_network_that_takes_them(
    cli: Any, models: Path, pictures: Path, tmp_path: Path
) -> None:
    names = f"{models / 'negative.onnx'},{models / 'any.onnx'}"
    options = ["--source", "test", "--size", "64x48", "--max-frames", "2", "--provider", "cpu"]
    options += ["--no-pace", "--json"]
    target = tmp_path / "frames" / "%02d.png"
    target.parent.mkdir()
    arguments = ["cam", "--model", names, *options, "--output", str(target)]
    made = cli(*arguments, "--style", "green.png,red.png")
    assert made.status == 0, made.err
    assert json.loads(made.out)["style"] == "green"
    assert colour_of(read_image(sorted(target.parent.iterdir())[0])) == [0, 200, 0]
    blended = cli(*arguments, "--style", "green.png,red.png", "--blend", "red=0.5")
    assert blended.status == 0, blended.err
    assert colour_of(read_image(sorted(target.parent.iterdir())[0])) == [100, 100, 0]
    framed = cli(*arguments, "--style", "frame")
    assert framed.status == 0, framed.err
    assert json.loads(framed.out)["style"] == "frame"


def test_another_camera_is_a_style(open_any: Any, tmp_path: Path) -> None:
    clip = tmp_path / "blue.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(3):
        writer.write(np.full((48, 64, 3), (200, 0, 0), np.uint8))
    writer.release()
    assert colour_of(open_any(str(clip))(FRAME)) == pytest.approx([0, 0, 200], abs=8)


class Camera(Source):
    """A camera that sees one colour until it is told another; `None` pulls its cable."""

    description = "camera 7"
    live = True

    def __init__(self) -> None:
        self.colours: queue.Queue[tuple[int, int, int] | None] = queue.Queue()
        self.colours.put(RED)
        self.is_closed = False

    def __iter__(self) -> Iterator[Frame]:
        while not self.is_closed:
            colour = self.colours.get()
            if colour is None:
                raise SourceError("camera 7 stopped giving pictures")
            yield Frame(flat(colour), 0.0, 0.0)

    def close(self) -> None:
        self.is_closed = True
        self.colours.put(RED)  # whoever waits for the next picture gets one


@pytest.fixture
def cameras(monkeypatch: pytest.MonkeyPatch) -> list[Camera]:
    """Those that were opened; what they see is looked at without a wait."""
    opened: list[Camera] = []

    def open_(name: str) -> Source:
        opened.append(Camera())
        return opened[-1]

    monkeypatch.setattr("edge_style.any_style.cameras.open_source", open_)
    monkeypatch.setattr("edge_style.any_style.stylizer._WATCHED_EVERY_S", 0.0)
    return opened


LIVE = {"is_live": True, "in_background": True}


def colours_until(stylizer: AnyStylizer, last: list[int]) -> list[list[int]]:
    """Colours of frame after frame, up to `last`."""
    colours = [colour_of(stylizer(FRAME))]
    deadline_s = time.monotonic() + 30
    while colours[-1] != pytest.approx(last, abs=1):
        assert time.monotonic() < deadline_s, colours[-1]
        time.sleep(0.002)
        colours.append(colour_of(stylizer(FRAME)))
    return colours


def test_a_camera_that_is_a_style_is_followed_gently(open_any: Any, cameras: list[Camera]) -> None:
    stylizer = open_any("7,green.png", **LIVE)
    try:
        assert colour_of(stylizer(FRAME)) == [200, 0, 0]
        cameras[0].colours.put(BLUE)
        blues = [colour[2] for colour in colours_until(stylizer, [0, 0, 200])]
        assert max(after - before for before, after in pairwise(blues)) <= 21  # a tenth of the way
        mixed = colour_of(stylizer(FRAME, (0.5, 0.5, 0)))
        assert mixed == pytest.approx([0, 100, 100], abs=1)
    finally:
        stylizer.close()
    assert cameras[0].is_closed


def test_a_camera_that_comes_back_is_followed_again(open_any: Any, cameras: list[Camera]) -> None:
    stylizer = open_any("7", **LIVE)
    try:
        cameras[0].colours.put(GREEN)
        colours_until(stylizer, [0, 200, 0])
        cameras[0].colours.put(None)
        colours_until(stylizer, [200, 0, 0])  # what the one sees that was opened in its place
    finally:
        stylizer.close()
    assert [camera.is_closed for camera in cameras] == [True, True]


def test_a_camera_without_a_picture_is_said_and_not_waited_for(
    open_any: Any, cameras: list[Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Camera) -> None:
        self.colours, self.is_closed = queue.Queue(), False
        self.colours.put(None)

    monkeypatch.setattr(Camera, "__init__", broken)
    with pytest.raises(SourceError, match="stopped giving pictures"):
        open_any("7", **LIVE)
    assert [camera.is_closed for camera in cameras] == [True]


def test_a_camera_in_two_mixes_is_opened_once(open_any: Any, cameras: list[Camera]) -> None:
    stylizer = open_any("7=0.5+green.png=0.5,7", **LIVE)
    try:
        cameras[0].colours.put(BLUE)
        colours_until(stylizer, [0, 100, 100])
        # The other one was not looked at meanwhile.
        assert colour_of(stylizer(FRAME, (0, 1, 0)))[0] > 150
    finally:
        stylizer.close()
    assert len(cameras) == 1


def test_a_style_that_nobody_sees_is_not_looked_at(
    open_any: Any, cameras: list[Camera], monkeypatch: pytest.MonkeyPatch
) -> None:
    stylizer = open_any("green.png,7", **LIVE)
    try:
        looked: list[Any] = []
        monkeypatch.setattr(stylizer, "_look_up", looked.append)
        cameras[0].colours.put(BLUE)
        for _ in range(20):
            stylizer(FRAME)
            time.sleep(0.002)
        assert not looked
    finally:
        stylizer.close()


@pytest.mark.parametrize(
    "how", [{"is_live": False}, {"is_live": True, "in_background": False}], ids=["photo", "clip"]
)
def test_elsewhere_it_is_the_cameras_first_picture(
    open_any: Any, cameras: list[Camera], how: dict[str, bool]
) -> None:
    stylizer = open_any("7", **how)
    assert cameras[0].is_closed
    assert colour_of(stylizer(FRAME)) == [200, 0, 0]


def test_cameras_are_let_go_where_another_style_cannot_be_read(
    open_any: Any, cameras: list[Camera], pictures: Path
) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.png"):
        open_any("7,broken.png", **LIVE)
    assert cameras[0].is_closed


def test_a_show_lets_go_of_its_style_cameras(
    cli: Any, models: Path, pictures: Path, cameras: list[Camera], tmp_path: Path
) -> None:
    done = cli("cam", "--model", models / "any.onnx", "--style", "7", "--source", "test",
               "--size", "64x48", "--max-frames", "5", "--no-pace", "--output", "null")  # fmt: skip
    assert done.status == 0, done.err
    assert cameras[0].is_closed
