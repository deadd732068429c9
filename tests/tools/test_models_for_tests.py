"""The runtime's tests run on committed models, so that they need no onnx; here they are checked."""

import importlib.util
from pathlib import Path

import onnx


def test_committed_models_are_those_of_the_script(tmp_path, monkeypatch):
    tests = Path(__file__).parents[1]
    models = tests / "data" / "models"
    spec = importlib.util.spec_from_file_location("make_models", tests / "make_models.py")
    make_models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_models)
    monkeypatch.setattr(make_models, "FOLDER", tmp_path)
    make_models.main()
    names = sorted(path.name for path in models.glob("*.onnx"))
    assert sorted(path.name for path in tmp_path.glob("*.onnx")) == names
    for name in names:
        assert onnx.load(tmp_path / name) == onnx.load(models / name), name
