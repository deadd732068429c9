"""A network for any style becomes two files, which the runtime uses together."""

import copy
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edge_style import cli
from edge_style.any_style import AnyStylizer, StyleEncoder
from edge_style.contract import MAX_IR_VERSION, MAX_OPSET, ModelSpec
from edge_style.images import write_image
from edge_style.stylizer import Stylizer
from edge_style_tools import any_export, style_codes
from edge_style_tools.photos import made_photo
from edge_style_tools.style_codes import bold_pictures, code_of, pictures_to_try
from edge_style_training.any_feedback import with_feedback
from edge_style_training.checkpoint import Checkpoint, save_checkpoint
from edge_style_training.networks import build_network
from edge_style_training.networks.any_style import AnyStyleNet
from edge_style_training.networks.feedback import STROKES_PX
from edge_style_training.networks.lapped import LappedUpsample

LEAN = {"width": 16, "coarse_blocks": 1, "coarse_width": 16, "instance_at": [0, 1, 2]}
NETWORK = {"code": 16, "directions": 2, "hidden": 8, "transformer": LEAN}


def any_network() -> AnyStyleNet:
    """As after some training: styles differ, pictures have contrast."""
    torch.manual_seed(4)
    network = build_network("any", NETWORK)
    assert isinstance(network, AnyStyleNet)
    encoder = network.encoder
    with torch.no_grad():
        pictures = np.stack(pictures_to_try())
        frames = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
        encoder.learn_usual(encoder.statistics(frames, encoder.vgg(frames)))
        nn.init.normal_(encoder.head[2].weight, std=0.2)
        for _, norm in network.transformer.normalizations():
            norm.get_parameter("weight")[1:].normal_(std=0.1)
            norm.get_parameter("bias")[1:].normal_(std=0.1)
        for layer in network.modules():
            if isinstance(layer, LappedUpsample):
                layer.weight.mul_(2)
    return network.eval()


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


@functools.cache
def trying_network() -> AnyStyleNet:
    """`any_network` with feedback that corrects codes."""
    network = any_network()
    styles = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pictures_to_try()[:4]]
    return with_feedback(network, styles, network.encoder.vgg, 6, nullcontext).eval()


def save(network: AnyStyleNet, path: Path) -> Path:
    settings = {**NETWORK, "feedback": network.feedback is not None}
    made = Checkpoint("any", network.state_dict(), settings, name="any", training={"seed": 3})
    save_checkpoint(made, path)
    return path


@pytest.fixture(scope="module", autouse=True)
def _few_pictures() -> Iterator[None]:
    """Every third picture calibrates and is compared: all of them take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (any_export, style_codes):
            patch.setattr(module, "pictures_to_try", lambda: pictures_to_try()[::3])
        patch.setattr(any_export, "bold_pictures", lambda *sizes: bold_pictures(*sizes)[::3])
        yield


@pytest.fixture(scope="module", autouse=True)
def _graphs_are_kept() -> Iterator[None]:
    """An encoder's float graph is traced once, not again for each test and for int8: 15 seconds."""
    trace = any_export.encoder_to_onnx
    kept: dict[tuple[str, bool], onnx.ModelProto] = {}

    def once(encoder: Any, precision: Any) -> onnx.ModelProto:
        whole = repr(encoder).encode()
        for tensor in encoder.state_dict().values():
            whole += tensor.numpy().tobytes()
        key = hashlib.sha256(whole).hexdigest(), precision == "fp16"
        if key not in kept:
            kept[key] = trace(encoder, precision)
        model = onnx.ModelProto()
        model.CopyFrom(kept[key])
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(any_export, "encoder_to_onnx", once)
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(any_network(), tmp_path_factory.mktemp("any") / "any.pth")


@pytest.fixture(scope="module")
def trying_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(trying_network(), tmp_path_factory.mktemp("trying") / "any.pth")


LEVELS = {"fp32": 0.1, "fp16": 0.5, "int8": 3.0}
PRECISIONS = tuple(LEVELS)
# Of the files of a network that tries its codes: padding is written plainly where it is hardest.
TRYING_OPTIONS: dict[str, list[str]] = {"fp32": [], "fp16": [], "int8": ["--plain-pads"]}


def exported(checkpoint: Path, precision: str, *options: str) -> Path:
    """The transformer in a precision, exported when first wanted; its encoder lies beside it."""
    folder = checkpoint.parent / precision
    path = folder / ("any.int8.onnx" if precision == "int8" else "any.onnx")
    if not folder.exists():
        folder.mkdir()
        assert run_export(checkpoint, "--precision", precision, "--output", path, *options) == 0
    return path


@pytest.fixture(scope="module")
def file(checkpoint: Path) -> Callable[[str], Path]:
    """The files in a precision of a network that takes codes as it guesses them."""
    return lambda precision: exported(checkpoint, precision)


@pytest.fixture(scope="module")
def trying_file(trying_checkpoint: Path) -> Callable[[str], Path]:
    """Those of one that tries its codes."""
    return lambda precision: exported(trying_checkpoint, precision, *TRYING_OPTIONS[precision])


def encoder_beside(path: Path) -> Path:
    return path.with_name(path.name.replace("any", "any.encoder", 1))


def expected(photo: Any, code: Any) -> Any:
    """What the network itself makes of a photo, without export."""
    frames = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0).float()
    with torch.no_grad():
        stylized = any_network().transformer(frames, torch.from_numpy(code)[None])[0]
    height, width = photo.shape[:2]
    return stylized[:, :height, :width].clamp(0, 255).round().permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("precision", "levels"), LEVELS.items())
def test_the_two_files_paint_together_what_the_network_paints(
    file: Callable[[str], Path], precision: str, levels: float, tmp_path: Path
) -> None:
    pictures = [made_photo(7, 256, 300), pictures_to_try()[3]]
    for number, picture in enumerate(pictures):
        write_image(tmp_path / f"{number}.png", picture)
    stylizer = Stylizer.load(file(precision), provider="cpu")
    together = AnyStylizer.open(
        stylizer, f"{tmp_path / '0.png'},{tmp_path / '1.png'}", is_live=False
    )
    photo = made_photo(3, 141, 187)
    wanted = expected(photo, code_of(any_network().encoder, pictures[0]))
    got = together(photo).astype(float)
    assert np.abs(got - wanted).mean() <= levels
    other = together(photo, (0, 1)).astype(float)
    assert np.abs(got - other).mean() > 2 * levels, "styles differ by more than files may"


def test_crops_within_an_encoder_stay_as_they_are() -> None:
    class Cropped(nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures[:, :, 8:40, 8:40].mean(dim=(2, 3))

    picture = made_photo(5, 48, 64)
    model = any_export.encoder_to_onnx(cast("Any", Cropped()), "fp32")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (code,) = session.run(None, {"image": picture[None]})
    wanted = picture[8:40, 8:40].mean(axis=(0, 1))
    np.testing.assert_allclose(code, wanted, rtol=1e-4)


@pytest.mark.parametrize(("precision", "levels"), LEVELS.items())
def test_an_encoder_that_tries_its_codes_is_one_file_too(
    trying_file: Callable[[str], Path], precision: str, levels: float
) -> None:
    encoder = StyleEncoder(encoder_beside(trying_file(precision)), "cpu")
    assert encoder.spec.picture_px == STROKES_PX
    network, photo = trying_network(), made_photo(3, 141, 187)
    guessing = copy.deepcopy(network)
    assert guessing.feedback is not None
    guessing.feedback.get_buffer("slope").zero_()
    moved = []
    for picture in (made_photo(7, STROKES_PX, 450), bold_pictures(5)[0].repeat(3, 0).repeat(3, 1)):
        code, wanted = encoder(picture), code_of(network.whole_encoder, picture)
        painted = expected(photo, wanted)
        assert np.abs(expected(photo, code) - painted).mean() <= levels
        guessed = expected(photo, code_of(guessing.whole_encoder, picture))
        moved.append(np.abs(guessed - painted).mean())
        if precision == "fp32":
            np.testing.assert_allclose(code, wanted, rtol=1e-2, atol=1e-2)
    assert max(moved) > levels, "codes as guessed would pass"
    nodes = onnx.load(encoder.path).graph.node
    kinds = Counter(node.op_type for node in nodes)
    assert ("QuantizeLinear" in kinds) == (precision == "int8")
    if precision == "int8":
        # The head's, and those of two float convolutions for the style and for each of two trials;
        # all others are in their convolutions' ranges.
        assert kinds["Relu"] == 1 + 3 * 2
    modes = [attribute.s for node in nodes if node.op_type == "Pad" for attribute in node.attribute]
    assert (b"reflect" in modes) == ("--plain-pads" not in TRYING_OPTIONS[precision])
    # What is tried out is painted twice by an int8 file's float transformer.
    floats = [node for node in nodes if node.op_type == "Conv" and "transformer" in node.input[1]]
    assert len(floats) >= 2 * 4 or precision == "fp16"


def test_what_the_files_say_of_themselves(file: Callable[[str], Path]) -> None:
    for precision in PRECISIONS:
        path = file(precision)
        beside = encoder_beside(path)
        specs = []
        for each in (path, beside):
            model = onnx.load(each)
            properties = {entry.key: entry.value for entry in model.metadata_props}
            specs.append(ModelSpec.from_metadata(properties))
            assert model.ir_version <= MAX_IR_VERSION
            assert max(entry.version for entry in model.opset_import) <= MAX_OPSET
            sides = model.graph.input[0].type.tensor_type.shape.dim[1:3]
            assert [side.dim_param for side in sides] == ["H", "W"]
        transformer, encoder = specs
        assert transformer is not None
        assert encoder is not None
        assert (transformer.role, encoder.role) == ("transformer", "encoder")
        assert transformer.code_length == encoder.code_length == 16
        assert transformer.checkpoint_sha256 == encoder.checkpoint_sha256
        assert {transformer.precision, encoder.precision} == {precision}
        assert encoder.scores["export_psnr_db"] > 30
    types = {node.op_type for node in onnx.load(file("fp32")).graph.node}
    assert "BatchNormalization" not in types, "what carries no style is folded away"
    int8 = onnx.load(encoder_beside(file("int8"))).graph.node
    quantized = [node for node in int8 if node.op_type == "QuantizeLinear"]
    assert len(quantized) >= 5


@pytest.mark.parametrize("precision", PRECISIONS)
def test_encoders_take_every_size_without_a_warning(
    file: Callable[[str], Path],
    trying_file: Callable[[str], Path],
    precision: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    for file_of in (file, trying_file):
        path = encoder_beside(file_of(precision))
        capfd.readouterr()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for shape in ((16, 16), (17, 31), (300, 128)):
            (code,) = session.run(["style"], {"image": made_photo(1, *shape)[None]})
            assert code.shape == (16,)
        warnings = capfd.readouterr().err.splitlines()
        if file_of is trying_file and precision == "fp16":
            # The reference that is tried on is a constant, its first convolution fp16, and CPUs
            # have none such: it runs in fp32 with the others.
            harmless = "Could not find a CPU kernel and hence can't constant fold Conv node"
            warnings = [line for line in warnings if harmless not in line]
        assert warnings == []


def test_ranges_suffice_for_pictures_that_set_none(file: Callable[[str], Path]) -> None:
    model = onnx.load(encoder_beside(file("int8")))
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    reach = {}
    for node in model.graph.node:
        maker = makers.get(node.input[0])
        if node.op_type == "QuantizeLinear" and maker is not None and maker.op_type == "Conv":
            scale, zero = (constants[name] for name in node.input[1:])
            layer = makers[maker.input[1]].input[0].split(".features.")[1].split(".")[0]
            reach[int(layer)] = float(scale) * (255 - int(zero))
    vgg = any_network().encoder.vgg
    peaks = dict.fromkeys(reach, 0.0)
    for picture in bold_pictures(5, 7):
        x = torch.from_numpy(picture).permute(2, 0, 1)[None] - vgg.get_buffer("mean")
        for index, module in enumerate(vgg.features):
            x = module(x).detach()
            if index in peaks:
                peaks[index] = max(peaks[index], float(x.max()))
    assert len(peaks) == 5
    for index, peak in peaks.items():
        assert reach[index] >= 0.8 * peak, f"features.{index}"


def test_targets_are_asked_of_the_encoder_too(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--precision", "fp32", "--output", tmp_path / "any.onnx", "--json"]
    assert run_export(checkpoint, *options, "--check-for", "tensorrt") == 2
    captured = capsys.readouterr()
    error = captured.err.splitlines()[-1]
    assert error.startswith("error: tensorrt cannot take the style encoder whole: ")
    assert "EyeLike" in error
    assert error.endswith("nothing was written")
    (found,) = json.loads(captured.out)["checks"]
    assert (found["target"], found["takes"]) == ("tensorrt", False)
    assert list(tmp_path.iterdir()) == []


def off(encoder: Any) -> None:
    encoder.head[2].bias += 2


def clipped(encoder: Any) -> None:
    """At what ordinary pictures reach, as by ranges that no others set."""
    x = torch.from_numpy(np.stack(pictures_to_try())).permute(0, 3, 1, 2)
    x = x - encoder.vgg.get_buffer("mean")
    for index, layer in enumerate(encoder.vgg.features):
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            encoder.vgg.features[index] = nn.Hardtanh(0.0, float(x.max()))


@pytest.mark.parametrize("spoil", [off, clipped])
def test_a_wrong_encoder_is_not_written(
    checkpoint: Path,
    spoil: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = any_export.encoder_to_onnx

    def wrong(encoder: Any, precision: Any) -> onnx.ModelProto:
        spoilt = copy.deepcopy(encoder)
        with torch.no_grad():
            spoil(spoilt)
        return right(spoilt, precision)

    monkeypatch.setattr(any_export, "encoder_to_onnx", wrong)
    output, preview = checkpoint.with_name("wrong.onnx"), checkpoint.with_name("preview.png")
    before = sorted(checkpoint.parent.iterdir())
    options = ["--precision", "fp32", "--output", output, "--preview", preview]
    assert run_export(checkpoint, *options) == 2
    assert "differs from the network" in capsys.readouterr().err
    assert sorted(checkpoint.parent.iterdir()) == before, "neither of the two, nor a part"


def test_neither_file_is_overwritten_without_being_asked(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.encoder.onnx").write_bytes(b"mine")
    output = ["--precision", "fp32", "--output", tmp_path / "new.onnx"]
    assert run_export(checkpoint, *output) == 2
    assert "new.encoder.onnx' exists" in capsys.readouterr().err
    assert not (tmp_path / "new.onnx").exists()
    preview = tmp_path / "preview.png"
    options = ["--force", "--json", "--preview", preview, "--check-for", "cpu"]
    assert run_export(checkpoint, *output, *options) == 0
    assert preview.is_file()
    made = json.loads(capsys.readouterr().out)
    for report in (made, made["encoder"]):
        (found,) = report["checks"]
        assert (found["target"], found["takes"], found["tried"]) == ("cpu", True, True)
    assert made["path"].endswith("new.onnx")
    assert made["encoder"]["path"].endswith("new.encoder.onnx")
    assert made["encoder"]["model"]["role"] == "encoder"
