"""The page's own checks: types, linters and unit tests of its TypeScript."""

import shutil
import subprocess

import pytest

from .conftest import ROOT, need

FOLDER = ROOT / "runtime" / "web"


@pytest.mark.parametrize("check", ["types", "lint", "test"])
def test_npm(check: str) -> None:
    npm = shutil.which("npm")
    need("" if npm else "no npm", "install Node.js 20.19 or later")
    need("" if (FOLDER / "node_modules").is_dir() else "no node_modules", "make web")
    done = subprocess.run(
        [str(npm), "run", check], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_host() -> None:
    text = (FOLDER / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity"') > 50
