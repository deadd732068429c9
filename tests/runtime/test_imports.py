"""What may import what: the runtime stays free of torch and onnx, and quick to start."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HEAVY = ("torch", "onnx", "onnxruntime", "cv2", "numpy")
ALLOWED_IN_TRAINING = {
    "edge_style",
    "edge_style.contract",
    "edge_style.errors",
    "edge_style.images",
}


def loaded_after(code: str, *arguments: str) -> set[str]:
    """Which modules are loaded in a fresh interpreter after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('LOADED', *sys.modules)", *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize(
    "code",
    [
        "import edge_style",
        "import edge_style.cli",
        "from edge_style.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ],
)
def test_start_is_light(code):
    assert not loaded_after(code) & set(HEAVY)


def test_running_a_model_needs_neither_torch_nor_onnx(models, photo, tmp_path):
    code = "from edge_style.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass"
    out = tmp_path / "out.png"
    loaded = loaded_after(
        code, "image", str(photo), "-m", str(models / "negative.onnx"), "-o", str(out)
    )
    assert out.is_file()
    assert "onnxruntime" in loaded
    assert not loaded & {"torch", "onnx", "onnxscript"}


def imports_of(source: str) -> Iterator[str]:
    """Modules that a file imports, late imports and `import_module` included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def files_of(package: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        yield from Path(folder).rglob("*.py")


def offences(source: str, package: str) -> set[str]:
    """Imports that break the direction tools -> training -> runtime."""
    found = set(imports_of(source))
    roots = {
        "edge_style": {"edge_style_training", "edge_style_tools", "torch", "onnx", "onnxscript"},
        "edge_style_training": {"edge_style_tools", "onnxruntime"},
    }[package]
    broken = {name for name in found if name.split(".")[0] in roots}
    if package == "edge_style_training":
        runtime = {name for name in found if name.split(".")[0] == "edge_style"}
        modules = {".".join(name.split(".")[:2]) for name in runtime}
        broken |= {
            name for name in modules if name not in ALLOWED_IN_TRAINING | {"edge_style.__version__"}
        }
    return broken


@pytest.mark.parametrize("package", ["edge_style", "edge_style_training"])
def test_import_direction(package):
    files = list(files_of(package))
    assert files
    broken = {path.name: offences(path.read_text("utf-8"), package) for path in files}
    assert {name: found for name, found in broken.items() if found} == {}


def test_only_providers_imports_onnxruntime():
    users = {
        path.parent.name
        for path in files_of("edge_style")
        if any(name.split(".")[0] == "onnxruntime" for name in imports_of(path.read_text("utf-8")))
    }
    assert users == {"providers"}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("edge_style", "def late():\n    import torch.nn"),
        ("edge_style", "from edge_style_training import losses"),
        ("edge_style", "import importlib\nimportlib.import_module('onnx')"),
        ("edge_style_training", "from edge_style.stylizer import Stylizer"),
        ("edge_style_training", "from edge_style import session"),
        ("edge_style_training", "import edge_style_tools.cli"),
    ],
)
def test_the_guard_sees_offences(package, source):
    assert offences(source, package)
