"""`--check-for`: what an engine cannot take is found before the file gets there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edge_style import cli
from edge_style_tools.pads import plain_pads
from edge_style_tools.photos import made_photo
from edge_style_tools.targets import TargetCheck, check_file

Export = Callable[[str, str], Path]


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


def check(path: Path, target: str) -> TargetCheck:
    (found,) = check_file(path, [target])
    return found


def blocking(path: Path, target: str) -> dict[str, int]:
    return {found.operator: found.count for found in check(path, target).obstacles if found.blocks}


def edited(path: Path, edit: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(path)
    edit(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def copy(exported_file: Export, tmp_path: Path) -> Callable[[str, str], Path]:
    def copied(kind: str, precision: str) -> Path:
        path = tmp_path / "file.onnx"
        path.write_bytes(exported_file(kind, precision).read_bytes())
        return path

    return copied


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("kind", ["lean", "johnson", "lengstrom", "foreign"])
def test_float_files_fit_all_but_coreml(exported_file: Export, kind: str, precision: str) -> None:
    path = exported_file(kind, precision)
    for target in ("cpu", "cuda", "tensorrt", "web"):
        assert check(path, target).takes, target
    assert check(path, "cpu").tried


def test_int8_files_are_for_cpus(exported_file: Export) -> None:
    path = exported_file("lean", "int8")
    assert check(path, "cpu").takes
    assert check(path, "cuda").takes
    for target in ("tensorrt", "coreml", "web"):
        assert blocking(path, target)["QuantizeLinear"] > 2


def test_padding_that_splits_coreml_is_written_plainly(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_zoo_file(workplace / "zoo.onnx", pad="edge")
    output = ("--output", "out.onnx")
    assert run_export("zoo.onnx", *output, "--check-for", "cpu,coreml", "--no-plain-pads") == 2
    captured = capsys.readouterr()
    assert "Pad(edge)" in captured.out
    error = captured.err.splitlines()[-1]
    assert error.startswith("error: coreml cannot take the file whole: ")
    assert "Pad(edge)" in error
    assert "--plain-pads" in error
    assert error.endswith("nothing was written")
    assert [path.name for path in workplace.iterdir()] == ["zoo.onnx"]

    options = ("--size", "80x48", "--check-for", "coreml", "--json")
    assert run_export("zoo.onnx", *output, *options) == 0
    report = json.loads(capsys.readouterr().out)
    (found,) = report["checks"]
    assert (found["target"], found["takes"], found["tried"]) == ("coreml", True, False)
    # uint8 stays at the ends of the network.
    assert {obstacle["operator"] for obstacle in found["obstacles"]} == {"Cast"}
    assert "Pad" not in report["model"]["operations"]


def test_finished_file_is_checked_and_nothing_written(
    copy: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy("johnson", "fp32")
    assert run_export(path, "--check-for", "cpu,tensorrt,web", "--json") == 0
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert [(found["target"], found["takes"]) for found in checks] == [
        ("cpu", True),
        ("tensorrt", True),
        ("web", True),
    ]
    assert run_export(path, "--check-for", "coreml", "--json") == 2
    captured = capsys.readouterr()
    (found,) = json.loads(captured.out)["checks"]
    counts = {item["operator"]: item["count"] for item in found["obstacles"] if item["blocks"]}
    assert counts == {"Pad(reflect)": 7}
    assert len(captured.err.splitlines()) == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "options",
    [
        ("--precision", "int8"),
        ("--size", "64x64"),
        ("--output", "other.onnx"),
        ("--force", "--name", "n"),
        ("--weight-bits", "8"),
    ],
)
def test_options_that_a_finished_file_cannot_heed_are_refused(
    copy: Export, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    path = copy("lean", "fp32")
    before = path.read_bytes()
    assert run_export(path, *options, "--check-for", "cpu") == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert "--check-for" in line
    named = ", ".join(word for word in options if word.startswith("--"))
    assert f"leave out {named}, or export the checkpoint" in line
    assert captured.out == ""
    assert (list(path.parent.iterdir()), path.read_bytes()) == ([path], before)


def test_finished_file_is_known_by_a_suffix_in_capitals(
    copy: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy("lean", "fp32")
    path = path.rename(path.with_suffix(".ONNX"))
    assert run_export(path, "--check-for", "cpu") == 0
    assert [each.name for each in path.parent.iterdir()] == ["file.ONNX"]
    assert capsys.readouterr().err == ""


def test_unknown_target_is_refused(tiny: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_export("tiny.pth", "--check-for", "cpu,toaster") == 2
    assert "cpu, cuda, tensorrt, coreml, web, not 'toaster'" in capsys.readouterr().err


def test_uint8_between_the_ends_is_not_for_tensorrt(copy: Export) -> None:
    def ask_size_of_uint8(model: onnx.ModelProto) -> None:
        shape = next(node for node in model.graph.node if node.op_type == "Shape")
        shape.input[0] = "image"

    assert blocking(copy("lean", "fp32"), "tensorrt") == {}
    assert blocking(edited(copy("lean", "fp32"), ask_size_of_uint8), "tensorrt") == {"Shape": 1}


def test_unknown_operators_count_inside_the_network_only(copy: Export) -> None:
    def round_after(kind: str, which: int) -> Callable[[onnx.ModelProto], None]:
        def edit(model: onnx.ModelProto) -> None:
            nodes = list(model.graph.node)
            target = [node for node in nodes if node.op_type == kind][which]
            name = target.output[0]
            target.output[0] = "before_rounding"
            rounding = helper.make_node("Round", ["before_rounding"], [name])
            model.graph.node.insert(nodes.index(target) + 1, rounding)

        return edit

    assert blocking(edited(copy("lean", "fp32"), round_after("Conv", 0)), "web") == {"Round": 1}
    assert blocking(edited(copy("lean", "fp32"), round_after("Clip", -1)), "web") == {}


def test_too_new_a_file_is_told(copy: Export) -> None:
    def renew(model: onnx.ModelProto) -> None:
        model.opset_import[0].version = 22
        model.ir_version = 11

    found = check(edited(copy("lean", "fp32"), renew), "cuda")
    assert not found.takes
    assert [obstacle.why.split(",")[0] for obstacle in found.obstacles] == [
        "opset 22",
        "IR version 11",
    ]


def test_file_that_does_not_run_is_told_by_trying(copy: Export) -> None:
    def misuse(model: onnx.ModelProto) -> None:
        transpose = next(node for node in model.graph.node if node.op_type == "Transpose")
        transpose.attribute[0].ints[:] = [0, 3, 2]

    path = edited(copy("lean", "fp32"), misuse)
    for target in ("cpu", "web"):
        assert check(path, target).error
        assert not check(path, target).takes


@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize("amounts", [(1, 1, 1, 1), (4, 0, 3, 2), (0, 5, 0, 0)])
def test_plain_pads_are_the_same_pads(mode: str, amounts: tuple[int, ...]) -> None:
    top, left, bottom, right = amounts
    pads = onnx.numpy_helper.from_array(np.array([0, 0, top, left, 0, 0, bottom, right]), "pads")
    sides = [1, 2, "H", "W"]
    values = [
        helper.make_tensor_value_info(name, 1, sides if name == "x" else [1, 2, "h", "w"])
        for name in "xy"
    ]
    nodes = [
        helper.make_node("Pad", ["x", "pads"], ["padded"], mode=mode),
        helper.make_node("Relu", ["padded"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "pads", values[:1], values[1:], [pads])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    plain = plain_pads(model)
    onnx.checker.check_model(plain, full_check=True)
    assert {node.op_type for node in plain.graph.node} == {"Slice", "Concat", "Relu"}
    for height, width in ((6, 6), (7, 20)):
        x = np.random.default_rng(1).random((1, 2, height, width), dtype=np.float32)
        expected, got = (
            onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"x": x})[0]
            for each in (model, plain)
        )
        assert np.array_equal(got, expected)


def test_a_file_with_plain_pads_gives_the_same_picture(exported_file: Export) -> None:
    model = onnx.load(exported_file("johnson", "fp32"))
    plain = plain_pads(model)
    assert not [node for node in plain.graph.node if node.op_type == "Pad"]
    for seed, (height, width) in enumerate(((16, 16), (17, 31), (90, 64))):
        photo = made_photo(seed, height, width)[None]
        expected, got = (
            onnxruntime.InferenceSession(each.SerializeToString()).run(None, {"image": photo})[0]
            for each in (model, plain)
        )
        assert np.array_equal(got, expected)
