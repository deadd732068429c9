"""int8 files: what is quantized, what onnxruntime makes of it, and when one is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edge_style import cli
from edge_style.contract import ModelSpec
from edge_style.errors import VerificationError
from edge_style.images import write_image
from edge_style_tools import verify
from edge_style_tools.folding import fold
from edge_style_tools.int8_form import (
    CellConvolution,
    ChannelsLastShuffle,
    FencedActivation,
    fold_frame_scale,
    int8_form,
)
from edge_style_tools.onnx_export import network_to_onnx
from edge_style_tools.photos import made_photo
from edge_style_tools.quantize import (
    QuantizationSettings,
    percentile_for,
    quantizable,
    quantize,
)
from edge_style_tools.uint8_frames import level_tensors
from edge_style_training.networks.lean import FrameScale


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


@pytest.fixture(scope="module")
def exported(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("int8")
    checkpoint = tiny.write(folder / "tiny.pth", width=16, instance_at=[])
    output = folder / "tiny.int8.onnx"
    assert run_export(checkpoint, "--precision", "int8", "--output", output) == 0
    return output


def weights(model: onnx.ModelProto) -> list[Any]:
    return [
        onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if len(tensor.dims) == 4
    ]


def test_onnxruntime_computes_every_convolution_in_int8(exported: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    operations = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert operations.count("QLinearConv") == 4
    assert operations.count("QLinearAdd") == 1
    # Frames are bytes on the way in and out, and nothing in between is float.
    floats = {"Conv", "FusedConv", "Relu", "Clip", "Round", "Cast", "DepthToSpace"}
    assert not (floats | {"QuantizeLinear", "DequantizeLinear"}) & set(operations)


def test_convolutions_keep_the_channels_last(tiny: Any, tmp_path: Path) -> None:
    # With a coarse stage and instance normalizations, which alone want the channels first.
    config = {"width": 16, "blocks": 2, "coarse_blocks": 1, "instance_at": [0, 3]}
    model = network_to_onnx(tiny.network(**config), precision="int8")
    frames = [made_photo(seed, 64, 80) for seed in range(4)]
    onnx.save(quantize(model, frames, QuantizationSettings()), tmp_path / "quantized.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.add_free_dimension_override_by_name("H", 64)
    options.add_free_dimension_override_by_name("W", 80)
    onnxruntime.InferenceSession(
        tmp_path / "quantized.onnx", options, providers=["CPUExecutionProvider"]
    )
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert not {"Conv", "FusedConv"} & {node.op_type for node in nodes}
    turns = [
        list(onnx.helper.get_node_attr_value(node, "perm"))
        for node in nodes
        if node.op_type == "Transpose"
    ]
    # The stem's cells, the enlargement and the head move pixels; two normalizations turn and back.
    assert sorted(len(turn) for turn in turns) == [4] * 4 + [6] * 3
    assert turns.count([0, 3, 1, 2]) == turns.count([0, 2, 3, 1]) == 2


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (64, 50)])
def test_int8_form_computes_the_same(tiny: Any, size: tuple[int, int]) -> None:
    network = tiny.network(blocks=2, coarse_blocks=1, instance_at=[0, 3])
    formed = fold(network)
    fold_frame_scale(formed)
    formed = int8_form(formed)
    kinds = {type(layer) for layer in formed.modules()}
    assert {ChannelsLastShuffle, CellConvolution, FencedActivation} <= kinds
    assert FrameScale not in kinds
    frame = 255 * torch.rand(1, 3, *size)
    with torch.no_grad():
        torch.testing.assert_close(formed(frame), network(frame), rtol=1e-3, atol=0.02)


def test_frames_whose_way_is_not_only_moves_stay_float(tiny: Any) -> None:
    # What is measured over the whole frame, and a picture that is bent, cannot be had from bytes.
    contrast = network_to_onnx(tiny.network(contrast_norm=True), precision="int8")
    bent = network_to_onnx(nn.Sequential(tiny.network(), nn.Tanh()), precision="int8")
    assert len(level_tensors(network_to_onnx(tiny.network(), precision="int8"))) == 2
    assert len(level_tensors(contrast)) == 1
    assert not level_tensors(bent)


def test_peaks_are_kept_where_strokes_are_made_of_them() -> None:
    assert percentile_for("lean") == 99.999
    assert percentile_for("any") == percentile_for("johnson") == 99.99


def test_file_keeps_the_contract(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    for value in (model.graph.input[0], model.graph.output[0]):
        sides = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert sides == [1, "H", "W", 3]
    readers = {node.op_type for node in model.graph.node if "image" in node.input}
    assert readers == {"Shape", "Transpose"}
    assert {array.dtype for array in weights(model)} == {np.dtype(np.int8)}
    spec = ModelSpec.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    assert spec is not None
    assert spec.precision == "int8"
    assert spec.operations["DequantizeLinear"] > 4
    assert spec.calibration["weight_bits"] == 7
    assert spec.calibration["percentile"] == 99.999, "as suits the lean network"
    assert spec.macs_per_pixel > 100
    assert spec.scores["export_psnr_db"] >= 30


def test_pictures_are_close_to_those_of_pytorch(exported: Path, tiny: Any) -> None:
    network = tiny.network(width=16, instance_at=[])
    session = onnxruntime.InferenceSession(exported)
    for seed, (height, width) in enumerate(((17, 31), (120, 160), (16, 16))):
        photo = made_photo(100 + seed, height, width)
        with torch.no_grad():
            expected = network(torch.from_numpy(photo).permute(2, 0, 1)[None].float())
        expected = expected[0, :, :height, :width].clamp(0, 255).permute(1, 2, 0).numpy()
        (got,) = session.run(None, {"image": photo[None]})
        assert np.abs(got[0] - expected).mean() < 4
        assert expected.std() > 10


def test_seven_bits_leave_room_for_the_sum_of_two_products(tiny: Any) -> None:
    model = network_to_onnx(tiny.network())
    frames = [made_photo(seed, 32, 48) for seed in range(2)]
    for bits, largest in ((7, 64), (8, 127)):
        quantized = quantize(model, frames, QuantizationSettings(weight_bits=bits))
        found = max(int(np.abs(array.astype(int)).max()) for array in weights(quantized))
        assert found == largest
    # Two products of a U8 activation with such weights fit into 16 bits, as AVX2 sums them.
    assert 2 * 255 * 64 < 2**15 <= 2 * 255 * 127


def test_sums_of_float_layers_stay_float(tiny: Any) -> None:
    # The first layer's normalization is float, and so is the sum that it enters.
    model = network_to_onnx(tiny.network())
    kinds = {node.name: node.op_type for node in model.graph.node}
    assert {"InstanceNormalization", "Add"} <= set(kinds.values())
    assert {kinds[name] for name in quantizable(model)} == {"Conv", "Clip"}


def test_the_share_of_values_in_range_can_be_given(tiny: Any, workplace: Path) -> None:
    tiny.write(workplace / "tiny.pth")
    share = ["--percentile", 99.9]
    assert run_export("tiny.pth", "--precision", "int8", *share, "-o", "t.onnx") == 0
    entries = onnx.load(workplace / "t.onnx").metadata_props
    spec = ModelSpec.from_metadata({entry.key: entry.value for entry in entries})
    assert spec is not None
    assert spec.calibration["percentile"] == 99.9
    assert run_export("tiny.pth", "--precision", "int8", "--percentile", 101, "-o", "u.onnx") == 2


def test_calibration_on_the_wrong_photos_is_refused(
    tiny: Any, workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny.write(workplace / "tiny.pth")
    (workplace / "night").mkdir()
    write_image(workplace / "night" / "black.png", np.zeros((60, 80, 3), np.uint8))
    assert run_export("tiny.pth", "--precision", "int8", "--calibration", "night") == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    note, error = captured.err.splitlines()
    assert "checkpoint of edge-style" in note
    assert error.startswith("error: the int8 file differs from the network")
    assert not list(workplace.rglob("*.onnx"))


def test_last_convolution_stays_float_where_its_output_is_stretched(tiny: Any) -> None:
    plain = network_to_onnx(tiny.network())
    bent = network_to_onnx(nn.Sequential(tiny.network(), nn.Tanh()))
    convolutions = [node.name for node in plain.graph.node if node.op_type == "Conv"]
    assert convolutions[-1] in quantizable(plain)
    convolutions = [node.name for node in bent.graph.node if node.op_type == "Conv"]
    assert convolutions[-1] not in quantizable(bent)
    assert set(convolutions[:-1]) <= set(quantizable(bent))


@pytest.mark.parametrize(
    ("side_px", "mean_levels", "psnr_db", "passes"),
    [
        (16, 17.0, 21.0, True),  # a full-size network, whose frames are at 37 dB
        (16, 17.0, 17.0, False),
        (16, 21.0, 21.0, False),
        (240, 2.0, 37.0, True),
        (240, 4.0, 29.0, False),
        (240, 6.0, 31.0, False),
    ],
)
def test_thumbnails_may_differ_more_than_frames(
    side_px: int, mean_levels: float, psnr_db: float, passes: bool
) -> None:
    found = [verify.Difference("cpu", side_px, side_px, 90, mean_levels, psnr_db)]
    if passes:
        verify.require_agreement(found, "int8")
    else:
        with pytest.raises(VerificationError, match=f"{side_px}x{side_px} by 90 levels"):
            verify.require_agreement(found, "int8")
    with pytest.raises(VerificationError):
        verify.require_agreement(found, "fp16")
