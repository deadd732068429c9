"""The show in a terminal, for real: `cam` on a pseudo-terminal."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from edge_style import terminal_keys
from edge_style.terminal import half_blocks
from edge_style.terminal_keys import KeyParser, TerminalKeys

MODELS = Path(__file__).parents[1] / "data" / "models"
PATIENCE_S = 30.0


class Terminal:
    """A program on a terminal of its own: `cam` with `more` options, or another command."""

    def __init__(self, folder: Path, *more: str, command: Sequence[str] = ()) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        paths = ",".join(str(MODELS / name) for name in ("negative.onnx", "many.onnx"))
        cam = [
            "cam",
            "--model",
            paths,
            "--provider",
            "cpu",
            "--source",
            "test",
            "--size",
            "160x120",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_style", *(command or [*cam, *more])],
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

    def start(*more: str, command: Sequence[str] = ()) -> Terminal:
        started.append(Terminal(tmp_path, *more, command=command))
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
    one.wait_for(lambda text: "saved" in text)
    # An arrow is no Esc, and what is typed with it in one go is heard.
    one.type("\x1b[A+")
    one.wait_for(lambda text: "strength 80%" in text)
    assert one.process.poll() is None
    assert "\n" not in one.text[one.text.rindex("fps") :], "one line, written over and over"
    one.type("\x1b[Aq")
    one.wait_for(lambda _: ends_well(one))
    assert one.process.returncode == 0, one.text
    assert one.echoes, "the terminal is as it was"


def test_esc_by_itself_quits(terminal: Callable[..., Terminal]) -> None:
    one = terminal("--output", "null")
    one.wait_for(lambda text: "fps" in text)
    one.type("\x1b")
    one.wait_for(lambda _: ends_well(one))
    assert one.process.returncode == 0, one.text


# What terminals send for keys that mean nothing here, and cut-off sequences among them.
SEQUENCES = {
    "arrow": "\x1b[A",
    "arrow in application mode": "\x1bOA",
    "arrow with Ctrl": "\x1b[1;5C",
    "arrow with Alt, of rxvt": "\x1b\x1b[D",
    "page up": "\x1b[5~",
    "F1": "\x1bOP",
    "F1 with Shift, of old terminals": "\x1bO2P",
    "F2 of Linux's console": "\x1b[[B",
    "F5": "\x1b[15~",
    "keypad": "\x1bOs",
    "a reply": "\x1b[?62;22c",
    "the mouse": "\x1b[<0;10;20M",
    "the window has the keyboard": "\x1b[I",
    "cut off by another": "\x1b[1;\x1b[A",
}


@pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences_are_left_out_wherever_they_stand_and_are_cut(sequence: str) -> None:
    for before, behind in (("", ""), ("s", ""), ("", "q"), ("ns", "+q"), ("A[", "[1")):
        sent = before + sequence + behind
        for first in range(len(sent) + 1):
            for second in range(first, len(sent) + 1):
                parser, pieces = KeyParser(), (sent[:first], sent[first:second], sent[second:])
                # Less time between the pieces than it takes to be sure of Esc.
                found = "".join(parser.parse(text, 0.03 * n) for n, text in enumerate(pieces))
                assert found == before + behind, pieces
                assert parser.parse("", 60.0) == "", "nothing is left of it"


def test_all_sequences_in_a_row() -> None:
    parser = KeyParser()
    sent = "".join(f"{sequence}{n}" for n, sequence in enumerate(SEQUENCES.values()))
    found = "".join(parser.parse(character, n / 1000) for n, character in enumerate(sent))
    assert found == "".join(map(str, range(len(SEQUENCES))))


@pytest.mark.parametrize(
    ("sent", "typed", "later"),
    [
        ("\x1b", "", "\x1b"),
        ("s\x1b", "s", "\x1b"),
        ("\x1b[A\x1b", "", "\x1b"),
        ("\x1b\x1b", "", "\x1b"),
        ("\x1b[", "", "["),  # Alt with that key
        ("\x1bO", "", "O"),
        ("\x1bs", "s", ""),
        ("\x1bq", "q", ""),  # Esc and q, read late, must not both be lost
        ("\x1b[\x7f", "\x7f", ""),
    ],
)
def test_esc_is_known_by_what_does_not_follow(sent: str, typed: str, later: str) -> None:
    parser = KeyParser()
    assert parser.parse(sent, 7.0) == typed
    assert parser.parse("", 7.05) == "", "more may come"
    assert parser.parse("", 7.15) == later
    assert parser.parse("", 9.0) == "", "once"
    assert parser.parse("q", 9.1) == "q"


def test_what_follows_late_is_still_its_sequence() -> None:
    """The program was busy between two looks: what waits meanwhile is read before time counts."""
    parser = KeyParser()
    assert parser.parse("\x1b", 0.0) == ""
    assert parser.parse("[A", 0.9) == ""
    assert parser.parse("\x1b[1", 1.0) == ""
    assert parser.parse("", 1.5) == "", "nobody types that by hand"
    assert parser.parse(";5C", 1.6) == ""
    assert parser.parse("\x1b[1", 2.0) == ""
    assert parser.parse("", 3.1) == "", "the rest was lost on the way"
    assert parser.parse("q", 3.2) == "q"


def test_keys_of_a_terminal_come_in_any_pieces() -> None:
    master, slave = pty.openpty()
    now_s = 0.0
    try:
        with os.fdopen(os.dup(slave)) as stdin:
            keys = TerminalKeys(stdin, clock=lambda: now_s)
            keys._before = []  # as `open` leaves it where this is the terminal of the tests
            tty.setraw(slave)

            def typed(data: bytes) -> str:
                os.write(master, data)
                # Everything is there at once: a pseudo-terminal is a buffer.
                assert select.select([slave], [], [], PATIENCE_S)[0]
                return keys.typed()

            assert typed(b"s\x1b[A") == "s"
            assert typed(b"\xc3") == ""
            assert typed(b"\xa9q") == "\u00e9q"
            assert typed(b"n" * 3000) == "n" * 3000
            assert typed(b"\x1b") == ""
            now_s = 0.2
            assert keys.typed() == "\x1b"
    finally:
        os.close(master)
        os.close(slave)


def test_a_terminal_that_is_gone_types_nothing() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave) as stdin:
        keys = TerminalKeys(stdin)
        keys._before = termios.tcgetattr(slave)
        os.close(master)
        assert keys.typed() == ""
        keys.close()


def test_arrows_on_windows_are_no_keys_either(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    console = SimpleNamespace(kbhit=lambda: bool(sent), getwch=lambda: sent.pop(0))
    monkeypatch.setattr(terminal_keys.sys, "platform", "win32")
    monkeypatch.setattr(terminal_keys.importlib, "import_module", {"msvcrt": console}.get)
    keys = TerminalKeys(io.StringIO())
    sent += "s\xe0Mq\x00;n"
    assert keys.typed() == "sqn", "neither mirror nor anything else"
    sent += "\xe0"
    assert keys.typed() == ""
    sent += "Mq"
    assert keys.typed() == "q"


def test_a_preview_in_the_terminal(terminal: Callable[..., Terminal]) -> None:
    one = terminal("--preview", "terminal")
    one.wait_for(lambda text: text.count("\u2580") > 2000 and "fps" in text)
    colours = set(re.findall(r"38;2;(\d+;\d+;\d+)", one.text))
    assert len(colours) > 100
    one.type("q")
    one.wait_for(lambda _: ends_well(one))
    assert one.process.returncode == 0, one.text
    assert one.read().rindex("\x1b[?1049l") > one.text.rindex("\u2580"), "the old screen is back"


def test_the_preview_says_where_to_watch(terminal: Callable[..., Terminal]) -> None:
    """The address holds a token, and what was printed before is not on the preview's screen."""
    one = terminal("--preview", "terminal", "--output", "http://0.0.0.0:0")
    one.wait_for(lambda text: text.count("\u2580") > 2000 and "fps" in text)
    screen = one.text[one.text.index("\x1b[?1049h") :]
    assert re.search(r"\x1b\[Jwatch at http://\S+token=\S+\r*\n", screen)
    picture, lines = screen.split("\x1b[H")[1].split("\x1b[J")[:2]
    assert picture.count("\n") + lines.count("\n") <= 24 - 1, "nothing scrolls"
    one.type("q")
    one.wait_for(lambda _: ends_well(one))


def test_a_conversion_shows_how_far_it_is_and_the_time_left(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    frames = 900  # enough for a few of the ten pictures a second that the bar has
    with av.open(str(tmp_path / "clip.mp4"), "w") as clip:
        video = clip.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for level in range(frames):
            image = np.full((240, 320, 3), level % 256, np.uint8)
            clip.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        clip.mux(video.encode(None))
    model = ["--model", str(MODELS / "negative.onnx"), "--provider", "cpu"]
    one = terminal(command=["video", "clip.mp4", *model, "--output", "out.mp4"])
    one.wait_for(lambda _: ends_well(one))
    assert one.process.returncode == 0, one.text
    shown = re.findall(rf"(\d+)/{frames} (\d+:\d\d:\d\d)", re.sub(r"\x1b\[[\d;]*m", "", one.text))
    counts = [int(count) for count, _ in shown]
    assert counts == sorted(counts)
    assert any(0 < count < frames for count in counts), "while it runs, not at its end alone"
    assert "times as fast as it plays" in one.text
    assert (tmp_path / "out.mp4").exists()


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
