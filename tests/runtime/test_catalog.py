"""From what users type after --model to a file; `models` and `info`."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest

from edge_style import catalog
from edge_style.catalog import resolve
from edge_style.errors import ModelNotFoundError
from edge_style.tables import facts_table, models_table, show

from .conftest import assert_error


@pytest.fixture
def styles(models, tmp_path, monkeypatch) -> Path:
    """./exported with a few styles, and no shipped ones."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setattr(catalog, "_PACKAGE", tmp_path / "package")
    monkeypatch.setattr(catalog, "_CHECKOUT", tmp_path / "no checkout")
    folder = tmp_path / "exported"
    folder.mkdir()
    for name in ("starry", "starry.int8", "wave"):
        shutil.copy(models / "negative.onnx", folder / f"{name}.onnx")
    return folder


def test_a_name_is_the_int8_file_on_the_cpu_only(styles):
    assert resolve("starry", "cpu") == Path("exported/starry.int8.onnx")
    assert resolve("starry", "cuda") == Path("exported/starry.onnx")
    assert resolve("wave", "cpu") == Path("exported/wave.onnx")


def test_a_file_name_is_that_very_file(styles):
    assert resolve("starry.onnx", "cpu") == Path("exported/starry.onnx")
    assert resolve("starry.int8.onnx", "cuda") == Path("exported/starry.int8.onnx")
    assert resolve("exported/starry.onnx", "cpu") == Path("exported/starry.onnx")


def test_a_file_here_goes_before_the_folders(styles, tmp_path):
    shutil.copy(styles / "wave.onnx", tmp_path / "starry.onnx")
    assert resolve("starry.onnx", "cpu") == Path("starry.onnx")


def test_folders_in_order(styles, tmp_path, monkeypatch):
    own = Path(platformdirs.user_data_dir("edge-style", appauthor=False)) / "styles"
    checkout, wheel = tmp_path / "checkout", tmp_path / "package"
    (checkout / "runtime").mkdir(parents=True)
    (checkout / "pyproject.toml").touch()
    monkeypatch.setattr(catalog, "_CHECKOUT", checkout)
    folders = [wheel / "exported", checkout / "exported", own]
    for folder in folders:
        folder.mkdir(parents=True)
        shutil.copy(styles / "wave.onnx", folder / "new.onnx")
        assert resolve("new", "cpu") == folder / "new.onnx"
    shutil.copy(styles / "wave.onnx", styles / "new.onnx")
    assert resolve("new", "cpu") == Path("exported/new.onnx")


@pytest.mark.parametrize("typed", ["stary", "stary.onnx", "STARRY", "stary.int8.onnx"])
def test_unknown_name_suggests_the_nearest(styles, typed):
    with pytest.raises(ModelNotFoundError, match=r"starry.*There are: starry, wave") as info:
        resolve(typed, "cpu")
    assert isinstance(info.value, FileNotFoundError)


def test_encoders_are_no_styles_to_suggest(styles):
    shutil.copy(styles / "wave.onnx", styles / "any.encoder.onnx")
    with pytest.raises(ModelNotFoundError, match=r"There are: starry, wave$"):
        resolve("zzz", "cpu")


def test_nothing_near(styles):
    with pytest.raises(ModelNotFoundError, match="no model 'zzz'; There are: starry, wave"):
        resolve("zzz", "cpu")


def test_no_styles_at_all(styles):
    shutil.rmtree(styles)
    with pytest.raises(ModelNotFoundError, match="no styles are installed either"):
        resolve("starry", "cpu")


def test_a_folder_is_no_model(styles):
    with pytest.raises(ModelNotFoundError, match="is a folder"):
        resolve("exported", "cpu")


def test_models_lists_what_there_is(cli, styles):
    listed = json.loads(cli("models", "--json").out)
    assert listed["provider"] == "cpu"
    by_name = {entry["name"]: entry for entry in listed["models"]}
    assert list(by_name) == ["starry.int8", "starry", "wave"]
    assert by_name["wave"]["metadata"]["artist"] == "Nobody"
    assert by_name["wave"]["size_bytes"] == (styles / "wave.onnx").stat().st_size
    assert [by_name[name]["default"] for name in by_name] == [True, False, True]


def test_models_for_people(cli, styles):
    (styles / "broken.onnx").write_bytes(b"nothing")
    result = cli("models")
    assert result.status == 0
    (row,) = [line.split() for line in result.out.splitlines() if "wave" in line]
    assert row == ["*", "wave", "Negative", "Nobody", "fp32", "0.8", "kB", "exported"]
    assert "'exported/broken.onnx' is not an ONNX model" in result.out


def test_a_network_for_any_style_is_listed_with_what_it_wants(cli, styles, models):
    for part in ("", ".encoder"):
        shutil.copy(models / f"any{part}.onnx", styles / f"any{part}.onnx")
    lines = [line for line in cli("models").out.splitlines() if " any" in line]
    assert "--style PICTURE" in next(line for line in lines if "any.encoder" not in line)
    assert "sees what is after --style" in next(line for line in lines if "any.encoder" in line)
    assert [
        name
        for name in ("any", "any.encoder", "any.int8", "any.encoder.int8")
        if catalog.is_encoder(styles / f"{name}.onnx")
    ] == ["any.encoder", "any.encoder.int8"]


def test_a_network_of_many_styles_is_listed_with_their_names(styles):
    (entry,) = [entry for entry in catalog.list_models() if entry.name == "wave"]
    several = replace(entry.spec, painting="", styles=("plain", "night"))
    column = models_table([replace(entry, spec=several)], set()).columns[2]
    assert list(column.cells) == ["plain, night"]


def test_info_of_a_contract_model(cli, models):
    shown = json.loads(cli("info", models / "negative.onnx", "--size", "1000x1000", "--json").out)
    assert shown["follows_contract"] is True
    assert shown["inputs"] == [{"name": "image", "dtype": "uint8", "shape": [1, "H", "W", 3]}]
    assert shown["outputs"] == [{"name": "stylized", "dtype": "uint8", "shape": [1, "H", "W", 3]}]
    assert shown["operations"] == {"Cast": 2, "Transpose": 2, "Conv": 1}
    assert shown["parameters"] == 12
    assert shown["gmacs"] == pytest.approx(0.009)
    assert shown["metadata"]["painting"] == "Negative"


def test_info_of_any_model(cli, models):
    shown = json.loads(cli("info", models / "classifier.onnx", "--json").out)
    assert shown["follows_contract"] is False
    assert shown["metadata"] is None
    assert shown["operations"] == {"MatMul": 1}
    assert shown["parameters"] == 8
    assert shown["gmacs"] is None


def test_brackets_are_text(capsys):
    facts = {"input": "float32 [batch, 3, height, width]", "file": "/[/old]/[bold]nets :cat:.onnx"}
    show(facts_table(facts))
    out = capsys.readouterr().out
    for fact in facts.values():
        assert fact in out


def test_info_for_people(cli, models):
    result = cli("info", models / "many.onnx")
    assert result.status == 0
    for words in ("image uint8 [1, H, W, 3]", "style float32 [3]", "plain, negative, night"):
        assert words in result.out


def test_info_mistakes(cli, styles, tmp_path):
    assert_error(cli("info", "stary"), "did you mean 'starry'?")
    assert_error(cli("info", "starry", "--size", "big"), "WIDTHxHEIGHT")
    assert_error(cli("info", "starry", "--provider", "migraphx"), "migraphx")
    (tmp_path / "text.onnx").write_text("no model")
    assert_error(cli("info", "text.onnx", "--json"), "text.onnx", "not an ONNX model")
