"""The page in a browser, on the server of `edge-style web`."""

import base64
import re
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_style.images import read_image, resize, write_image
from edge_style.stylizer import Stylizer

from .conftest import MODELS, PHOTO, ROOT, Visit, clip_frames, difference, read_png, served

STARRY = ROOT / "exported" / "starry.onnx"
SIDE_PX = 240

pytestmark = pytest.mark.usefixtures("built_page")


@pytest.fixture(scope="module")
def url(built_page: Path) -> Iterator[str]:
    """A page with the shipped style, and small networks that invert and choose."""
    names = f"{STARRY},{MODELS / 'negative.onnx'},{MODELS / 'many.onnx'}"
    with served("--model", names) as address:
        yield f"{address}?backend=wasm&side={SIDE_PX}"


def with_camera(visit: Callable[..., Visit], url: str) -> Visit:
    """A visitor who allowed the camera and sees its first pictures, not mirrored."""
    visitor = visit(url)
    visitor.page.click("#start-camera")
    visitor.wait("d.source === 'camera'")
    visitor.wait_for_frames(2)
    visitor.page.keyboard.press("m")
    visitor.settle()
    return visitor


def original(visitor: Visit) -> np.ndarray:
    """The frame under a paused picture."""
    visitor.set_range("strength", 0)
    visitor.settle()
    frame = visitor.snapshot()
    visitor.set_range("strength", 100)
    visitor.settle()
    return frame


def paused(visitor: Visit) -> tuple[np.ndarray, np.ndarray]:
    """The frame and the picture, of one moment."""
    visitor.page.keyboard.press("Space")
    visitor.wait("d.paused === 'true'")
    visitor.settle()
    return original(visitor), visitor.snapshot()


def thumbnail(visitor: Visit, number: int) -> np.ndarray:
    """A style's picture in the gallery, as it is drawn."""
    picture = visitor.page.locator(".style img").nth(number)
    picture.scroll_into_view_if_needed()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 160
    drawn = picture.evaluate(
        "image => { const c = document.createElement('canvas'); c.width = 160; c.height = 120;"
        " c.getContext('2d').drawImage(image, 0, 0); return c.toDataURL('image/png'); }"
    )
    return read_png(base64.b64decode(drawn.partition(",")[2]))


def image_command(frame: np.ndarray, model: Path, folder: Path, *options: str) -> np.ndarray:
    """What `edge-style image` makes of a frame."""
    write_image(folder / "frame.png", frame)
    subprocess.run(
        [
            *(sys.executable, "-m", "edge_style", "image", str(folder / "frame.png")),
            *("--model", str(model), "--provider", "cpu", "--output", str(folder / "out.png")),
            *options,
        ],
        check=True,
        capture_output=True,
    )
    return read_image(folder / "out.png")


def test_the_camera_as_edge_style_image_paints_it(
    visit: Callable[..., Visit], url: str, camera_frames: list[np.ndarray], tmp_path: Path
) -> None:
    visitor = with_camera(visit, url)
    visitor.wait_for_frames(3)
    frame, picture = paused(visitor)
    assert picture.shape == (SIDE_PX, SIDE_PX * 4 // 3, 3)
    # The camera's frames are those of the clip ...
    assert min(difference(frame, resize(shot, 320, 240)) for shot in camera_frames) < 3
    # ... and what the page paints is what the runtime paints.
    assert difference(picture, image_command(frame, STARRY, tmp_path)) <= 2
    assert difference(picture, frame) > 15
    assert visitor.data("file").startswith("models/starry-")


def test_styles_are_switched(visit: Callable[..., Visit], url: str) -> None:
    visitor = with_camera(visit, url)
    visitor.page.keyboard.press("2")
    visitor.wait("d.style === 'negative'")
    visitor.wait_for_frames(2)
    assert visitor.page.locator("#gallery input:checked").get_attribute("value") == "negative"
    frame, picture = paused(visitor)
    assert difference(picture, 255 - frame) <= 1
    # Also while the picture stands still, with the pointer, and back.
    many = Stylizer.load(MODELS / "many.onnx", provider="cpu")
    visitor.page.locator("label.style").nth(4).click()
    visitor.wait("d.style === 'many-3'")
    visitor.settle()
    assert difference(visitor.snapshot(), many(frame, [0, 0, 1])) <= 1
    visitor.page.keyboard.press("p")
    visitor.wait("d.style === 'many-2'")
    visitor.settle()
    assert difference(visitor.snapshot(), many(frame, [0, 1, 0])) <= 1


def test_styles_by_turns(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(f"{url}&every=1.5")
    for style in ("negative", "many-1", "many-2"):
        visitor.wait(f"d.style === '{style}'")
    # Who pauses looks at a picture for as long as they like.
    visitor.page.keyboard.press("Space")
    visitor.settle()
    style = visitor.data("style")
    visitor.page.wait_for_timeout(2500)
    assert visitor.data("style") == style
    visitor.page.keyboard.press("Space")
    visitor.wait(f"d.style !== '{style}'")


def test_strength_colours_mirror_and_split(visit: Callable[..., Visit], url: str) -> None:
    visitor = with_camera(visit, url)
    frame, picture = paused(visitor)

    visitor.set_range("strength", 40)
    visitor.settle()
    mixed = 0.4 * picture.astype(float) + 0.6 * frame
    assert difference(visitor.snapshot(), np.rint(mixed)) <= 1
    visitor.page.keyboard.press("+")
    visitor.settle()
    assert visitor.page.locator("#strength").input_value() == "50"
    visitor.set_range("strength", 100)

    visitor.page.keyboard.press("c")
    visitor.settle()
    colours = visitor.snapshot()
    light = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (colours, picture, frame)]
    assert difference(light[0], light[1]) <= 2  # the painting's light
    step = light[1].astype(int) - light[2]
    expected = np.clip(frame.astype(int) + step[..., np.newaxis], 0, 255)
    assert difference(colours, expected) <= 4  # the camera's colours
    visitor.page.keyboard.press("c")

    visitor.page.keyboard.press("m")
    visitor.settle()
    assert difference(visitor.snapshot(), picture[:, ::-1]) == 0
    visitor.page.keyboard.press("m")

    visitor.page.keyboard.press("v")
    visitor.set_range("edge", 25)
    visitor.settle()
    split = visitor.snapshot()
    edge = split.shape[1] // 4
    assert difference(split[:, : edge - 1], frame[:, : edge - 1]) == 0
    assert difference(split[:, edge + 1 :], picture[:, edge + 1 :]) == 0
    assert (split[:, edge - 1 : edge + 1] == 255).all()


def recorded(visitor: Visit, folder: Path) -> list[np.ndarray]:
    """End the recording; returns its frames."""
    with visitor.page.expect_download() as download:
        visitor.page.click("#record")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return clip_frames(path)


def test_a_recording_plays(visit: Callable[..., Visit], url: str, tmp_path: Path) -> None:
    visitor = with_camera(visit, url + "&style=negative")
    visitor.page.click("#record")
    visitor.wait_for_frames(20)
    frames = recorded(visitor, tmp_path)
    assert len(frames) >= 5
    assert frames[0].shape == (240, 320, 3)
    # What is recorded is the negative of the clip, and it moves.
    assert difference(frames[0], frames[-1]) > 2


def test_a_recording_of_what_stands_still(
    visit: Callable[..., Visit], url: str, tmp_path: Path
) -> None:
    visitor = visit(url + "&style=negative")
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    picture = visitor.snapshot()
    visitor.page.click("#record")
    visitor.page.wait_for_timeout(4000)  # 40 frames, where the machine has nothing else to do
    frames = recorded(visitor, tmp_path)
    assert len(frames) >= 8
    assert difference(frames[-1], picture) < 4


def test_a_recording_is_not_left_by_accident(
    visit: Callable[..., Visit], url: str, tmp_path: Path
) -> None:
    visitor = visit(url + "&style=negative")
    visitor.wait_for_frames(1)
    questions: list[str] = []

    def stay(dialog: Any) -> None:
        questions.append(dialog.type)
        dialog.dismiss()

    visitor.page.on("dialog", stay)
    visitor.page.click("#record")
    visitor.wait_for_frames(10)
    with visitor.page.expect_event("dialog"):  # which comes when the browser gets round to it
        visitor.page.evaluate("location.reload()")
    visitor.wait_for_frames(1)
    assert questions == ["beforeunload"]
    assert len(recorded(visitor, tmp_path)) >= 5
    visitor.page.reload()
    visitor.wait_for_frames(1)
    assert len(questions) == 1


def test_a_camera_that_is_lost(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit("about:blank")
    visitor.page.add_init_script(
        "const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wanted) =>"
        " (window.camera = (await real(wanted)).getVideoTracks()[0], new MediaStream([camera]));"
    )
    visitor.page.goto(url)
    visitor.page.click("#start-camera")
    visitor.wait("d.source === 'camera'")
    visitor.wait_for_frames(2)
    # The connection is gone, too: what was fetched once is there.
    visitor.page.context.route("**/sample.jpg", lambda route: route.abort())
    # As browsers do when a camera is unplugged: a track that scripts stop says nothing.
    visitor.page.evaluate("camera.stop(); camera.dispatchEvent(new Event('ended'));")
    visitor.page.get_by_text("The camera is gone").wait_for()
    visitor.wait("d.source === 'sample'")
    visitor.wait_for_frames(2)
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.wait("d.source === 'camera'")
    visitor.wait_for_frames(2)
    assert visitor.page.locator("#notice").is_hidden()


def test_a_host_without_the_sample(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit("about:blank")
    visitor.page.context.route("**/sample.jpg", lambda route: route.fulfill(status=404))
    visitor.page.goto(url)
    visitor.page.get_by_text("The sample cannot be fetched").wait_for()
    visitor.page.context.unroute("**/sample.jpg")
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.wait("d.source === 'sample'")
    visitor.wait_for_frames(1)
    assert visitor.page.locator("#notice").is_hidden()


def test_cameras_of_which_one_runs_at_a_time(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit("about:blank")
    visitor.page.add_init_script(
        "const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wanted) => {"
        " const isLive = window.camera?.readyState === 'live';"
        " if (window.isBroken && !isLive) await window.patience;"
        " if (window.isBroken || isLive)"
        "  throw new DOMException('in use', 'NotReadableError');"
        " const stream = await real(wanted);"
        " window.camera = stream.getVideoTracks()[0];"
        " return stream; };"
    )
    visitor.page.goto(url)
    visitor.page.click("#start-camera")
    visitor.wait("d.source === 'camera'")
    visitor.wait_for_frames(2)
    visitor.page.evaluate("window.first = camera")
    choose = "document.getElementById('camera').dispatchEvent(new Event('change'))"
    visitor.page.evaluate(choose)
    visitor.wait("camera !== first && first.readyState === 'ended'")
    visitor.wait_for_frames(3)
    assert visitor.page.locator("#notice").is_hidden()
    # Where the other one does not open either, the sample goes on and one can try again.
    visitor.page.evaluate(f"window.isBroken = true; {choose}")
    visitor.page.get_by_text("another program may be using it").wait_for()
    visitor.wait("d.source === 'sample'")
    visitor.page.evaluate("window.isBroken = false")
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.wait("d.source === 'camera'")
    # Nor does the sample come in the place of what was opened meanwhile.
    visitor.page.evaluate(
        "window.isBroken = true; window.patience = new Promise((done) => { window.fail = done; });"
        + choose
    )
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.page.evaluate("fail()")
    visitor.page.wait_for_timeout(500)
    assert visitor.data("source") == "picture"


def test_full_screen_on_phones_that_have_none(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit("about:blank", viewport={"width": 390, "height": 844})
    visitor.page.add_init_script(
        "Object.defineProperty(document, 'fullscreenEnabled', {get: () => false})"
    )
    visitor.page.goto(url)
    visitor.wait_for_frames(1)
    leave = visitor.page.get_by_role("button", name="Leave full screen")
    for is_left_by_key in (False, True):
        assert not leave.is_visible()
        visitor.page.click("#fullscreen")
        for part in ("#stage", "#picture"):
            box = visitor.page.locator(part).bounding_box()
            assert (box["width"], box["height"]) == (390, 844), part
        visitor.page.keyboard.press("Escape") if is_left_by_key else leave.click()
        assert visitor.page.locator("#stage").bounding_box()["height"] < 844


def test_the_edge_follows_the_pointer_beside_bars(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url, viewport={"width": 1400, "height": 600})
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    visitor.page.keyboard.press("v")
    box = visitor.page.locator("#picture").bounding_box()
    shown = box["height"]  # the photo is a square
    assert box["width"] > 1.5 * shown
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for share in (0.1, 0.5, 0.75):
        visitor.page.mouse.click(middle[0] + (share - 0.5) * shown, middle[1])
        found = int(visitor.page.locator("#edge").input_value())
        assert found == pytest.approx(100 * share, abs=1)


def test_a_clip_without_pictures_is_said(
    visit: Callable[..., Visit], url: str, tmp_path: Path
) -> None:
    clip = tmp_path / "holiday.mp4"
    with wave.open(str(clip), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    visitor = visit(url)
    visitor.wait_for_frames(1)
    visitor.choose("files", clip)
    visitor.page.get_by_text("This browser cannot play this clip").wait_for()
    assert visitor.data("source") == "sample"
    assert visitor.page.locator("video").count() == 0 or visitor.page.evaluate(
        "[...document.querySelectorAll('video')].every((video) => video.videoWidth > 0)"
    )


def test_trying_a_style_again(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit("about:blank")
    fails = [True]

    def answer(route: Any) -> None:
        route.fulfill(status=503) if fails else route.continue_()

    visitor.page.context.route("**/models/*many*", answer)
    visitor.page.goto(url + "&style=negative")
    visitor.wait_for_frames(1)
    visitor.page.keyboard.press("3")
    visitor.page.get_by_text("This style cannot be used").wait_for()
    assert visitor.data("style") == "negative"
    # Where another one works, there is no trouble any more.
    visitor.page.keyboard.press("1")
    visitor.wait("d.style === 'starry'")
    assert visitor.page.locator("#notice").is_hidden()
    visitor.page.keyboard.press("3")
    visitor.page.get_by_text("This style cannot be used").wait_for()
    fails.clear()
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.wait("d.style?.startsWith('many')")


def test_frames_go_on_until_the_last_style_is_there(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url + "&style=negative")
    visitor.wait_for_frames(1)
    starry, many = (visitor.hold(f"**/models/{name}*") for name in ("starry", "many"))
    visitor.page.keyboard.press("1")
    visitor.wait_for_request(starry)
    visitor.page.keyboard.press("3")
    visitor.wait_for_request(many)
    visitor.wait_for_frames(5)
    assert visitor.data("style") == "negative"
    # The one before it is not waited for, and does not come after it.
    many[0].continue_()
    visitor.wait("d.style === 'many-1'")
    starry[0].continue_()
    visitor.wait_for_frames(5)
    assert visitor.data("style") == "many-1"
    assert visitor.page.locator("#notice").is_hidden()


def test_a_held_key_does_once_what_is_no_step(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url + "&style=negative")
    visitor.wait_for_frames(1)
    for key in ("c", "-"):
        for _ in range(4):
            visitor.page.keyboard.down(key)  # more than once: as keys repeat
        visitor.page.keyboard.up(key)
    assert visitor.page.locator("#colours").get_attribute("aria-pressed") == "true"
    assert visitor.page.locator("#strength").input_value() == "60"


def test_before_and_without_the_camera(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url, permissions=[])
    # A sample is painted before anybody is asked for anything.
    visitor.wait("d.source === 'sample'")
    visitor.wait_for_frames(3)
    visitor.page.click("#start-camera")
    visitor.page.get_by_text("The camera is not allowed for this page").wait_for()
    assert visitor.page.get_by_role("button", name="Try again").is_visible()
    visitor.wait_for_frames(2)  # and the sample goes on


def test_no_camera_at_all(launch: Callable[..., Any], url: str) -> None:
    with launch() as browser:
        context = browser.new_context(permissions=["camera"])
        page = context.new_page()
        page.goto(url)
        page.click("#start-camera")
        page.get_by_text("There is no camera here").wait_for()


def test_a_browser_without_simd(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit("about:blank")
    visitor.page.add_init_script("WebAssembly.validate = () => false")
    visitor.page.goto(url)
    visitor.page.get_by_text("no WebAssembly with SIMD").wait_for()


def test_pictures_and_models_that_are_opened(
    visit: Callable[..., Visit], url: str, tmp_path: Path
) -> None:
    visitor = visit(url + "&style=negative")
    visitor.wait_for_frames(1)
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    frame, picture = original(visitor), visitor.snapshot()
    assert difference(frame, resize(read_image(PHOTO), frame.shape[1], frame.shape[0])) < 3
    assert difference(picture, 255 - frame) <= 1

    own = tmp_path / "mine.onnx"
    own.write_bytes((MODELS / "many.onnx").read_bytes())
    visitor.choose("files", own)
    visitor.wait("d.style?.startsWith('blob:')")
    visitor.settle()
    many = Stylizer.load(own, provider="cpu")
    assert difference(visitor.snapshot(), many(frame, [1, 0, 0])) <= 1
    assert visitor.page.locator("label.style").count() == 8
    # It has thumbnails from the start, those of the site's own entries.
    for number in range(3):
        theirs, ours = thumbnail(visitor, 2 + number), thumbnail(visitor, 5 + number)
        assert difference(theirs, ours) <= 2

    (tmp_path / "notes.txt").write_text("no picture")
    visitor.choose("files", tmp_path / "notes.txt")
    visitor.page.get_by_text("notes.txt is no picture, clip or .onnx model").wait_for()


def test_models_that_cannot_be_used(visit: Callable[..., Visit], url: str, tmp_path: Path) -> None:
    visitor = visit(url + "&style=negative")
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    before = visitor.snapshot()
    whole = (MODELS / "many.onnx").read_bytes()
    # A file that says of itself what it should, and is none of it.
    (tmp_path / "broken.onnx").write_bytes(whole.replace(b"Split", b"Spilt"))
    # One that loads, and fails when it is to paint: it has three styles and names four.
    names = b'["plain", "negative", "night"]', b'["plain","neg","night","dark"]'
    assert names[0] in whole
    (tmp_path / "lying.onnx").write_bytes(whole.replace(*names))
    for path, words in (
        (MODELS / "foreign_255.onnx", "edge-style export foreign_255.onnx"),
        (MODELS / "encoder.onnx", "does not paint"),
        (MODELS / "violating.onnx", "violating.onnx cannot be used: it does not take 'image'"),
        (tmp_path / "broken.onnx", "broken.onnx cannot be used: "),
        (tmp_path / "lying.onnx", "lying.onnx cannot be used: "),
        (MODELS / "fixed.onnx", "it takes frames of 64\u00d748 only: export it without --size"),
    ):
        visitor.choose("files", path)
        visitor.page.locator("#notice").get_by_text(words).wait_for()
        assert visitor.page.locator("label.style").count() == 5, path.name
    # What was there before goes on, and what is good is taken.
    assert visitor.data("style") == "negative"
    assert difference(visitor.snapshot(), before) == 0
    visitor.choose("files", MODELS / "negative16.onnx")
    visitor.wait("d.style?.startsWith('blob:')")
    visitor.settle()
    assert difference(visitor.snapshot(), before) <= 1


@pytest.fixture
def any_url(built_page: Path) -> Iterator[str]:
    """A page that can take any picture as the style, whose network paints its mean colour."""
    with served("--model", f"{MODELS / 'negative.onnx'},{MODELS / 'any.onnx'}") as address:
        yield f"{address}?backend=wasm&side={SIDE_PX}"


def coloured(path: Path, colour: tuple[int, int, int], sides: tuple[int, int] = (90, 300)) -> Path:
    """A picture of one colour, RGB."""
    write_image(path, np.full((*sides, 3), colour, np.uint8))
    return path


def test_any_picture_is_a_style(visit: Callable[..., Visit], any_url: str, tmp_path: Path) -> None:
    visitor = visit(any_url)
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    negative = visitor.snapshot()
    assert visitor.page.get_by_role("button", name="Any picture").is_visible()
    red, blue = (200, 30, 10), (5, 60, 220)
    pictures = [coloured(tmp_path / "red sky.png", red), coloured(tmp_path / "blue.png", blue)]
    visitor.choose("style-files", pictures)
    visitor.wait("d.style === 'picture-2'")
    visitor.settle()
    assert visitor.data("source") == "picture", "what is painted stays"
    painted = visitor.snapshot()
    assert difference(painted, np.full_like(painted, 1) * np.uint8(blue)) <= 1
    assert visitor.page.locator("#caption").inner_text() == "blue"
    assert thumbnail(visitor, 1)[60, 80].tolist() == pytest.approx(red, abs=8)
    # One network serves both, and each keeps its own code.
    visitor.page.keyboard.press("2")
    visitor.wait("d.style === 'picture-1'")
    visitor.settle()
    painted = visitor.snapshot()
    assert difference(painted, np.full_like(painted, 1) * np.uint8(red)) <= 1
    assert len([url for url in visitor.requests if "models/any-encoder" in url]) == 1
    visitor.page.keyboard.press("1")
    visitor.wait("d.style === 'negative'")
    visitor.settle()
    assert difference(visitor.snapshot(), negative) == 0
    assert visitor.complaints == []


@pytest.mark.parametrize("held", ["any", "any-encoder"])
def test_frames_and_styles_go_on_while_a_network_for_any_picture_is_fetched(
    visit: Callable[..., Visit], any_url: str, tmp_path: Path, held: str
) -> None:
    visitor = visit(any_url)
    visitor.wait_for_frames(1)
    requests = visitor.hold(re.compile(rf"/models/{held}-[0-9a-f]+\."))
    visitor.choose("style-files", coloured(tmp_path / "red.png", (200, 30, 10)))
    visitor.wait_for_request(requests)
    visitor.wait_for_frames(5)
    visitor.choose("files", MODELS / "many.onnx")
    visitor.wait("d.style?.startsWith('blob:')")
    # Another picture meanwhile fetches nothing twice.
    visitor.choose("style-files", coloured(tmp_path / "blue.png", (5, 60, 220)))
    visitor.wait_for_frames(5)
    assert len(requests) == 1
    requests[0].continue_()
    visitor.wait("document.querySelectorAll('label.style').length === 6")
    visitor.wait("d.style?.startsWith('picture-')")


def test_behind_what_is_transparent_is_white(
    visit: Callable[..., Visit], any_url: str, tmp_path: Path
) -> None:
    clear = tmp_path / "clear.png"
    cv2.imwrite(str(clear), np.full((96, 96, 4), (10, 30, 200, 0), np.uint8))
    visitor = visit(any_url)
    visitor.choose("files", coloured(tmp_path / "red.png", (200, 30, 10), (96, 96)))
    visitor.wait("d.source === 'picture'")
    visitor.settle()
    visitor.set_range("strength", 0)
    visitor.settle()
    assert visitor.snapshot()[48, 48].tolist() == [200, 30, 10]
    shown = visitor.data("frames")
    visitor.choose("files", clear)
    visitor.wait(f"d.frames !== '{shown}'")
    visitor.settle()
    assert (visitor.snapshot() == 255).all()
    visitor.set_range("strength", 100)
    visitor.choose("style-files", clear)
    visitor.wait("d.style === 'picture-1'")
    visitor.settle()
    assert (visitor.snapshot() >= 254).all()


def test_a_style_is_read_as_the_image_command_reads_it(
    visit: Callable[..., Visit], tmp_path: Path
) -> None:
    # Large, taller than wide, and full of detail: what is lost in making it smaller tells.
    style = tmp_path / "style.png"
    photo = read_image(PHOTO)
    write_image(style, resize(np.ascontiguousarray(photo[:, 90:400]), 1240, 2048))
    models = ROOT / "exported"
    with served("--model", f"{STARRY},{models / 'any.onnx'}") as address:
        visitor = visit(f"{address}?backend=wasm&side={SIDE_PX}")
        visitor.choose("files", PHOTO)
        visitor.wait("d.source === 'picture'")
        visitor.choose("style-files", style)
        visitor.wait("d.style === 'picture-1'")
        visitor.settle()
        frame, painted = original(visitor), visitor.snapshot()
    expected = image_command(frame, models / "any.onnx", tmp_path, "--style", str(style))
    assert difference(painted, expected) < 3
    assert difference(expected, frame) > 15


DROP = """([selector, base64, name]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name, { type: "image/png" }));
    const drop = new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
    document.querySelector(selector).dispatchEvent(drop);
}"""


def test_a_picture_dropped_on_the_styles_is_one(
    visit: Callable[..., Visit], any_url: str, url: str, tmp_path: Path
) -> None:
    green = coloured(tmp_path / "green.png", (20, 180, 40))
    dropped = [base64.b64encode(green.read_bytes()).decode(), "green.png"]
    visitor = visit(any_url)
    visitor.wait_for_frames(1)
    for place, says in (("#gallery label", "Paint like it"), ("#picture", "Drop it")):
        visitor.page.evaluate(DROP.replace('"drop"', '"dragover"'), [place, *dropped])
        assert visitor.page.locator("#drop-hint").inner_text() == says
    visitor.page.evaluate(DROP, ["#gallery label", *dropped])
    visitor.wait("d.style === 'picture-1'")
    assert visitor.data("source") == "sample"
    assert visitor.page.locator("#drop-hint").is_hidden()
    visitor.page.evaluate(DROP, ["#picture", *dropped])
    visitor.wait("d.source === 'picture'")
    # A page that has no network for it shows no way to it, and a picture is just a picture.
    plain = visit(url + "&style=negative")
    plain.wait_for_frames(1)
    assert plain.page.get_by_role("button", name="Any picture").count() == 0
    plain.page.evaluate(DROP, ["#gallery label", *dropped])
    plain.wait("d.source === 'picture'")


def test_pictures_that_cannot_be_a_style(
    visit: Callable[..., Visit], any_url: str, tmp_path: Path
) -> None:
    visitor = visit(any_url)
    visitor.wait_for_frames(1)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    small = coloured(tmp_path / "small.png", (1, 2, 3), (12, 40))
    for path, words in (
        (tmp_path / "broken.png", "broken.png cannot be a style: This picture cannot be read"),
        (small, "small.png cannot be a style: it should have 16 pixels"),
    ):
        visitor.choose("style-files", path)
        visitor.page.locator("#notice").get_by_text(words).wait_for()
    assert visitor.data("style") == "negative"
    assert visitor.page.locator("label.style").count() == 1


def test_styles_of_one_network_blend(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url)
    visitor.choose("files", PHOTO)
    visitor.wait("d.source === 'picture'")
    assert visitor.page.locator("#blend").is_hidden()  # one style only
    visitor.page.keyboard.press("4")
    visitor.wait("d.style === 'many-2'")
    visitor.settle()
    frame = original(visitor)
    many = Stylizer.load(MODELS / "many.onnx", provider="cpu")
    assert visitor.page.get_by_label("Towards night").is_visible()
    visitor.set_range("blend", 40)
    visitor.settle()
    assert difference(visitor.snapshot(), many(frame, [0, 0.6, 0.4])) <= 1
    assert "+ 40 % night" in visitor.page.locator("#caption").inner_text()
    visitor.page.keyboard.press(".")
    visitor.settle()
    assert difference(visitor.snapshot(), many(frame, [0, 0.5, 0.5])) <= 1
    # Another style is seen as it is.
    visitor.page.keyboard.press("3")
    visitor.wait("d.style === 'many-1'")
    visitor.settle()
    assert difference(visitor.snapshot(), frame) <= 1


def test_nothing_leaves_the_origin(visit: Callable[..., Visit], url: str) -> None:
    visitor = with_camera(visit, url)
    visitor.page.keyboard.press("2")
    visitor.wait("d.style === 'negative'")
    visitor.snapshot()
    origin = url.partition("?")[0]
    addresses = [
        address for address in visitor.requests if not address.startswith("blob:" + origin)
    ]
    assert any(address.endswith(".wasm.gz") for address in addresses)
    assert any("models/negative" in address for address in addresses)
    assert [address for address in addresses if not address.startswith(origin)] == []
    assert visitor.complaints == []
    # Script that is not in a file of ours does not run, and nothing elsewhere is asked.
    page = visitor.page
    page.evaluate(
        "const script = document.createElement('script'); script.textContent = 'window.bad = 1';"
        "document.body.append(script);"
    )
    assert page.evaluate("window.bad") is None
    assert page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')") == (
        "refused"
    )
    assert [text for text in visitor.complaints if "Content Security Policy" in text]


def test_threads_and_figures(visit: Callable[..., Visit], url: str) -> None:
    visitor = visit(url)
    visitor.wait_for_frames(3)
    assert visitor.page.evaluate("crossOriginIsolated") is True
    figures: Any = visitor.page.locator("#figures")
    figures.get_by_text("frames/s").wait_for()
    text = figures.inner_text()
    assert "320\u00d7240" in text
    assert "WebAssembly fp16" in text


def test_webgpu_where_it_is_asked_for(launch: Callable[..., Any], url: str) -> None:
    """On a device that the processor imitates: it shows that the way is right, not how fast."""
    flags = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
    with launch(*flags) as browser:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url.replace("backend=wasm&side=240", "backend=webgpu&side=64&style=negative"))
        if not page.evaluate("navigator.gpu?.requestAdapter().then((found) => found !== null)"):
            pytest.skip("this Chromium has no WebGPU that the processor imitates")
        visitor = Visit(page)
        visitor.wait("d.backend === 'webgpu'")
        visitor.wait_for_frames(2)
