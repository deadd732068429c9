"""Training on several processes: the same losses as on one, and one of them writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

STEPS, VALIDATE_EVERY = 12, 3

# Notes each file that a process opens for writing or renames, whatever library does it.
_AUDIT = """
import os, sys

def note(event, arguments):
    rank, folder = os.environ.get("RANK", "0"), os.environ["AUDITED"]
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else 0
    else:
        path, writes = arguments[0], True
    if writes and isinstance(path, str) and path.startswith(folder):
        sys.stderr.write(f"WRITES {rank} {path}\\n")

def hook(event, arguments):
    if event in ("open", "os.rename", "os.remove", "os.mkdir"):
        note(event, arguments)

sys.addaudithook(hook)
if "RANK" in os.environ:
    sys.stderr.write("PROCESS {RANK} of {WORLD_SIZE}\\n".format(**os.environ))
"""


def _train(
    launcher: list[str], painting: Path, photos: Path, vgg: Path, folder: Path, batch_size: int
) -> subprocess.CompletedProcess[str]:
    (folder / "audit").mkdir(parents=True)
    (folder / "audit" / "sitecustomize.py").write_text(_AUDIT)
    (folder / "out").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "audit"),
        "AUDITED": str(folder / "out"),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
        "USE_LIBUV": "0",  # PyTorch for Windows has none
    }
    command = [
        *(sys.executable, *launcher, "-m", "edge_style", "train", painting),
        *("--content", photos, "--vgg", vgg, "--output", folder / "out" / "net.pth"),
        *("--architecture", "johnson", "--precision", "fp32", "--lr", "2e-3", "--crop", "32"),
        *("--style-size", "64", "--batch-size", batch_size, "--workers", "0", "--steps", STEPS),
        *("--validation-photos", "1", "--validate-every", VALIDATE_EVERY),
        *("--checkpoint-every", "5", "--log-dir", folder / "out" / "log"),
    ]
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=240,
    )


def _validation_curve(log: Path) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(log)).Reload()
    return {event.step: event.value for event in events.Scalars("validation/total")}


def test_two_processes_train_like_one_with_the_same_batch(
    painting_file: Path, photo_folder: Path, vgg_file: Path, tmp_path: Path
) -> None:
    files = painting_file, photo_folder, vgg_file
    # `accelerate launch --cpu` starts several processes only across machines, through MPI.
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = _train(launcher, *files, tmp_path / "two", 2)
    assert two.returncode == 0, two.stderr[-2000:]
    one = _train([], *files, tmp_path / "one", 2)
    assert one.returncode == 0, one.stderr[-2000:]
    half = _train([], *files, tmp_path / "half", 1)
    assert half.returncode == 0, half.stderr[-2000:]

    for rank in range(2):
        assert f"PROCESS {rank} of 2" in two.stderr
    curves = {
        name: _validation_curve(tmp_path / name / "out" / "log") for name in ("one", "two", "half")
    }
    assert list(curves["two"]) == [3, 6, 9, 12]
    differences = {
        name: [abs(curves[name][step] - total) for step, total in curves["one"].items()]
        for name in ("two", "half")
    }
    # Another batch parts the curves at once; rounding alone does later, by some percent in so many
    # steps, and by how much depends on the processor.
    assert differences["two"][0] < 0.2 * differences["half"][0], json.dumps(curves)
    assert max(differences["two"]) < 0.05 * curves["one"][STEPS], json.dumps(curves)

    writers = {line.split()[1] for line in two.stderr.splitlines() if line.startswith("WRITES ")}
    assert writers == {"0"}
    assert two.stderr.count("best at step") == 1
    left = sorted(path.name for path in (tmp_path / "two" / "out").iterdir())
    assert left == ["log", "net.pth"]
    assert len(list((tmp_path / "two" / "out" / "log").iterdir())) == 1
