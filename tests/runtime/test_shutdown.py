"""Ctrl-C, pressed more than once, and threads that do not come back."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import pytest

from edge_style.shutdown import Interrupts

MODELS = Path(__file__).parents[1] / "data" / "models"
PATIENCE_S = 60.0


@pytest.fixture
def python_handles_signals() -> Iterator[None]:
    """As in a program that was started in the foreground."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_what_closes_the_files_is_not_interrupted(
    python_handles_signals: None, first: signal.Signals
) -> None:
    done = []

    def run() -> None:
        with Interrupts() as interrupts:
            try:
                signal.raise_signal(first)
                done.append("not interrupted")
            finally:
                interrupts.hold()
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                done.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["closed"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_interrupt_while_all_is_closed_anyway_waits_for_that(
    python_handles_signals: None,
) -> None:
    done = []

    def run() -> None:
        with Interrupts() as interrupts:
            interrupts.hold()
            signal.raise_signal(signal.SIGINT)
            done.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["closed"]


def test_an_interrupt_that_is_swallowed_is_not_the_last(python_handles_signals: None) -> None:
    def run() -> None:
        with Interrupts():
            with suppress(KeyboardInterrupt):  # as in a destructor
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            pytest.fail("went on")

    with pytest.raises(KeyboardInterrupt):
        run()


def test_an_error_is_not_hidden_by_an_interrupt(python_handles_signals: None) -> None:
    def run() -> None:
        with Interrupts() as interrupts:
            interrupts.hold()
            signal.raise_signal(signal.SIGINT)
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        run()


def test_an_import_that_fails_because_it_is_interrupted_is_an_interrupt(
    python_handles_signals: None,
) -> None:
    def run() -> None:
        with Interrupts():
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                raise ImportError("numpy._core.multiarray failed to import") from error

    with pytest.raises(KeyboardInterrupt):
        run()


def test_signals_that_are_ignored_stay_so(python_handles_signals: None) -> None:
    """As in `edge-style ... &` of a script, or under nohup."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interrupts():
        signal.raise_signal(signal.SIGINT)


# What follows the block is the way out of a command line.
ONCE_MORE = """
import signal
from edge_style.shutdown import Interrupts, end_process_when_interrupted, leave
end_process_when_interrupted()
try:
    with Interrupts() as interrupts:
        BLOCK
except KeyboardInterrupt:
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    leave(130)
print(signal.getsignal(signal.SIGINT))
print(signal.getsignal(signal.SIGTERM))
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("when", ["", "interrupts.hold(); "])
def test_who_was_interrupted_leaves_in_peace(number: str, when: str) -> None:
    code = ONCE_MORE.replace("BLOCK", f"{when}signal.raise_signal(signal.{number})")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_who_was_not_interrupted_can_be_after_it() -> None:
    code = ONCE_MORE.replace("BLOCK", "pass")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    interrupt, terminate = done.stdout.splitlines()
    assert "default_int_handler" in interrupt
    assert terminate == str(signal.SIG_DFL)


# Presses Ctrl-C while typer is looked for, in the midst of loading the command line.
EARLY = """
import os, signal, sys
class Interrupting:
    where = sys.argv.pop(1)
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
    def find_spec(self, name, *_):
        if name == "typer":
            if self.where == "destructor":
                Interrupting()
            else:
                os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from edge_style.__main__ import main
main()
"""


@pytest.mark.parametrize("where", ["import", "destructor"])
def test_ctrl_c_while_the_command_line_is_loaded(where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EARLY, where, "models"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_start_in_the_background_ignores_ctrl_c() -> None:
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + EARLY
    done = subprocess.run(
        [sys.executable, "-c", ignoring, "import", "--version"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("edge-style")


# Says when the network runs, and when the interpreter takes itself apart, which it must not while
# native code runs.
PROGRAM = """
import atexit, sys, time
from edge_style import cli
from edge_style.stylizer import Stylizer
atexit.register(print, "taken apart")
infer, hangs = Stylizer.infer, sys.argv.pop(1) == "True"
def watched(*arguments):
    print("runs", file=sys.stderr, flush=True)
    if hangs:
        time.sleep(3600)
    return infer(*arguments)
Stylizer.infer, Stylizer.warm_up = watched, lambda *_: None
cli.main()
"""


@pytest.mark.parametrize("hangs", [True, False])
def test_a_network_that_does_not_come_back_is_left_behind(hangs: bool) -> None:
    arguments = ["cam", "--model", str(MODELS / "negative.onnx"), "--source", "test"]
    arguments += ["--provider", "cpu", "--size", "64x48", "--output", "null", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(hangs), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any(line == "runs\n" for line in process.stderr)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, errors
    assert set(errors.split("\n")) <= {"runs", ""}
    figures, *more = out.splitlines()
    assert "frames" in json.loads(figures)
    assert more == ([] if hangs else ["taken apart"])


@pytest.mark.parametrize("seed", range(4))
def test_ctrl_c_again_and_again_closes_the_recording(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    clip = tmp_path / "out.mp4"
    arguments = ["cam", "--model", str(MODELS / "negative.onnx"), "--provider", "cpu"]
    arguments += ["--source", "test", "--size", "320x240", "--output", str(clip), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_style", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end_s = time.monotonic() + PATIENCE_S
    while not (clip.exists() and clip.stat().st_size > 2000):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end_s
        time.sleep(0.02)
    while process.poll() is None:
        assert time.monotonic() < end_s
        process.send_signal(rng.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM]))
        time.sleep(rng.choice([0.0, 0.001, 0.01]))
    out, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "terminate" not in errors
    with av.open(str(clip)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    # Ctrl-C may fall between writing a frame and counting it.
    assert frames - json.loads(out)["frames"] in (0, 1)
    assert frames > 0
