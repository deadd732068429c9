"""The window, for real: `cam` in a process of its own, on a display of its own."""

import ctypes
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_style.images import read_image
from edge_style.sinks.window import character_of

MODELS = Path(__file__).parents[1] / "data" / "models"
SCREEN_PX = (1024, 768)
PATIENCE_S = 20.0
BLANK_S = 2.0  # a window shows its picture sooner
ATTEMPTS = 5


class Display:
    """An X server without a screen, whose picture can be read and whose keys can be pressed."""

    def __init__(self, folder: Path) -> None:
        read_end, write_end = os.pipe()
        width, height = SCREEN_PX
        arguments = ["-displayfd", str(write_end), "-screen", "0", f"{width}x{height}x24"]
        self._server = subprocess.Popen(
            ["Xvfb", *arguments, "-fbdir", str(folder), "-nolisten", "tcp", "-noreset"],
            pass_fds=[write_end],
            stderr=subprocess.DEVNULL,
        )
        os.close(write_end)
        with os.fdopen(read_end) as numbers:
            self.name = f":{numbers.readline().strip()}"
        self._framebuffer = folder / "Xvfb_screen0"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DISPLAY": self.name}

    def screenshot(self) -> np.ndarray:
        """What is on the screen: uint8 [H, W, 3], RGB."""
        data = self._framebuffer.read_bytes()  # the format of xwd
        header = struct.unpack(">25I", data[:100])
        offset = header[0] + header[19] * 12
        height, row_bytes = header[5], header[12]
        rows = np.frombuffer(data, np.uint8, height * row_bytes, offset).reshape(height, -1, 4)
        return rows[:, : header[4], 2::-1]

    def xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return done.stdout.strip()

    def window(self) -> str:
        return self.xdotool("search", "--name", "^edge-style$").split("\n")[0]

    def press(self, key: str) -> None:
        # Without a window manager nobody gives a window the keyboard.
        self.xdotool("windowfocus", "--sync", self.window(), "key", key)

    def ask_to_close(self, window: int) -> None:
        """What a window manager sends when the cross in the corner is clicked."""
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        names = (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
        protocols, delete = (x11.XInternAtom(display, name, 0) for name in names)
        # An XClientMessageEvent, as the server's bus lays it out, in the space of an XEvent.
        event = struct.pack("@iLiPLLi5l", 33, 0, 1, 0, window, protocols, 32, delete, 0, 0, 0, 0)
        x11.XSendEvent(
            display, ctypes.c_ulong(window), 0, ctypes.c_long(0), event.ljust(192, b"\0")
        )
        x11.XCloseDisplay(display)

    def stop(self) -> None:
        self._server.terminate()
        self._server.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    missing = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]
    # Continuous integration installs both and must run these tests; a laptop may lack them.
    if missing and "CI" not in os.environ:
        pytest.skip(f"no {' and no '.join(missing)}: apt-get install xvfb xdotool")
    server = Display(tmp_path_factory.mktemp("screen"))
    yield server
    server.stop()


def wait_for(what: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_cam(display: Display, tmp_path: Path) -> Iterator[Start]:
    processes = []

    def start_once(*more: str, models: str = "negative.onnx") -> "subprocess.Popen[str]":
        paths = ",".join(str(MODELS / name) for name in models.split(","))
        command = [sys.executable, "-m", "edge_style", "cam", "--model", paths, "--source", "test"]
        # Where a test before left it, the pointer would be a part of the picture.
        display.xdotool("mousemove", str(SCREEN_PX[0] - 1), str(SCREEN_PX[1] - 1))
        process = subprocess.Popen(
            [*command, "--provider", "cpu", "--size", "320x240", *more],
            env=display.environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    def start(*more: str, models: str = "negative.onnx") -> "subprocess.Popen[str]":
        # The Qt 5.15 in OpenCV's wheels leaves about one new window in ten blank where there is no
        # window manager, whatever the program does (ten lines of Python show it). Try again then.
        for _ in range(ATTEMPTS):
            process = start_once(*more, models=models)
            wait_for(display.window, process)
            end_s = time.monotonic() + BLANK_S
            while time.monotonic() < end_s:
                if picture_is_shown(display):
                    return process
                time.sleep(0.02)
            process.kill()
            process.communicate()
        raise AssertionError(f"no picture in {ATTEMPTS} windows")

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def picture_is_shown(display: Display) -> bool:
    return bool(display.window()) and len(np.unique(display.screenshot()[::8, ::8])) > 50


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, errors


def test_keys_pause_save_and_quit(display: Display, start_cam: Start, tmp_path: Path) -> None:
    process = start_cam()
    display.press("space")
    wait_for(lambda: stands_still(display), process)
    display.press("s")
    wait_for(lambda: list(tmp_path.glob("*.png")), process)
    display.press("space")
    wait_for(lambda: not stands_still(display), process)
    display.press("s")
    wait_for(lambda: len(list(tmp_path.glob("*.png"))) == 2, process)
    display.press("q")
    status, _, errors = finish(process)
    assert status == 0, errors
    first, second = (
        read_image(path) for path in sorted(tmp_path.glob("edge-style-negative-*.png"))
    )
    assert first.shape == second.shape == (240, 320, 3)
    assert (first != second).any()
    assert len(errors.strip().split("\n")) == 3, "nothing of Qt's or OpenCV's on the terminal"


@pytest.mark.parametrize(
    ("key", "character"),
    [
        (-1, ""),
        (ord("q"), "q"),
        (0x1B, "\x1b"),
        (0x10051, "Q"),  # with Shift, of GTK
        (0xFF51, ""),  # the left arrow of X11, whose lowest byte is Q
        (0x1FF52, ""),  # with Shift
        (0x250000, ""),  # the left arrow of Windows
        (0xE9, ""),
        (0x6D1, ""),  # a Cyrillic letter
    ],
)
def test_only_characters_are_keys(key: int, character: str) -> None:
    assert character_of(key) == character


def test_arrows_and_the_like_do_nothing(
    display: Display, start_cam: Start, still: Path, tmp_path: Path
) -> None:
    process = start_cam("--source", str(still))
    wait_for(lambda: shows(display, negative(LEFT), negative(RIGHT)), process)
    # As their lowest bytes read: Q quit, R record, S snapshot, V split, C colours, P previous.
    for key in ("Left", "Up", "Right", "Down", "Next", "Prior", "Insert", "Home", "F2", "Delete"):
        display.press(key)
        time.sleep(0.1)  # OpenCV's window keeps one key only
    assert process.poll() is None, process.communicate()
    display.press("m")
    wait_for(lambda: shows(display, negative(RIGHT), negative(LEFT)), process)
    assert [path.name for path in tmp_path.iterdir()] == [still.name]
    display.press("q")
    status, _, errors = finish(process)
    assert status == 0, errors


def stands_still(display: Display) -> bool:
    before = display.screenshot()
    time.sleep(0.12)
    return bool((before == display.screenshot()).all())


def test_the_window_shows_the_frame_under_its_figures(display: Display, start_cam: Start) -> None:
    start_cam()
    picture = display.screenshot()[:240, :320]
    figures, below = picture[:24, :220], picture[40:]
    assert (figures == 255).all(axis=2).sum() > 50, "white letters"
    assert (figures < 24).all(axis=2).sum() > 50, "with a dark outline"
    # The negative of a green landscape under a blue sky.
    assert below[120:, :, 2].mean() > below[120:, :, 1].mean()


def test_keys_switch_the_style(display: Display, start_cam: Start, tmp_path: Path) -> None:
    clip = tmp_path / "red.mp4"
    write_reddish_clip(clip)
    process = start_cam("--source", str(clip), "--json", models="negative.onnx,many.onnx")
    wait_for(lambda: not looks_red(display), process)
    for key, turns_red in (("n", True), ("p", False), ("2", True), ("1", False), ("n", True)):
        display.press(key)
        wait_for(lambda expected=turns_red: looks_red(display) == expected, process)
    display.press("Escape")
    status, out, errors = finish(process)
    assert status == 0, errors
    assert json.loads(out)["model"] == "many"


def write_reddish_clip(path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 90, (240, 320, 3), dtype=np.uint8)
    picture[..., 2] += 150
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (320, 240))
    for _ in range(600):
        writer.write(picture)
    writer.release()


def looks_red(display: Display) -> bool:
    red, green, _ = display.screenshot()[40:240, :320].reshape(-1, 3).mean(axis=0)
    return bool(red > green)


STILL_PX = (320, 240)
LEFT, RIGHT = (90, 40, 30), (180, 170, 60)  # colours of its halves, red green blue


def write_still_clip(path: Path) -> None:
    """Half a minute of one picture of two halves, so that what keys change is all that changes."""
    picture = np.empty((STILL_PX[1], STILL_PX[0], 3), np.uint8)
    picture[:, :160], picture[:, 160:] = LEFT[::-1], RIGHT[::-1]
    # By its many levels `picture_is_shown` knows a picture from a blank window.
    picture[200:] = np.random.default_rng(0).integers(0, 240, (40, 320, 3), dtype=np.uint8)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, STILL_PX)
    for _ in range(900):
        writer.write(picture)
    writer.release()


def halves(display: Display) -> tuple[np.ndarray, np.ndarray]:
    """Colours in the middle of the left and of the right half, below the figures."""
    picture = display.screenshot()[80:180, :320].astype(float)
    return picture[:, 60:100].mean(axis=(0, 1)), picture[:, 220:260].mean(axis=(0, 1))


def shows(display: Display, left: object, right: object) -> bool:
    found = halves(display)
    wanted = np.asarray(left, float), np.asarray(right, float)
    return all(np.abs(a - b).max() < 8 for a, b in zip(found, wanted, strict=True))


def negative(colour: tuple[int, ...]) -> np.ndarray:
    return 255 - np.asarray(colour, float)


def recoloured(colour: tuple[int, ...]) -> np.ndarray:
    """The colour with the light of its negative."""
    light = float(np.dot(colour, (0.299, 0.587, 0.114)))
    return np.clip(np.asarray(colour, float) + 255 - 2 * light, 0, 255)


@pytest.fixture
def still(tmp_path: Path) -> Path:
    path = tmp_path / "still.avi"
    write_still_clip(path)
    return path


def test_keys_for_strength_colours_mirror_and_split(
    display: Display, start_cam: Start, still: Path
) -> None:
    process = start_cam("--source", str(still))

    def press_and_see(keys: str, left: object, right: object) -> None:
        for key in keys.split():
            display.press(key)
        wait_for(lambda: shows(display, left, right), process)

    def press_until(key: str, left: object, right: object) -> None:
        def is_seen() -> bool:
            display.press(key)
            return shows(display, left, right)

        wait_for(is_seen, process)

    wait_for(lambda: shows(display, negative(LEFT), negative(RIGHT)), process)
    # One at a time: OpenCV's window forgets keys that are pressed faster than it looks.
    for strength in (0.9, 0.8, 0.7, 0.6):
        press_and_see(
            "minus",
            strength * negative(LEFT) + (1 - strength) * np.array(LEFT),
            strength * negative(RIGHT) + (1 - strength) * np.array(RIGHT),
        )
    press_until("plus", negative(LEFT), negative(RIGHT))
    press_and_see("c", recoloured(LEFT), recoloured(RIGHT))
    press_and_see("c", negative(LEFT), negative(RIGHT))
    press_and_see("m", negative(RIGHT), negative(LEFT))
    press_and_see("m", negative(LEFT), negative(RIGHT))
    press_and_see("v", LEFT, negative(RIGHT))
    press_until("bracketleft", negative(LEFT), negative(RIGHT))
    press_until("bracketright", LEFT, RIGHT)
    # The mouse drags the edge.
    window = display.window()
    place = ["mousemove", "--window", window]
    drag = [*place, "300", "120", "mousedown", "1", *place, "10", "120", "mouseup", "1"]

    def is_dragged() -> bool:
        display.xdotool(*drag)
        return shows(display, negative(LEFT), negative(RIGHT))

    wait_for(is_dragged, process)
    press_and_see("v", negative(LEFT), negative(RIGHT))
    # A pause holds the picture; what is wanted of it changes all the same.
    display.press("space")
    press_and_see("m", negative(RIGHT), negative(LEFT))


def test_keys_blend_two_styles_of_a_network(
    display: Display, start_cam: Start, still: Path
) -> None:
    process = start_cam("--source", str(still), models="many.onnx")
    wait_for(lambda: shows(display, LEFT, RIGHT), process)
    steps = (("b", 0.5), ("period", 0.6), ("comma", 0.5), ("comma", 0.4), ("comma", 0.3))
    for key, share in steps:
        display.press(key)
        left, right = (
            (1 - share) * np.array(colour) + share * negative(colour) for colour in (LEFT, RIGHT)
        )
        wait_for(lambda left=left, right=right: shows(display, left, right), process)


def white_letters(display: Display) -> int:
    """Bright pixels; letters of a small window have few that are all white."""
    return int((display.screenshot()[:190, :320] > 180).all(axis=2).sum())


def geometry(display: Display) -> str:
    return display.xdotool("getwindowgeometry", "--shell", display.window())


def test_keys_for_figures_help_and_full_screen(
    display: Display, start_cam: Start, still: Path
) -> None:
    process = start_cam("--source", str(still))
    wait_for(lambda: white_letters(display) > 50, process)
    display.press("i")
    wait_for(lambda: white_letters(display) == 0, process)
    display.press("h")
    wait_for(lambda: white_letters(display) > 200, process)
    dark = display.screenshot()[200:240, 4:20].mean()
    assert dark < 0.5 * negative(LEFT).mean(), "the picture steps back behind the help"
    display.press("h")
    wait_for(lambda: white_letters(display) == 0, process)
    display.press("f")
    wait_for(lambda: f"WIDTH={SCREEN_PX[0]}" in geometry(display), process)
    display.press("f")
    wait_for(lambda: f"WIDTH={SCREEN_PX[0]}" not in geometry(display), process)
    display.press("q")
    status, _, errors = finish(process)
    assert status == 0, errors


def test_a_key_starts_and_stops_a_recording(
    display: Display, start_cam: Start, still: Path, tmp_path: Path
) -> None:
    process = start_cam("--source", str(still), "--snapshots", str(tmp_path))
    display.press("r")
    wait_for(lambda: list(tmp_path.glob("*edge-style-negative-*.mp4")), process)
    display.press("r")
    wait_for(lambda: list(tmp_path.glob("edge-style-negative-*.mp4")), process)
    display.press("q")
    status, _, errors = finish(process)
    assert status == 0, errors
    (clip,) = tmp_path.glob("*.mp4")
    found, image = cv2.VideoCapture(str(clip)).read()
    assert found
    assert np.abs(image[120, 40, ::-1] - negative(LEFT)).max() < 12


def test_options_set_what_keys_change(display: Display, start_cam: Start, still: Path) -> None:
    options = ["--strength", "0.5", "--mirror", "--split", "0.4", "--no-figures", "--full-screen"]
    process = start_cam("--source", str(still), *options)
    wait_for(lambda: f"WIDTH={SCREEN_PX[0]}" in geometry(display), process)

    def is_as_asked() -> bool:
        picture = display.screenshot().astype(float)
        left, right = picture[384, 100], picture[384, 900]
        half = 0.5 * np.array(LEFT) + 0.5 * negative(LEFT)
        return bool(np.abs(left - RIGHT).max() < 8 and np.abs(right - half).max() < 8)

    wait_for(is_as_asked, process)


def test_closing_the_window_with_the_mouse_quits(display: Display, start_cam: Start) -> None:
    process = start_cam()
    display.ask_to_close(int(display.window()))
    status, _, errors = finish(process)
    assert status == 0, errors


def test_ctrl_c_closes_the_files(display: Display, start_cam: Start, tmp_path: Path) -> None:
    process = start_cam("--output", "window", "--output", "out.mp4", "--json")
    process.send_signal(signal.SIGINT)
    status, out, errors = finish(process)
    assert status == 130, errors
    assert "Traceback" not in errors
    capture = cv2.VideoCapture(str(tmp_path / "out.mp4"))
    assert capture.read()[0]
    assert json.loads(out)["frames"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("name", [None, ":4711"])
def test_no_display_is_one_line_that_names_the_other_outputs(name: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if "DISPLAY" not in key}
    if name is not None:
        environment["DISPLAY"] = name
    arguments = ["cam", "--model", str(MODELS / "negative.onnx"), "--source", "test"]
    done = subprocess.run(
        [sys.executable, "-m", "edge_style", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 2
    last = done.stderr.strip().split("\n")[-1]
    assert last.startswith("error: ")
    assert "display" in last
    assert "--output" in last
