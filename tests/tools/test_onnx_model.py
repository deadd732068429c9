"""Foreign ONNX files get the model contract, or a reason why not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_style import cli
from edge_style.errors import ModelError
from edge_style_tools.importers.onnx_model import read
from edge_style_tools.photos import made_photo

SIDE_PX = 64


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


def write_plain_network(path: Path, how: str) -> Path:
    """Three channels in, three out, by two convolutions; `how` says what is unusual."""
    random = np.random.default_rng(2)
    first = random.normal(0, 0.02, (8, 3, 3, 3)).astype(np.float32)
    last = random.normal(0, 0.02, (3, 8, 3, 3)).astype(np.float32)
    for channel in range(3):
        first[channel, channel, 1, 1] += 1
        last[channel, channel, 1, 1] += 0.8
    bias = np.full(3, 0.05 if how == "unit" else 20, np.float32)
    weights = [
        numpy_helper.from_array(array, name)
        for array, name in ((first, "w1"), (last, "w2"), (bias, "b2"))
    ]
    source, result = ("image", "stylized") if how == "names" else ("input1", "output1")
    nodes = [
        helper.make_node("Conv", [source, "w1"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2", "b2"], ["c"], pads=[1] * 4),
        helper.make_node("Identity", ["c"], [result]),
    ]
    if how == "unit":
        nodes[-2:] = [helper.make_node("Conv", ["b", "w2", "b2"], [result], pads=[1] * 4)]
    if how in ("scaled", "enlarged"):
        numbers = [1, 1, 2, 2] if how == "enlarged" else [0.9]
        weights.append(numpy_helper.from_array(np.array(numbers, np.float32), "s"))
        resize = helper.make_node("Resize", ["c", "", "s"], [result], mode="nearest")
        nodes[-1] = resize if how == "enlarged" else helper.make_node("Mul", ["c", "s"], [result])
    shape = [1, 3, "h", "w"]
    inputs = [helper.make_tensor_value_info(source, TensorProto.FLOAT, shape)]
    if how == "weights among the inputs":
        inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights]
    if how == "weights as nodes":
        nodes[:0] = [helper.make_node("Constant", [], [w.name], value=w) for w in weights]
        weights = []
    outputs = [helper.make_tensor_value_info(result, TensorProto.FLOAT, [1, 3, "h2", "w2"])]
    graph = helper.make_graph(nodes, "plain", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    return path


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize(
    "how", ["unit", "scaled", "names", "weights among the inputs", "weights as nodes"]
)
def test_unusual_files_paint_as_before(workplace: Path, how: str, precision: str) -> None:
    foreign = write_plain_network(workplace / "plain.onnx", how)
    target = workplace / "made.onnx"
    assert run_export(foreign, "--output", target, "--precision", precision) == 0
    photo, white = made_photo(3, 48, 64), 1 if how == "unit" else 255
    frame = photo.transpose(2, 0, 1)[None].astype(np.float32) * np.float32(white / 255)
    session = onnxruntime.InferenceSession(foreign)
    (expected,) = session.run(None, {session.get_inputs()[0].name: frame})
    expected = np.clip(expected[0].transpose(1, 2, 0) * (255 / white), 0, 255)
    (got,) = onnxruntime.InferenceSession(target).run(None, {"image": photo[None]})
    assert np.abs(got[0] - expected).max() <= (1 if precision == "fp32" else 3)
    halves = [
        tensor.data_type == TensorProto.FLOAT16
        for tensor in onnx.load(target).graph.initializer
        if len(tensor.dims) == 4
    ]
    assert halves == [precision == "fp16"] * 2


def test_a_network_that_enlarges_is_refused(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = write_plain_network(workplace / "twice.onnx", "enlarged")
    assert run_export(foreign, "--output", workplace / "made.onnx") == 2
    assert "enlarge" in capsys.readouterr().err


def write_deep_network(
    path: Path, halvings: int, *, fixed_px: int | None = None, written_px: int | None = None
) -> Path:
    """A U-shaped network whose sides must be multiples of 2 ** halvings; its paddings reflect.

    `fixed_px` is the side that the file names, `written_px` one that its graph holds.
    """
    random = np.random.default_rng(4)
    shape = np.array([1, 3, written_px or 0, written_px or 0])
    weights = [
        numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "pads"),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice"),
        numpy_helper.from_array(shape, "shape"),
    ]
    nodes = []

    def convolution(data: str, inputs: int, name: str, stride: int = 1, bias: float = 0) -> str:
        values = random.normal(0, 0.6 / np.sqrt(9 * inputs), (3, inputs, 3, 3))
        for array, kind in ((values, "w"), (np.full(3, bias), "b")):
            weights.append(numpy_helper.from_array(array.astype(np.float32), name + kind))
        nodes.append(helper.make_node("Pad", [data, "pads"], [f"{name}p"], mode="reflect"))
        given = [f"{name}p", f"{name}w", f"{name}b"]
        nodes.append(helper.make_node("Conv", given, [name], strides=[stride] * 2))
        return name

    data, levels = "input1", []
    for level in range(halvings):
        levels.append(data)
        data = convolution(data, 3, f"down{level}", stride=2)
    for level in reversed(range(halvings)):
        nodes.append(helper.make_node("Resize", [data, "", "twice"], [f"large{level}"]))
        both = [f"large{level}", levels[level]]
        nodes.append(helper.make_node("Concat", both, [f"both{level}"], axis=1))
        data = convolution(f"both{level}", 6, f"up{level}", bias=20 if level == 0 else 0)
    last = ["Reshape", [data, "shape"]] if written_px else ["Identity", [data]]
    nodes.append(helper.make_node(*last, ["output1"]))
    sides = [fixed_px, fixed_px] if fixed_px else ["h", "w"]
    (source,), (result,) = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *sides])]
        for name in ("input1", "output1")
    )
    graph = helper.make_graph(nodes, "deep", [source], [result], weights)
    opsets = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=opsets), path)
    return path


@pytest.mark.parametrize(
    ("halvings", "multiple", "fixed_px"),
    [(4, 16, None), (5, 32, None), (5, 32, 256), (6, 64, None), (8, 256, 256)],
)
def test_deep_networks_take_every_size(
    workplace: Path, halvings: int, multiple: int, fixed_px: int | None
) -> None:
    foreign = write_deep_network(workplace / "deep.onnx", halvings, fixed_px=fixed_px)
    assert run_export(foreign, "--output", "made.onnx", "--precision", "fp32") == 0
    made = onnxruntime.InferenceSession("made.onnx")
    untouched = onnx.load(foreign)
    for value in (untouched.graph.input[0], untouched.graph.output[0]):
        for side, name in zip(value.type.tensor_type.shape.dim[2:], "hw", strict=True):
            side.dim_param = name
    network = onnxruntime.InferenceSession(untouched.SerializeToString())
    for height, width in ((16, 16), (17, 16), (16, 31), (17, 47), (65, 100), (multiple, 300)):
        photo = made_photo(5, height, width)
        (got,) = made.run(None, {"image": photo[None]})
        padding = ((0, -height % multiple), (0, -width % multiple), (0, 0))
        whole = np.pad(photo, padding, mode="reflect").transpose(2, 0, 1)[None].astype(np.float32)
        (expected,) = network.run(None, {"input1": whole})
        expected = np.clip(expected[0].transpose(1, 2, 0)[:height, :width], 0, 255)
        assert np.abs(got[0] - expected).max() <= 1


def test_deep_networks_take_a_fixed_size(workplace: Path) -> None:
    foreign = write_deep_network(workplace / "deep.onnx", 5)
    for size in ("16x24", "100x40", "64x64"):
        assert run_export(foreign, "--output", "made.onnx", "--size", size, "--force") == 0


@pytest.mark.parametrize("side_px", [64, 256])
def test_a_size_that_is_written_into_the_graph_is_no_multiple(
    workplace: Path, capsys: pytest.CaptureFixture[str], side_px: int
) -> None:
    foreign = write_deep_network(workplace / "deep.onnx", 2, fixed_px=side_px, written_px=side_px)
    assert run_export(foreign, "--output", "made.onnx") == 2
    assert f"size {side_px}x{side_px} is written into its graph" in capsys.readouterr().err


def test_suffixes_in_capitals_are_known(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_plain_network(workplace / "PLAIN.ONNX", "scaled")
    assert run_export("PLAIN.ONNX", "--output", "MADE.ONNX") == 0
    assert "PLAIN.ONNX is an ONNX network" in capsys.readouterr().err
    assert (workplace / "MADE.ONNX").is_file()


@pytest.mark.parametrize(
    "option", [("--calibration", "photos"), ("--percentile", "99"), ("--weight-bits", "8")]
)
def test_settings_of_int8_are_refused_elsewhere(
    workplace: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, str]
) -> None:
    foreign = write_plain_network(workplace / "plain.onnx", "scaled")
    assert run_export(foreign, "--output", workplace / "made.onnx", *option) == 2
    assert "--precision int8" in capsys.readouterr().err


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_zoo_file_becomes_a_file_of_the_contract(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str], unit: bool, precision: str
) -> None:
    zoo = tiny.write_zoo_file(workplace / "mosaic-9.onnx", unit=unit)
    target = workplace / "mosaic.onnx"
    assert run_export(zoo, "--output", target, "--precision", precision, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["found"] == "an ONNX network for 64x64"
    model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)
    for value in (model.graph.input[0], model.graph.output[0]):
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert sides == [1, "H", "W", 3]
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    half = TensorProto.FLOAT16 if precision == "fp16" else TensorProto.FLOAT
    assert {types[node.input[1]] for node in convolutions} == {half}

    photo = made_photo(3, SIDE_PX, SIDE_PX)
    white = 1 if unit else 255
    frame = photo.transpose(2, 0, 1)[None].astype(np.float32) * np.float32(white / 255)
    (expected,) = onnxruntime.InferenceSession(zoo).run(None, {"input1": frame})
    expected = np.clip(expected[0].transpose(1, 2, 0) * (255 / white), 0, 255)
    session = onnxruntime.InferenceSession(target)
    (got,) = session.run(None, {"image": photo[None]})
    assert expected.std() > 10
    assert np.abs(got[0] - expected).max() <= (1 if precision == "fp32" else 3)
    for height, width in ((16, 16), (17, 31), (70, 45), (17, 31)):
        (got,) = session.run(None, {"image": made_photo(4, height, width)[None]})
        assert got.shape == (1, height, width, 3)


def test_hostile_and_unfit_files_are_refused(tiny: Any, workplace: Path) -> None:
    zoo = tiny.write_zoo_file(workplace / "zoo.onnx")
    model = onnx.load(zoo)

    cut = workplace / "cut.onnx"
    cut.write_bytes(zoo.read_bytes()[:700])
    with pytest.raises(ModelError):
        read(cut)

    (workplace / "secret").write_bytes(bytes(4 * 8 * 27))
    outside = onnx.ModelProto()
    outside.CopyFrom(model)
    weight = outside.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../secret")
    (workplace / "folder").mkdir()
    (workplace / "folder" / "outside.onnx").write_bytes(outside.SerializeToString())
    with pytest.raises(ModelError, match="outside its own folder"):
        read(workplace / "folder" / "outside.onnx")

    claim = onnx.ModelProto()
    claim.CopyFrom(model)
    claim.graph.initializer[0].dims[0] = 1 << 29
    (workplace / "claim.onnx").write_bytes(claim.SerializeToString())
    with pytest.raises(ModelError):
        read(workplace / "claim.onnx")

    grey = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 64, 64]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", grey[:1], grey[1:])
    onnx.save(helper.make_model(graph, ir_version=8), workplace / "grey.onnx")
    with pytest.raises(ModelError, match="expected an image network"):
        read(workplace / "grey.onnx")


def write_claims(zoo: Path, folder: Path) -> None:
    """Small files that claim to hold two gigabytes, each in its own way."""
    model = onnx.load(zoo)
    weight = model.graph.initializer[0]
    weight.dims[0] = 1 << 29
    (folder / "dims.onnx").write_bytes(model.SerializeToString())
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights"), ("offset", "0"), ("length", str(1 << 31))):
        weight.external_data.add(key=key, value=value)
    (folder / "weights").write_bytes(bytes(64))
    (folder / "external.onnx").write_bytes(model.SerializeToString())
    # Field 7, the graph, of 2 ** 31 bytes.
    (folder / "length.onnx").write_bytes(b"\x08\x03\x3a\x80\x80\x80\x80\x08" + bytes(64))


def test_claims_of_gigabytes_are_refused_in_bounded_memory(tiny: Any, workplace: Path) -> None:
    zoo = tiny.write_zoo_file(workplace / "zoo.onnx")
    (workplace / "claims").mkdir()
    write_claims(zoo, workplace / "claims")
    code = (
        "import sys, resource, pathlib\n"
        "from edge_style.errors import ModelError\n"
        "from edge_style_tools.importers.onnx_model import read\n"
        "from edge_style_tools.targets import check_file\n"
        "read(pathlib.Path('zoo.onnx'))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sorted(pathlib.Path('claims').glob('*.onnx')):\n"
        "    for use in (read, lambda path: check_file(path, ['cuda'])):\n"
        "        try:\n"
        "            use(path)\n"
        "        except ModelError:\n"
        "            print('refused')\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *refusals, grown_mb = done.stdout.split()
    assert refusals == ["refused"] * 6
    assert int(grown_mb) < 100


def test_fixed_size_on_demand(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tiny.write_zoo_file(workplace / "zoo.onnx")
    assert run_export(zoo, "--output", "fixed.onnx", "--size", "70x45") == 0
    value = onnx.load("fixed.onnx").graph.input[0]
    assert [side.dim_value for side in value.type.tensor_type.shape.dim] == [1, 45, 70, 3]
    assert "70x45" in capsys.readouterr().out


def test_file_of_the_contract_is_not_exported_again(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = tiny.write_zoo_file(workplace / "zoo.onnx")
    assert run_export(zoo, "--output", "one.onnx") == 0
    assert run_export("one.onnx", "--output", "two.onnx") == 2
    assert "follows the model contract already" in capsys.readouterr().err
