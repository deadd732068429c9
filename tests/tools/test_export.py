"""The file that `edge-style export` writes, and what it refuses to write."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edge_style import cli
from edge_style.contract import MAX_IR_VERSION, MAX_OPSET, TOLERANCE_LEVELS, ModelSpec
from edge_style.images import read_image, write_image
from edge_style_tools import sources
from edge_style_tools.photos import made_photo

PRECISIONS = ("fp16", "fp32")
ODD_SIZES = ((16, 16), (17, 31), (64, 48), (33, 130), (17, 31))


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


@pytest.fixture(scope="module")
def exported(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    checkpoint = tiny.write(folder / "tiny.pth")
    for precision in PRECISIONS:
        output = folder / f"{precision}.onnx"
        assert run_export(checkpoint, "--output", output, "--precision", precision) == 0
    return {precision: folder / f"{precision}.onnx" for precision in PRECISIONS}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_file_keeps_the_contract(exported: dict[str, Path], precision: str) -> None:
    model = onnx.load(exported[precision])
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version <= MAX_IR_VERSION
    assert {opset.domain: opset.version for opset in model.opset_import}.keys() == {""}
    assert model.opset_import[0].version <= MAX_OPSET
    for values, name in ((model.graph.input, "image"), (model.graph.output, "stylized")):
        (value,) = values
        assert value.name == name
        assert value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert sides == [1, "H", "W", 3]
    touching_uint8 = {node.op_type for node in model.graph.node if "image" in node.input}
    assert touching_uint8 == {"Cast"}
    (last,) = [node for node in model.graph.node if "stylized" in node.output]
    assert last.op_type == "Cast"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_file_agrees_with_pytorch_at_every_size(
    tiny: Any, exported: dict[str, Path], precision: str
) -> None:
    network = tiny.network()
    session = onnxruntime.InferenceSession(exported[precision])
    largest_allowed, mean_allowed = TOLERANCE_LEVELS[precision]  # type: ignore[index]
    for seed, (height, width) in enumerate(ODD_SIZES):
        photo = made_photo(seed, height, width)
        with torch.no_grad():
            expected = network(torch.from_numpy(photo).permute(2, 0, 1)[None].float())
        expected = expected[0, :, :height, :width].clamp(0, 255).round().permute(1, 2, 0).numpy()
        (got,) = session.run(None, {"image": photo[None]})
        apart = np.abs(got[0].astype(float) - expected)
        assert got.shape == (1, height, width, 3)
        assert expected.std() > 5
        assert apart.max() <= largest_allowed
        assert apart.mean() <= mean_allowed


def test_fp16_file_is_half_but_its_normalization_is_not(exported: dict[str, Path]) -> None:
    model = onnx.load(exported["fp16"])
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    norms = [node for node in model.graph.node if node.op_type == "InstanceNormalization"]
    assert len(convolutions) == 4
    assert len(norms) == 1
    assert {types[node.input[1]] for node in convolutions} == {onnx.TensorProto.FLOAT16}
    assert {types[node.input[1]] for node in norms} == {onnx.TensorProto.FLOAT}
    assert exported["fp16"].stat().st_size < 0.7 * exported["fp32"].stat().st_size


def test_graph_is_small(exported: dict[str, Path]) -> None:
    graph = onnx.load(exported["fp32"]).graph
    operations = [node.op_type for node in graph.node]
    assert "BatchNormalization" not in operations
    assert operations.count("Slice") == 1
    # After the residual sum only the head's convolution computes: its scale and offset are in it.
    tail = operations[len(operations) - 1 - operations[::-1].index("Conv") :]
    assert sorted(tail) == sorted(
        ["Conv", "DepthToSpace", "Shape", "Add", "Slice", "Clip", "Round", "Transpose", "Cast"]
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_onnxruntime_does_not_complain(
    exported: dict[str, Path], precision: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def complaints(model: onnx.ModelProto) -> str:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 2
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        session.run(None, {"image": made_photo(0, 17, 31)[None]})
        return capfd.readouterr().err

    model = onnx.load(exported[precision])
    assert complaints(model) == ""
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 5
    assert "shape" in complaints(model).lower()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_metadata_describes_the_file(tiny: Any, exported: dict[str, Path], precision: str) -> None:
    model = onnx.load(exported[precision])
    spec = ModelSpec.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    assert spec is not None
    assert (spec.name, spec.architecture, spec.precision) == ("tiny", "lean", precision)
    assert (spec.painting, spec.artist, spec.licence) == (
        "A Painting",
        "A Painter",
        "public domain",
    )
    assert spec.training == {"seed": 3, "step": 7}
    assert spec.stride_px == 4
    network = tiny.network()
    assert spec.parameters == sum(weight.numel() for weight in network.parameters())
    assert spec.operations["Conv"] == 4
    # Stem 8x8, two 3x3 and the head's, at a quarter of the resolution; the border adds some.
    per_pixel = (8 * 8 * 3 * 8 + 2 * 9 * 8 * 8 + 9 * 8 * 48) / 16
    assert per_pixel < spec.macs_per_pixel < 1.4 * per_pixel
    assert len(spec.checkpoint_sha256) == 64
    assert spec.tool_versions.keys() >= {"edge-style", "torch", "onnx", "onnxruntime"}
    assert spec.scores["style_loss"] == 1.5
    assert spec.scores["export_largest_levels"] <= TOLERANCE_LEVELS[precision][0]  # type: ignore[index]
    assert spec.verified_providers == ("cpu",)


def test_no_trace_of_the_machine_is_left(exported: dict[str, Path]) -> None:
    for path in exported.values():
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert str(Path(__file__).parents[2]).encode() not in content


def test_broken_file_is_refused_and_nothing_left(
    tiny: Any, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = sources.network_to_onnx

    def wrong(*arguments: object, **options: object) -> onnx.ModelProto:
        model = right(*arguments, **options)  # type: ignore[arg-type]
        weight = next(w for w in model.graph.initializer if len(w.dims) == 4)
        values = onnx.numpy_helper.to_array(weight).copy()
        values[0] *= -1
        weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        return model

    tiny.write(workplace / "tiny.pth")
    monkeypatch.setattr(sources, "network_to_onnx", wrong)
    assert run_export("tiny.pth") == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("error: the fp16 file differs from the network on cpu at ")
    assert [path.name for path in workplace.iterdir()] == ["tiny.pth"]


def test_export_goes_to_exported_and_overwrites_only_on_demand(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(workplace / "tiny.pth")
    (workplace / "exported").mkdir()
    target = workplace / "exported" / "starry.onnx"
    target.write_bytes(b"precious")
    assert run_export("tiny.pth", "--name", "starry") == 2
    assert "--force" in capsys.readouterr().err
    assert target.read_bytes() == b"precious"
    assert run_export("tiny.pth", "--name", "starry", "--force", "--year", "1889", "--json") == 0
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["path"] == str(Path("exported/starry.onnx"))
    assert report["bytes"] == target.stat().st_size
    assert [(d["width_px"], d["height_px"]) for d in report["differences"]][1] == (31, 17)
    assert report["model"]["year"] == "1889"
    assert report["model"]["painting"] == "A Painting"
    assert [path.name for path in target.parent.iterdir()] == ["starry.onnx"]


def test_photos_of_the_user_are_compared(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(workplace / "tiny.pth")
    (workplace / "photos").mkdir()
    assert run_export("tiny.pth", "--photos", "photos") == 2
    assert "holds no picture" in capsys.readouterr().err
    write_image(workplace / "photos" / "a.png", made_photo(1, 60, 90))
    assert run_export("tiny.pth", "--photos", "photos") == 0
    captured = capsys.readouterr()
    assert "170x130" in captured.out
    assert captured.err.splitlines() == ["tiny.pth is a checkpoint of edge-style, lean"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.pth"], "there is no checkpoint"),
        (["text.pth"], "not a checkpoint"),
        (["tiny.pth", "--precision", "fp8"], "fp32"),
        (["tiny.pth", "--output", "no/such/tiny.onnx"], "no folder"),
        (["tiny.pth", "--output", "tiny.pb"], ".onnx"),
        (["tiny.pth", "--name", "../tiny"], "--name"),
        (["tiny.pth", "--provider", "toaster"], "toaster"),
        (["tiny.pth", "--provider", "auto"], "name a provider, such as cpu"),
        (["tiny.pth", "--provider", "cpu", "--provider", "Auto"], "name a provider, such as cpu"),
        (["tiny.pth", "--size", "640"], "640x480"),
        (["tiny.pth", "--preview", "preview.txt"], ".png"),
    ],
)
def test_bad_input_is_one_line(
    tiny: Any, workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    tiny.write(workplace / "tiny.pth")
    (workplace / "text.pth").write_text("no tensors here")
    assert run_export(*arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert words in errors[0]
    assert not list(workplace.rglob("*.onnx"))


def test_missing_packages_are_named_by_extra() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from edge_style.cli import main\n"
        "main(['export', 'starry.pth'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error:")
    assert "edge-style[train]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_command_line_module_is_light() -> None:
    code = (
        "import sys, edge_style_tools.cli\n"
        "print({'torch', 'onnx', 'onnxruntime', 'cv2'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_preview_shows_photo_network_and_file(tiny: Any, workplace: Path) -> None:
    tiny.write(workplace / "tiny.pth")
    assert run_export("tiny.pth", "--preview", "preview.png", "--size", "50x34") == 0
    preview = read_image(workplace / "preview.png")
    assert preview.shape == (34, 150, 3)
    photo, network, exported_file = np.split(preview.astype(int), 3, axis=1)
    assert np.abs(network - exported_file).max() <= 3
    assert np.abs(network - photo).mean() > 5
    value = onnx.load("tiny.onnx").graph.input[0]
    assert [side.dim_value for side in value.type.tensor_type.shape.dim] == [1, 34, 50, 3]
