"""The show in a terminal, for real: `cam` on a pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_style.terminal import half_blocks

MODELS = Path(__file__).parents[1] / "data" / "models"
PATIENCE_S = 30.0


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        paths = ",".join(str(MODELS / name) for name in ("negative.onnx", "many.onnx"))
        command = [sys.executable, "-m", "edge_style", "cam", "--model", paths, "--provider", "cpu"]
        self.process = subprocess.Popen(
            [*command, "--source", "test", "--size", "160x120", *more],
            cwd=folder,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=slave,
            start_new_session=True,
            # A leader of a session that opens a terminal has it as its own.
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # noqa: PLW1509
        )
        os.close(slave)
        self.text = ""

    def read(self) -> str:
        while select.select([self._master], [], [], 0)[0]:
            try:
                self.text += os.read(self._master, 65536).decode("utf-8", "replace")
            except OSError:
                break  # closed at the other end
        return self.text

    def wait_for(self, what: Callable[[str], object]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not what(self.read()):
            assert time.monotonic() < end_s, self.text[-2000:]
            time.sleep(0.02)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*more: str) -> Terminal:
        started.append(Terminal(tmp_path, *more))
        return started[-1]

    yield start
    for one in started:
        one.close()


def ends_well(terminal: Terminal) -> bool:
    """Whether the program has ended; what it writes meanwhile is read, or it could not."""
    terminal.read()
    return terminal.process.poll() is not None


def test_a_status_line_that_hears_keys(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal("--output", "null")
    one.wait_for(lambda text: re.search(r"[\d.]+ fps  \d+ ms  160x120  cpu  Negative", text))
    assert not one.echoes
    one.type("2")
    one.wait_for(lambda text: "plain" in text.split("\r")[-1])
    one.type("---")
    one.wait_for(lambda text: "strength 70%" in text)
    one.type(" ")
    one.wait_for(lambda text: "[paused]" in text.split("\r")[-1])
    one.type(" s")
    one.wait_for(lambda _: list(tmp_path.glob("*.png")))
    one.type("\x1b[A")  # an arrow is no Esc
    one.wait_for(lambda text: "saved" in text)
    assert one.process.poll() is None
    assert "\n" not in one.text[one.text.rindex("fps") :], "one line, written over and over"
    one.type("q")
    one.wait_for(lambda _: ends_well(one))
    assert one.process.returncode == 0, one.text
    assert one.echoes, "the terminal is as it was"


def test_a_preview_in_the_terminal(terminal: Callable[..., Terminal]) -> None:
    one = terminal("--preview", "terminal")
    one.wait_for(lambda text: text.count("\u2580") > 2000 and "fps" in text)
    colours = set(re.findall(r"38;2;(\d+;\d+;\d+)", one.text))
    assert len(colours) > 100
    one.type("q")
    one.wait_for(lambda _: ends_well(one))
    assert one.process.returncode == 0, one.text
    assert one.read().rindex("\x1b[?1049l") > one.text.rindex("\u2580"), "the old screen is back"


def test_without_a_terminal_nothing_of_it_is_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge_style", "cam", "--model", str(MODELS / "negative.onnx")]
    command += ["--source", "test", "--output", "null", "--max-frames", "5", "--size", "64x48"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
    done = subprocess.run(
        [*command, "--preview", "terminal"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_half_blocks_have_the_pictures_colours_and_shape() -> None:
    image = np.zeros((40, 80, 3), np.uint8)
    image[:20] = (255, 10, 20)
    image[20:] = (30, 40, 250)
    lines = half_blocks(image, 40, 24).split("\r\n")
    rows = [line for line in lines if "\u2580" in line]
    assert len(rows) == 10, "as wide as there is room, and half as many rows of characters"
    assert all(row.count("\u2580") == 40 for row in rows)
    assert "\x1b[38;2;255;10;20;48;2;255;10;20m" in rows[0]
    assert "\x1b[38;2;30;40;250;48;2;30;40;250m" in rows[-1]
    assert len(half_blocks(image, 10, 2).split("\r\n")[0]) > 0
