import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edge_style.contract import ModelSpec, Precision
from edge_style_tools import onnx_export, quantize, style_codes, verify
from edge_style_tools.export import ExportSettings, export_network
from edge_style_tools.importers import lengstrom, onnx_model
from edge_style_tools.sources import NetworkSource, Source, read_checkpoint
from edge_style_training.checkpoint import Checkpoint, save_checkpoint
from edge_style_training.networks import build_network, johnson
from edge_style_training.networks.lapped import LappedUpsample

TINY = {
    "width": 8,
    "blocks": 1,
    "coarse_blocks": 0,
    "norm": "batch",
    "instance_at": [0],
    "head_norm": False,
}


def seasoned(network: nn.Module) -> nn.Module:
    """As after some training: normalizations that change something, pictures with contrast."""
    generator = torch.Generator().manual_seed(5)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            layer.weight.data.uniform_(0.5, 1.5, generator=generator)
            layer.bias.data.normal_(0, 0.3, generator=generator)
        if isinstance(layer, nn.BatchNorm2d):
            layer.get_buffer("running_mean").normal_(0, 0.3, generator=generator)
            layer.get_buffer("running_var").uniform_(0.5, 2, generator=generator)
        if isinstance(layer, LappedUpsample):
            layer.weight.data *= 5
    return network.eval()


def tiny_network(**config: object) -> nn.Module:
    torch.manual_seed(3)
    return seasoned(build_network("lean", {**TINY, **config}))


def write_checkpoint(path: Path, **config: object) -> Path:
    save_checkpoint(
        Checkpoint(
            "lean",
            tiny_network(**config).state_dict(),
            {**TINY, **config},
            name="tiny",
            painting="A Painting",
            artist="A Painter",
            licence="public domain",
            step=7,
            training={"seed": 3},
            scores={"style_loss": 1.5},
        ),
        path,
    )
    return path


@dataclass(frozen=True)
class Tiny:
    """Small lean networks, the same at each call, checkpoints of them, and other kinds."""

    network: Callable[..., nn.Module]
    write: Callable[..., Path]
    write_zoo_file: Callable[..., Path]
    lengstrom: Callable[[], nn.Module]


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny(tiny_network, write_checkpoint, write_zoo_file, slim_lengstrom)


@pytest.fixture(scope="session", autouse=True)
def _quick_verification() -> Iterator[None]:
    """Smaller and fewer photos than users get: these runs are many, and two cores are few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "SIZES_PX", ((16, 16), (17, 31), (130, 170)))
        patch.setattr(quantize, "FRAMES", 8)
        patch.setattr(style_codes, "TEXTURES", 3)
        patch.setattr(style_codes, "PAINTED", 2)
        patch.setattr(style_codes, "PHOTOS", 1)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_export_per_network() -> Iterator[None]:
    """torch's exporter takes seconds; a graph that one test has had made serves them all."""
    export = onnx_export._export
    graphs: dict[bytes, bytes] = {}

    def fingerprint(module: nn.Module, size: tuple[int, int] | None) -> bytes:
        digest = hashlib.sha256(repr(size).encode())
        for name, layer in module.named_modules():
            plain = {k: v for k, v in vars(layer).items() if not k.startswith("_")}
            digest.update(repr((name, type(layer), sorted(plain.items()))).encode())
        for name, weight in module.state_dict().items():
            digest.update(repr((name, weight.dtype, weight.shape)).encode())
            digest.update(weight.numpy().tobytes())
        return digest.digest()

    def export_once(
        module: nn.Module, size: tuple[int, int] | None, styles: int
    ) -> onnx.ModelProto:
        key = fingerprint(module, size) + bytes([styles])
        if key not in graphs:
            graphs[key] = export(module, size, styles).SerializeToString()
        return onnx.ModelProto.FromString(graphs[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_export, "_export", export_once)
        yield


def slim_johnson() -> nn.Module:
    """pytorch/examples' network with a tenth of the channels and one residual block."""
    torch.manual_seed(8)
    network = johnson.TransformerNet()
    layers = [("conv1", 3, 4, 9, 1), ("conv2", 4, 6, 3, 2), ("conv3", 6, 8, 3, 2)]
    for name, *sizes in layers:
        setattr(network, name, johnson.ConvLayer(*sizes))
    network.res1 = johnson.ResidualBlock(8)
    for number in range(2, 6):
        setattr(network, f"res{number}", nn.Identity())
    layers = [("deconv1", 8, 6, 3, 1), ("deconv2", 6, 4, 3, 1)]
    for name, *sizes in layers:
        setattr(network, name, johnson.UpsampleConvLayer(*sizes))
    network.deconv3 = johnson.ConvLayer(4, 3, 9, 1)
    for number, channels in enumerate((4, 6, 8, 6, 4), start=1):
        setattr(network, f"in{number}", nn.InstanceNorm2d(channels, affine=True))
    network.deconv3.conv2d.weight.data *= 60
    network.deconv3.conv2d.bias.data += 120
    return seasoned(network)


def slim_lengstrom() -> nn.Module:
    """The network of deeplearn.js' folders with a tenth of the channels and one residual block."""
    torch.manual_seed(9)
    network = lengstrom.LengstromNet(blocks=1)
    layer, enlarge = lengstrom.Layer, lengstrom.Enlarge
    network.first = nn.ModuleList([layer(3, 4, 9, 1), layer(4, 6, 3, 2), layer(6, 8, 3, 2)])
    network.residual = nn.Sequential(lengstrom._Residual(8))
    network.enlarge = nn.ModuleList([enlarge(8, 6), enlarge(6, 4)])
    network.last = layer(4, 3, 9, 1)
    seasoned(network)
    network.last.norm.weight.data *= 0.4
    return network


def write_zoo_file(
    path: Path, *, unit: bool = False, side_px: int = 64, pad: str = "reflect"
) -> Path:
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
        helper.make_node("Pad", ["input1"], ["p1"], mode=pad, pads=pads),
        helper.make_node("Conv", ["p1", "w1", "b1"], ["c1"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("InstanceNormalization", ["c1", "scale", "shift"], ["n1"], epsilon=1e-5),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Upsample", ["r1", "scales"], ["u1"], mode="nearest"),
        helper.make_node("Pad", ["u1"], ["p2"], mode=pad, pads=pads),
        helper.make_node("Conv", ["p2", "w2", "b2"], ["c2"], kernel_shape=[3, 3]),
    ]
    last = helper.make_node("Sigmoid" if unit else "Identity", ["c2"], ["output1"])
    shape = [1, 3, side_px, side_px]
    inputs = [helper.make_tensor_value_info("input1", TensorProto.FLOAT, shape)]
    inputs += [helper.make_tensor_value_info(w.name, w.data_type, w.dims) for w in weights]
    outputs = [helper.make_tensor_value_info("output1", TensorProto.FLOAT, shape)]
    graph = helper.make_graph([*nodes, last], "zoo", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 9)]
    onnx.save(helper.make_model(graph, ir_version=3, opset_imports=opsets), path)
    return path


@pytest.fixture(scope="session")
def exported_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Precision], Path]:
    """A small network of every kind, exported in every precision, once."""
    folder = tmp_path_factory.mktemp("kinds")

    def source(kind: str) -> Source:
        if kind == "lean":
            return read_checkpoint(write_checkpoint(folder / "lean.pth"))
        if kind == "foreign":
            return onnx_model.read(write_zoo_file(folder / "zoo.onnx"))
        network = slim_johnson() if kind == "johnson" else slim_lengstrom()
        return NetworkSource(network, ModelSpec(kind, kind, "fp32", stride_px=4), kind)

    def export(kind: str, precision: Precision) -> Path:
        path = folder / f"{kind}.{precision}.onnx"
        if not path.exists():
            export_network(source(kind), ExportSettings(output=path, precision=precision))
        return path

    return export


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    os.umask(0o022)
    return tmp_path
