"""Other programs' networks: recognized, converted exactly, or refused with a reason."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import save_file

from edge_style.errors import CheckpointError
from edge_style_tools.graph import count_macs_per_pixel
from edge_style_tools.importers.lengstrom import LengstromNet
from edge_style_tools.importers.rrmina import RrminaNet
from edge_style_tools.onnx_export import network_to_onnx
from edge_style_tools.photos import made_photo
from edge_style_tools.sources import read_checkpoint as read_source
from edge_style_training.networks import build_network

State = OrderedDict[str, torch.Tensor]


def frames(seed: int, height: int, width: int) -> torch.Tensor:
    return torch.from_numpy(made_photo(seed, height, width)).permute(2, 0, 1)[None].float()


@pytest.fixture(scope="module")
def examples_state() -> State:
    """Keys and shapes as pytorch/examples' own code saves them."""
    layers = [("conv1", 3, 32, 9), ("conv2", 32, 64, 3), ("conv3", 64, 128, 3)]
    layers += [(f"res{n}.conv{k}", 128, 128, 3) for n in range(1, 6) for k in (1, 2)]
    layers += [("deconv1", 128, 64, 3), ("deconv2", 64, 32, 3), ("deconv3", 32, 3, 9)]
    norms = [("in1", 32), ("in2", 64), ("in3", 128), ("in4", 64), ("in5", 32)]
    norms += [(f"res{n}.in{k}", 128) for n in range(1, 6) for k in (1, 2)]
    generator = torch.Generator().manual_seed(1)
    state: State = OrderedDict()
    for name, inputs, outputs, kernel in layers:
        shape = (outputs, inputs, kernel, kernel)
        state[f"{name}.conv2d.weight"] = torch.randn(shape, generator=generator) * 0.05
        state[f"{name}.conv2d.bias"] = torch.randn(outputs, generator=generator)
    for name, channels in norms:
        state[f"{name}.weight"] = torch.rand(channels, generator=generator) + 0.5
        state[f"{name}.bias"] = torch.randn(channels, generator=generator) * 0.1
    state["deconv3.conv2d.weight"] *= 40
    state["deconv3.conv2d.bias"] += 120
    return state


def with_old_keys(state: State) -> State:
    old = OrderedDict(state)
    for key, value in state.items():
        if ".in" in f".{key}" and key.endswith(".weight"):
            old[key.replace(".weight", ".running_mean")] = torch.zeros_like(value)
            old[key.replace(".weight", ".running_var")] = torch.ones_like(value)
    return old


def with_prefix(state: State) -> State:
    return OrderedDict((f"module.{key}", value) for key, value in state.items())


def examples_literally(state: State, photo: torch.Tensor) -> torch.Tensor:
    """pytorch/examples' network as its description has it, without any class of the program.

    Reflections that keep the size, strides of 2 down, nearest neighbours up, five residual blocks.
    """

    def convolve(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight, bias = state[f"{name}.conv2d.weight"], state[f"{name}.conv2d.bias"]
        reach = weight.shape[2] // 2
        return F.conv2d(F.pad(x, (reach,) * 4, mode="reflect"), weight, bias, stride)

    def normalize(x: torch.Tensor, name: str) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
        scale, shift = (state[f"{name}.{kind}"].view(1, -1, 1, 1) for kind in ("weight", "bias"))
        return scale * (x - mean) / torch.sqrt(variance + 1e-5) + shift

    def enlarge(x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    y = photo
    for number, stride in ((1, 1), (2, 2), (3, 2)):
        y = normalize(convolve(y, f"conv{number}", stride), f"in{number}").relu()
    for number in range(1, 6):
        inner = normalize(convolve(y, f"res{number}.conv1"), f"res{number}.in1").relu()
        y = y + normalize(convolve(inner, f"res{number}.conv2"), f"res{number}.in2")
    for number in (1, 2):
        y = normalize(convolve(enlarge(y), f"deconv{number}"), f"in{number + 3}").relu()
    return convolve(y, "deconv3")


VARIANTS: dict[str, Callable[[State], object]] = {
    "plain.model": lambda state: state,
    "old.pth": with_old_keys,
    "parallel.pth": with_prefix,
    "wrapped.pth": lambda state: {"epoch": 2, "state_dict": with_prefix(state)},
    "model.pth": lambda state: {"model": with_old_keys(state), "optimizer": {"lr": 0.1}},
}


@pytest.mark.parametrize("name", [*VARIANTS, "tensors.safetensors"])
def test_pytorch_examples_checkpoints_load(
    name: str, examples_state: State, tmp_path: Path
) -> None:
    path = tmp_path / name
    if name in VARIANTS:
        torch.save(VARIANTS[name](examples_state), path)
    else:
        save_file(dict(examples_state), path)
    source = read_source(path)
    assert source.found == "a checkpoint of pytorch/examples, johnson"
    assert source.spec.name == path.stem
    assert len(source.spec.checkpoint_sha256) == 64
    photo = frames(0, 21, 38)
    with torch.no_grad():
        got, expected = source.network(photo), examples_literally(examples_state, photo)
    assert expected.std() > 10
    assert torch.allclose(got, expected, atol=0.02)


def test_operations_of_johnsons_network_are_counted() -> None:
    model = network_to_onnx(build_network("johnson"), size=(480, 640))
    # 47.2 GMAC for a frame of 640x480.
    assert count_macs_per_pixel(model) == pytest.approx(47.2e9 / (640 * 480), rel=0.01)


def write_folder(folder: Path) -> Path:
    """A folder as deeplearn.js writes it, with random weights."""
    folder.mkdir()
    random = np.random.default_rng(2)
    shapes: list[list[int]] = [[9, 9, 3, 32], [3, 3, 32, 64], [3, 3, 64, 128]]
    shapes += [[3, 3, 128, 128]] * 10 + [[3, 3, 64, 128], [3, 3, 32, 64], [9, 9, 32, 3]]
    manifest = {}
    for index, shape in enumerate(shapes):
        channels = shape[2] if index in (13, 14) else shape[3]
        values = [
            random.normal(0, 0.1, shape),
            random.normal(0, 0.2, channels),
            random.uniform(0.3, 1, channels),
        ]
        for offset, value in enumerate(values):
            number = 3 * index + offset
            name = f"Variable_{number}" if number else "Variable"
            (folder / name).write_bytes(value.astype("<f4").tobytes())
            manifest[name] = {"filename": name, "shape": list(value.shape)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def read_literally(folder: Path, photo: torch.Tensor) -> torch.Tensor:
    """The network as TensorFlow's operations define it, without any class of the program."""
    manifest = json.loads((folder / "manifest.json").read_text())

    def variable(number: int) -> torch.Tensor:
        entry = manifest[f"Variable_{number}" if number else "Variable"]
        values = np.fromfile(folder / entry["filename"], "<f4").reshape(entry["shape"])
        return torch.from_numpy(values.copy())

    def normalize(x: torch.Tensor, number: int) -> torch.Tensor:
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x - mean) ** 2).mean((2, 3), keepdim=True)
        shift, scale = (variable(number + k).view(1, -1, 1, 1) for k in (1, 2))
        return scale * (x - mean) / torch.sqrt(variance + 1e-3) + shift

    def convolve(x: torch.Tensor, number: int, stride: int = 1) -> torch.Tensor:
        weight = variable(number).permute(3, 2, 0, 1)
        pads = []
        for side in (x.shape[3], x.shape[2]):
            total = max((-(-side // stride) - 1) * stride + weight.shape[2] - side, 0)
            pads += [total // 2, total - total // 2]
        return normalize(F.conv2d(F.pad(x, pads), weight, stride=stride), number)

    def enlarge(x: torch.Tensor, number: int) -> torch.Tensor:
        # Transposed: zeros between the pixels, then the flipped kernel.
        spread = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        spread[:, :, ::2, ::2] = x
        kernel = variable(number).permute(2, 3, 0, 1).flip(2, 3)
        return normalize(F.conv2d(F.pad(spread, (2, 0, 2, 0)), kernel), number).relu()

    y = convolve(photo, 0).relu()
    y = convolve(convolve(y, 3, 2).relu(), 6, 2).relu()
    for number in range(9, 39, 6):
        y = y + convolve(convolve(y, number).relu(), number + 3)
    return torch.tanh(convolve(enlarge(enlarge(y, 39), 42), 45)) * 150 + 127.5


@pytest.mark.parametrize(("height", "width"), [(32, 48), (17, 31), (34, 53)])
def test_deeplearnjs_folder_is_read_literally(tmp_path: Path, height: int, width: int) -> None:
    folder = write_folder(tmp_path / "wave")
    source = read_source(folder)
    photo = frames(1, height, width)
    with torch.no_grad():
        got, expected = source.network(photo), read_literally(folder, photo)
    assert got.shape == expected.shape
    assert torch.allclose(got, expected, atol=0.02)
    assert source.spec.name == "wave"
    assert len(source.spec.checkpoint_sha256) == 64


def test_paddings_that_depend_on_the_size_are_exported(tiny: Any) -> None:
    network = tiny.lengstrom()
    model = network_to_onnx(network)
    per_pixel = 81 * 3 * 4 + 9 * 4 * 6 / 4 + (9 * 6 * 8 + 2 * 9 * 8 * 8) / 16
    per_pixel += 9 * 8 * 6 / 16 + 9 * 6 * 4 / 4 + 81 * 4 * 3
    assert count_macs_per_pixel(model) == pytest.approx(per_pixel, rel=0.01)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for seed, (height, width) in enumerate(((16, 16), (17, 31), (34, 23), (17, 31))):
        photo = made_photo(seed, height, width)
        (got,) = session.run(None, {"image": photo[None]})
        with torch.no_grad():
            expected = network(frames(seed, height, width))[0, :, :height, :width]
        expected = expected.clamp(0, 255).permute(1, 2, 0).numpy()
        assert np.abs(got[0] - expected).max() <= 1


@pytest.mark.parametrize("tanh", [False, True])
def test_rrmina_checkpoint_is_turned_to_rgb(tmp_path: Path, tanh: bool) -> None:
    torch.manual_seed(4)
    network = RrminaNet(tanh=tanh).eval()
    last = network.DeconvBlock[4].conv_layer
    last.weight.data *= 1 if tanh else 50
    torch.save(network.state_dict(), tmp_path / "mosaic.pth")
    source = read_source(tmp_path / "mosaic.pth")
    assert source.found == "a checkpoint of rrmina, rrmina"
    photo = frames(2, 21, 34)
    with torch.no_grad():
        # The checkpoint's own network takes and gives BGR.
        expected = network(photo.flip(1)).flip(1)
        assert torch.allclose(source.network(photo), expected, atol=0.01)


def break_manifest(folder: Path, name: str, **entry: object) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest[name] |= entry
    path.write_text(json.dumps(manifest))


def test_manifest_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "wave")
    secret = tmp_path / "secret"
    secret.write_bytes((folder / "Variable_1").read_bytes())
    for name in ("../secret", str(secret), "../wave/../secret"):
        break_manifest(folder, "Variable_1", filename=name)
        with pytest.raises(CheckpointError, match="not in the folder"):
            read_source(folder)
    (folder / "link").symlink_to(secret)
    break_manifest(folder, "Variable_1", filename="link")
    with pytest.raises(CheckpointError, match="not in the folder"):
        read_source(folder)


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "wave")
    (folder / "Variable_7").write_bytes(b"1234")
    with pytest.raises(CheckpointError, match="4 bytes, expected 512"):
        read_source(folder)
    break_manifest(folder, "Variable_3", shape=[30000, 30000, 32, 64])
    with pytest.raises(CheckpointError, match=r"'Variable_3' .* expected \[3, 3, 32, 64\]"):
        read_source(folder)
    (folder / "manifest.json").write_text("[1, 2")
    with pytest.raises(CheckpointError, match="not JSON"):
        read_source(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"no manifest\.json"):
        read_source(folder)


class Malicious:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return exec, ("import pathlib; pathlib.Path('executed').touch()",)


def test_pickled_code_is_never_run(workplace: Path) -> None:
    torch.save({"state_dict": Malicious()}, workplace / "zip.pth")
    torch.save(Malicious(), workplace / "old.pth", _use_new_zipfile_serialization=False)
    (workplace / "bare.pth").write_bytes(pickle.dumps(Malicious()))
    for name in ("zip.pth", "old.pth", "bare.pth"):
        with pytest.raises(CheckpointError, match="never loaded"):
            read_source(Path(name))
    assert not Path("executed").exists()


def test_truncated_files_are_refused(examples_state: State, tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save(examples_state, whole)
    save_file(dict(examples_state), tmp_path / "cut.safetensors")
    data = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    (tmp_path / "cut.pth").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    for name in ("cut.pth", "cut.safetensors"):
        with pytest.raises(CheckpointError):
            read_source(tmp_path / name)


def write_bombs(folder: Path) -> None:
    """Small files that claim to be gigabytes."""
    with zipfile.ZipFile(folder / "zip.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(1 << 20))
        archive.infolist()[1].file_size = 1 << 31
    header = {"x": {"dtype": "F32", "shape": [1 << 29], "data_offsets": [0, 1 << 31]}}
    text = json.dumps(header).encode()
    (folder / "header.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(64))
    (folder / "long.safetensors").write_bytes(struct.pack("<Q", 1 << 31) + b"{" * 64)


def test_claims_of_gigabytes_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    write_bombs(tmp_path)
    code = (
        "import sys, resource, pathlib\n"
        "from edge_style.errors import CheckpointError\n"
        "from edge_style_tools.sources import read_checkpoint as read_source\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):\n"
        "    try:\n"
        "        read_source(path)\n"
        "    except CheckpointError:\n"
        "        print('refused')\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *refusals, grown_mb = done.stdout.split()
    assert refusals == ["refused"] * 3
    assert int(grown_mb) < 200


def test_unknown_checkpoints_say_what_came(examples_state: State, tmp_path: Path) -> None:
    torch.save({"encoder.0.weight": torch.zeros(2), "x": torch.zeros(1)}, tmp_path / "vae.pth")
    with pytest.raises(
        CheckpointError, match=r"expected a checkpoint of .* got encoder\.0\.weight"
    ):
        read_source(tmp_path / "vae.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="got list"):
        read_source(tmp_path / "list.pth")
    cut = OrderedDict(examples_state)
    del cut["res3.in2.bias"]
    torch.save(cut, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError, match=r"lacks 'res3\.in2\.bias'"):
        read_source(tmp_path / "cut.pth")
    wide = OrderedDict(examples_state) | {"conv2.conv2d.weight": torch.zeros(16, 32, 3, 3)}
    torch.save(OrderedDict(wide), tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match=r"\[16, 32, 3, 3\], expected \[64, 32, 3, 3\]"):
        read_source(tmp_path / "wide.pth")
    bad = OrderedDict(examples_state) | {"in1.bias": torch.full((32,), float("nan"))}
    torch.save(OrderedDict(bad), tmp_path / "nan.pth")
    with pytest.raises(CheckpointError, match="not finite"):
        read_source(tmp_path / "nan.pth")


def test_lengstrom_network_has_the_published_size() -> None:
    assert sum(weight.numel() for weight in LengstromNet().parameters()) == 1_677_638


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("sparse", torch.Tensor.to_sparse),
        ("complex", lambda weight: weight.to(torch.complex64)),
        ("without values", lambda weight: weight.to("meta")),
        ("quantized", lambda weight: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_weights_that_no_network_can_take_are_refused(
    tiny: Any,
    examples_state: State,
    tmp_path: Path,
    kind: str,
    change: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    own = torch.load(tiny.write(tmp_path / "own.pth"), weights_only=True)
    for state, name in ((own, "own"), (OrderedDict(examples_state), "theirs")):
        key = next(key for key, value in state.items() if value.dim() == 4)
        state[key] = change(state[key])
        torch.save(state, tmp_path / f"{name}.pth")
        with pytest.raises(CheckpointError, match=f"{key}'? is {kind}.*, expected "):
            read_source(tmp_path / f"{name}.pth")
