"""Checkpoints: what is in them, and what is never loaded."""

import errno
import os
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_style.errors import CheckpointError, UsageError, WeightsError
from edge_style_training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_tensors,
    save_atomically,
    save_checkpoint,
)
from edge_style_training.networks import build_network
from edge_style_training.networks.lean import LeanConfig, LeanNet
from edge_style_training.run import check_output

TINY = {"width": 8, "blocks": 1}


def test_round_trip_keeps_weights_and_description(tmp_path: Path) -> None:
    network = build_network("lean", TINY).eval()
    written = Checkpoint(
        architecture="lean",
        network=TINY,
        weights=network.state_dict(),
        name="dots",
        artist="A. Painter",
        step=7,
        training={"learning_rate": 0.1, "network": {"width": 8}},
        scores={"total": 12.5},
    )
    save_checkpoint(written, tmp_path / "dots.pth")
    read = load_checkpoint(tmp_path / "dots.pth")
    assert (read.name, read.artist, read.step, read.scores) == (
        "dots",
        "A. Painter",
        7,
        {"total": 12.5},
    )
    assert read.training["network"] == {"width": 8}
    assert len(read.sha256) == 64
    frame = 255 * torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        assert torch.equal(read.build()(frame), network(frame))


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [("lean", TINY), ("any", {"code": 16, "transformer": TINY}), ("johnson", {})],
)
def test_a_file_says_all_of_its_network_whatever_becomes_the_default(
    architecture: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    network = build_network(architecture, settings)
    save_checkpoint(Checkpoint(architecture, network.state_dict(), settings), tmp_path / "n.pth")
    said = load_checkpoint(tmp_path / "n.pth").network
    lean = said["transformer"] if architecture == "any" else said
    if architecture != "johnson":
        assert {"width", "coarse_width", "instance_at", "border_px", "norm"} <= lean.keys()
        assert (lean["width"], lean["blocks"]) == (8, 1)
    load_checkpoint(tmp_path / "n.pth").build()


@pytest.mark.parametrize("architecture", ["lean", "any"])
def test_files_from_when_the_default_network_was_another_are_read_as_they_were(
    architecture: str, tmp_path: Path
) -> None:
    earlier = {"width": 48, "coarse_width": 64, "head_norm": False}
    settings = earlier if architecture == "lean" else {"code": 16, "transformer": earlier}
    said = {"border_px": 16} if architecture == "lean" else {"code": 16}
    state = OrderedDict(build_network(architecture, settings).state_dict())
    state._metadata = {"edge_style": {"architecture": architecture, "network": said}}  # type: ignore[attr-defined]
    torch.save(state, tmp_path / "old.pth")
    load_checkpoint(tmp_path / "old.pth").build()


def test_pytorch_examples_can_load_a_johnson_checkpoint(tmp_path: Path) -> None:
    network = build_network("johnson")
    save_checkpoint(Checkpoint("johnson", network.state_dict()), tmp_path / "j.pth")
    # What its neural_style.py does, keys checked strictly.
    state = torch.load(tmp_path / "j.pth", weights_only=True)
    build_network("johnson").load_state_dict(state, strict=True)


def test_a_foreign_state_dict_is_not_taken_for_ours(tmp_path: Path) -> None:
    torch.save(build_network("johnson").state_dict(), tmp_path / "foreign.pth")
    with pytest.raises(CheckpointError, match="not a checkpoint of edge-style"):
        load_checkpoint(tmp_path / "foreign.pth")


class _Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path: Path) -> None:
    torch.save({"weights": _Hostile(tmp_path / "pwned")}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="never loaded"):
        load_tensors(tmp_path / "bad.pth")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_truncated_files_are_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.pth"
    save_checkpoint(Checkpoint("lean", build_network("lean", TINY).state_dict(), TINY), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_weights_of_another_architecture_are_named() -> None:
    weights = build_network("johnson").state_dict()
    with pytest.raises(CheckpointError, match="does not fit architecture 'lean'"):
        Checkpoint("lean", weights, TINY).build()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"width": 4000}, "million weights, too many"),
        ({"blocks": 1_000_000_000}, "64 at most"),
        ({"styles": 10_000_000}, "million weights, too many"),
        ({"width": 500}, "lacks body"),
    ],
)
def test_small_files_that_describe_huge_networks_take_no_memory(
    tmp_path: Path, settings: dict[str, int], says: str
) -> None:
    path = tmp_path / "huge.pth"
    save_checkpoint(Checkpoint("lean", {"x": torch.zeros(1)}, {**TINY, **settings}), path)
    code = (
        "import sys, resource, pathlib\n"
        "from edge_style.errors import WeightsError\n"
        "from edge_style_training.checkpoint import load_checkpoint\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    load_checkpoint(pathlib.Path(sys.argv[1])).build()\n"
        "except WeightsError as error:\n"
        "    print(error)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    refusal, grown_mb = done.stdout.splitlines()
    assert says in refusal
    assert int(grown_mb) < 150  # 2,260 where the network is built first


def test_weights_that_repeat_one_number_take_no_memory_either() -> None:
    """A file may give a tensor of any shape with a stride of 0, which is one number."""
    with torch.device("meta"):
        shapes = LeanNet(LeanConfig(width=2000)).state_dict()
    weights = {name: torch.zeros(()).expand(weight.shape) for name, weight in shapes.items()}
    with pytest.raises(WeightsError, match="million weights, too many"):
        Checkpoint("lean", weights, {"width": 2000}).build()


@pytest.mark.parametrize(
    ("description", "says"),
    [
        ([1, 2], "of what architecture"),
        ({"name": "x"}, "of what architecture"),
        ({"architecture": ["lean"]}, "list for 'architecture', expected str"),
        ({"architecture": "lean", "styles": [1]}, "styles without names"),
        ({"architecture": "lean", "training": "none"}, "str for 'training', expected dict"),
    ],
)
def test_descriptions_of_other_kinds_are_refused(
    tmp_path: Path, description: object, says: str
) -> None:
    state = OrderedDict(x=torch.zeros(1))
    state._metadata = {"edge_style": description}  # type: ignore[attr-defined] # PyTorch's own
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=says):
        load_checkpoint(tmp_path / "odd.pth")


def test_shapes_that_differ_are_named() -> None:
    weights = build_network("lean", TINY).state_dict()
    with pytest.raises(CheckpointError, match=r"is \[8, 3, 8, 8\], expected \[16, 3, 8, 8\]"):
        Checkpoint("lean", weights, {**TINY, "width": 16}).build()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    save_atomically({"a": torch.zeros(1)}, path)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        save_atomically({"a": lambda: None}, path)  # cannot be pickled: fails midway
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.pth"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")  # Linux says so of both

    monkeypatch.setattr(Path, "open", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(CheckpointError, match="Read-only file system"):
        save_atomically({"a": torch.zeros(1)}, tmp_path / "x.pth")


def test_where_nothing_can_be_written_is_said_before(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="nothing can be written to"):
        check_output(tmp_path / "x.pth", resume=False, force=False)


_FILL_DISK = """
import resource, sys, signal
from pathlib import Path
import torch
from edge_style.errors import CheckpointError
from edge_style_training.checkpoint import save_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_atomically({"a": torch.zeros(100_000)}, Path(sys.argv[1]))
except CheckpointError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limits")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FILL_DISK, str(tmp_path / "x.pth")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "refused: cannot write" in run.stdout, run.stderr
    assert run.stdout.rstrip().endswith("x.pth: File too large")
    assert list(tmp_path.iterdir()) == []
