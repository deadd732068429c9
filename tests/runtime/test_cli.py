"""The command line as a whole: help, mistakes, Ctrl-C, commands of other packages, the API."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import edge_style
from edge_style import cli as cli_module

from .conftest import assert_error, make_rgb


def run_python(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, **options
    )


def test_module_runs_as_the_command(models, photo, tmp_path):
    model = str(models / "negative.onnx")
    arguments = ["image", str(photo), "-m", model, "-o", "out.png"]
    done = run_python("-m", "edge_style", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.png").is_file()
    failed = run_python("-m", "edge_style", "info", "no_such_file.onnx", cwd=tmp_path)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1


def test_version(cli):
    assert cli("--version").out == f"edge-style {edge_style.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(cli, arguments):
    result = cli(*arguments)
    assert result.status == 0
    for command in ("image", "models", "info"):
        assert command in result.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["paint-it"], "paint-it"),
        (["image"], "PHOTO"),
        (["image", "a.jpg"], "--output"),
        (["image", "a.jpg", "-o", "b.jpg"], "--model"),
        (["image", "a.jpg", "--modle", "x"], "--modle"),
        (["models", "--json=yes"], "--json"),
    ],
)
def test_usage_mistakes_are_one_line(cli, arguments, word):
    assert_error(cli(*arguments), word)


def test_ctrl_c(cli, models, photo, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("edge_style.batch.read_image", interrupt)
    result = cli("image", photo, "-m", models / "negative.onnx", "-o", "out.png")
    assert result.status == 130
    assert "Traceback" not in result.err


def test_bugs_keep_their_traceback(cli, models, photo, monkeypatch):
    def bug(path):
        raise ZeroDivisionError

    monkeypatch.setattr("edge_style.batch.read_image", bug)
    monkeypatch.chdir(photo.parent)
    with pytest.raises(ZeroDivisionError):
        cli_module.main(["image", str(photo), "-m", str(models / "negative.onnx"), "-o", "o.png"])


def test_commands_of_other_packages(tmp_path):
    """An entry point is all it takes; one that cannot be loaded spoils only itself."""
    (tmp_path / "extra.py").write_text(
        "def greet(name: str) -> None:\n    '''Greet someone.'''\n    print('hello', name)\n"
    )
    distribution = tmp_path / "extra-1.0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text(
        "[edge_style.commands]\ngreet = extra:greet\nbroken = no_such_package:run\n"
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    shown = run_python("-m", "edge_style", "--help", env=environment)
    assert "Greet someone." in shown.stdout
    greeted = run_python("-m", "edge_style", "greet", "Vincent", env=environment)
    assert (greeted.returncode, greeted.stdout) == (0, "hello Vincent\n")
    broken = run_python("-m", "edge_style", "broken", env=environment)
    assert broken.returncode == 2
    assert broken.stderr.startswith("error: the command 'broken' cannot be loaded")


def package_example() -> str:
    return textwrap.dedent(
        "\n".join(re.findall(r"^    .*$", edge_style.__doc__ or "", re.MULTILINE))
    )


def readme_example() -> str:
    readme = Path(__file__).parents[2] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    return blocks[0]


@pytest.mark.parametrize("read_example", [package_example, readme_example])
def test_the_documented_example_runs(models, tmp_path, monkeypatch, read_example):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exported").mkdir()
    shutil.copy(models / "negative.onnx", tmp_path / "exported" / "starry.onnx")
    edge_style.write_image("photo.jpg", make_rgb(64, 48))
    example = read_example()
    assert len([line for line in example.splitlines() if line]) == 3
    exec(example, {})
    expected = 255 - edge_style.read_image("photo.jpg")
    np.testing.assert_array_equal(edge_style.read_image("stylized.png"), expected)


def test_script_is_installed():
    scripts = importlib.metadata.entry_points(group="console_scripts", name="edge-style")
    assert {script.value for script in scripts} == {"edge_style.__main__:main"}


def test_a_system_without_opencvs_libraries_is_told_which(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImportError(
            "libGL.so.1: cannot open shared object file: No such file or directory", name="cv2"
        )

    monkeypatch.setattr("edge_style.catalog.list_models", fail)
    with pytest.raises(SystemExit) as exit_info:
        cli_module.main(["models"])
    assert exit_info.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: OpenCV cannot be loaded, libGL.so.1")
    assert "apt-get install libgl1" in line
