"""Networks of many styles: one file with the `style` input, or a file for each style."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import nn

from edge_style import cli
from edge_style.contract import PRECISIONS, ModelSpec
from edge_style.errors import ModelError
from edge_style.providers import provider_named
from edge_style.session import Session
from edge_style.stylizer import Stylizer
from edge_style_tools import quantize, sources, verify
from edge_style_tools.photos import made_photo
from edge_style_training.checkpoint import Checkpoint, save_checkpoint
from edge_style_training.networks import build_network
from edge_style_training.networks.lapped import LappedUpsample
from edge_style_training.networks.lean import LeanNet, StyleNorm

NETWORK = {
    "width": 8,
    "blocks": 1,
    "coarse_blocks": 1,
    "coarse_width": 8,
    "instance_at": [0, 2],
    "styles": 3,
}
NAMES = ("night", "noon", "dusk")


def run_export(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["export", *map(str, arguments)])
    return int(exit_.value.code or 0)


def many_network() -> LeanNet:
    torch.manual_seed(4)
    network = build_network("lean", NETWORK)
    assert isinstance(network, LeanNet)
    for layer in network.modules():
        if isinstance(layer, StyleNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
        if isinstance(layer, LappedUpsample):
            layer.weight.data *= 3
    return network.eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "many.pth"
    styles = [{"name": n, "artist": f"Painter of {n}", "style_weight": 2.0} for n in NAMES]
    weights = many_network().state_dict()
    save_checkpoint(Checkpoint("lean", weights, NETWORK, name="many", styles=styles), path)
    return path


@pytest.fixture(scope="module")
def files(checkpoint: Path) -> dict[str, Path]:
    """The file of many in every precision, and one of its styles."""
    paths = {name: checkpoint.with_name(f"{name}.onnx") for name in (*PRECISIONS, "noon")}
    for precision in PRECISIONS:
        assert run_export(checkpoint, "--precision", precision, "--output", paths[precision]) == 0
    options = ["--style", "noon", "--precision", "fp32", "--output", paths["noon"]]
    assert run_export(checkpoint, *options) == 0
    return paths


def picture(photo: Any, style: Any) -> Any:
    """What the network itself makes of a photo, without export."""
    frames = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0).float()
    with torch.no_grad():
        stylized = many_network()(frames, torch.from_numpy(style)[None])[0]
    height, width = photo.shape[:2]
    return stylized[:, :height, :width].clamp(0, 255).round().permute(1, 2, 0).numpy()


def test_more_styles_than_photos_are_all_tried() -> None:
    photos = [made_photo(seed, 16, 16) for seed in range(2)]
    tried = verify.to_try(photos, 5)
    weights = np.array([style for _, style in tried])
    assert (weights[:5] == np.eye(5)).all()
    assert weights[5] == pytest.approx(0.2)
    assert {photo.tobytes() for photo, _ in tried} == {photo.tobytes() for photo in photos}


@pytest.mark.parametrize(("precision", "levels"), [("fp32", 1.0), ("fp16", 3.0)])
def test_the_file_of_many_paints_every_style_and_blends(
    files: dict[str, Path], precision: str, levels: float
) -> None:
    session = Session(files[precision], provider_named("cpu"))
    photo = made_photo(3, 70, 93)
    one_hot = F.one_hot(torch.arange(3), 3).float().numpy()
    blend = np.array([0.2, 0.5, 0.3], dtype=np.float32)
    for style in (*one_hot, blend):
        got = session.run({"image": photo[None], "style": style}, "stylized")[0]
        assert np.abs(got.astype(float) - picture(photo, style)).max() <= levels
    model = onnx.load(files[precision])
    assert [value.name for value in model.graph.input] == ["image", "style"]
    (styles,) = model.graph.input[1].type.tensor_type.shape.dim
    assert styles.dim_value == 3


def test_the_int8_file_of_many_paints_every_style_and_blends(files: dict[str, Path]) -> None:
    session = Session(files["int8"], provider_named("cpu"))
    photo = made_photo(3, 150, 203)
    wanted = [picture(photo, style) for style in np.eye(3, dtype=np.float32)]
    for style in (*np.eye(3, dtype=np.float32), np.array([0.2, 0.5, 0.3], dtype=np.float32)):
        got = session.run({"image": photo[None], "style": style}, "stylized")[0].astype(float)
        apart = np.abs(got - picture(photo, style)).mean()
        assert apart < 5
        # Nearer to its own style's picture than to another's.
        others = [np.abs(got - wanted[n]).mean() for n in np.flatnonzero(style == 0)]
        assert all(2 * apart < other for other in others)
    model = onnx.load(files["int8"])
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    fed = {output: node.op_type for node in model.graph.node for output in node.output}
    assert {fed[node.input[1]] for node in convolutions} == {"DequantizeLinear"}


def test_calibration_sees_every_style(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of one style alone would cut off the others' strokes."""
    seen: list[Any] = []

    def note(_source: Path, _target: Path, reader: Any, **_options: Any) -> None:
        while (inputs := reader.get_next()) is not None:
            seen.append(inputs["style"])
        raise ValueError("enough")

    monkeypatch.setattr(quantize, "quantize_static", note)
    model = sources.network_to_onnx(many_network(), precision="int8", styles=3)
    frames = [made_photo(seed, 32, 32) for seed in range(2)]
    with pytest.raises(ModelError, match="enough"):
        quantize.quantize(model, frames, quantize.QuantizationSettings(), styles=3)
    assert np.array_equal(seen[:3], np.eye(3))
    assert seen[3] == pytest.approx(1 / 3)


def test_the_runtime_knows_the_styles_by_name(files: dict[str, Path]) -> None:
    stylizer = Stylizer.load(files["fp16"], provider="cpu")
    assert stylizer.spec.styles == NAMES


def test_a_style_alone_is_the_same_picture_and_is_credited(files: dict[str, Path]) -> None:
    model = onnx.load(files["noon"])
    assert [value.name for value in model.graph.input] == ["image"]
    spec = ModelSpec.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    assert (spec.name, spec.artist, spec.styles) == ("noon", "Painter of noon", ())
    assert spec.training["style_weight"] == 2.0
    # Its normalizations that are no instance ones have gone into the convolutions.
    assert {node.op_type for node in model.graph.node} & {"BatchNormalization"} == set()
    photo = made_photo(3, 70, 93)
    got = Session(files["noon"], provider_named("cpu")).run({"image": photo[None]}, "stylized")[0]
    expected = picture(photo, np.array([0, 1, 0], dtype=np.float32))
    assert np.abs(got.astype(float) - expected).max() <= 1


def test_every_style_is_verified(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose third style is wrong is not written."""
    right = sources.network_to_onnx

    def wrong(network: nn.Module, **options: Any) -> onnx.ModelProto:
        for layer in network.modules():
            if isinstance(layer, StyleNorm):
                layer.bias.data[2] += 0.5
        model = right(network, **options)
        for layer in network.modules():
            if isinstance(layer, StyleNorm):
                layer.bias.data[2] -= 0.5
        return model

    monkeypatch.setattr(sources, "network_to_onnx", wrong)
    output = checkpoint.with_name("wrong.onnx")
    assert run_export(checkpoint, "--precision", "fp32", "--output", output) == 2
    assert not output.exists()


def test_what_cannot_be_is_said(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: Any
) -> None:
    output = ["--output", tmp_path / "x.onnx"]
    for arguments, said in (
        ((checkpoint, "--style", "dawn"), "night, noon, dusk"),
        ((tiny.write(tmp_path / "tiny.pth"), "--style", "noon"), "one style only"),
    ):
        capsys.readouterr()
        assert run_export(*arguments, *output) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


def test_what_was_found_is_listed(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = checkpoint.with_name("again.onnx")
    assert run_export(checkpoint, "--output", output) == 0
    assert "of 3 styles: night, noon, dusk" in capsys.readouterr().err
    assert run_export(checkpoint, "--output", output, "--force", "--json") == 0
    assert json.loads(capsys.readouterr().out)["model"]["styles"] == list(NAMES)
