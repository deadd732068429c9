"""Foreign ONNX files get the model contract, or a reason why not."""

import json
from pathlib import Path

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


def write_zoo_file(path: Path, *, unit: bool = False, opset: int = 9) -> Path:
    """As the model zoo's style files: opset 9, IR 3, fixed size, weights among the inputs."""
    random = np.random.default_rng(6)
    gain = 1.0 if unit else 60.0
    arrays = {
        "w1": random.normal(0, 0.2, (8, 3, 3, 3)),
        "b1": random.normal(0, 0.2, 8),
        "scale": random.uniform(0.5, 1.5, 8),
        "shift": random.normal(0, 0.2, 8),
        "scales": np.array([1, 1, 2, 2]),
        "w2": random.normal(0, 0.1 * gain, (3, 8, 3, 3)),
        "b2": np.full(3, 0.1 if unit else 120.0),
    }
    weights = [
        numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()
    ]
    pads = [0, 0, 1, 1, 0, 0, 1, 1]
    nodes = [
        helper.make_node("Pad", ["input1"], ["p1"], mode="reflect", pads=pads),
        helper.make_node("Conv", ["p1", "w1", "b1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("InstanceNormalization", ["c1", "scale", "shift"], ["n1"], epsilon=1e-5),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Upsample", ["r1", "scales"], ["u1"], mode="nearest"),
        helper.make_node("Pad", ["u1"], ["p2"], mode="reflect", pads=pads),
        helper.make_node("Conv", ["p2", "w2", "b2"], ["c2"], kernel_shape=[3, 3]),
    ]
    last = helper.make_node("Sigmoid" if unit else "Identity", ["c2"], ["output1"])
    shape = [1, 3, SIDE_PX, SIDE_PX]
    inputs = [helper.make_tensor_value_info("input1", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights]
    outputs = [helper.make_tensor_value_info("output1", TensorProto.FLOAT, shape)]
    graph = helper.make_graph([*nodes, last], "zoo", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, ir_version=3, opset_imports=opsets), path)
    return path


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_zoo_file_becomes_a_file_of_the_contract(
    workplace: Path, capsys: pytest.CaptureFixture[str], unit: bool, precision: str
) -> None:
    zoo = write_zoo_file(workplace / "mosaic-9.onnx", unit=unit)
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


def test_hostile_and_unfit_files_are_refused(workplace: Path) -> None:
    zoo = write_zoo_file(workplace / "zoo.onnx")
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


def test_fixed_size_on_demand(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = write_zoo_file(workplace / "zoo.onnx")
    assert run_export(zoo, "--output", "fixed.onnx", "--size", "70x45") == 0
    value = onnx.load("fixed.onnx").graph.input[0]
    assert [side.dim_value for side in value.type.tensor_type.shape.dim] == [1, 45, 70, 3]
    assert "70x45" in capsys.readouterr().out


def test_file_of_the_contract_is_not_exported_again(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = write_zoo_file(workplace / "zoo.onnx")
    assert run_export(zoo, "--output", "one.onnx") == 0
    assert run_export("one.onnx", "--output", "two.onnx") == 2
    assert "follows the model contract already" in capsys.readouterr().err
