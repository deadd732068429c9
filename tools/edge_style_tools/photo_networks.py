"""Writes the ONNX files that `edge_style.photo` runs: VGG16's levels and the shipped decoder's."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from edge_style.catalog import style_folders
from edge_style.errors import CheckpointError, ModelError
from edge_style.photo import networks as files
from edge_style_tools.onnx_export import OPSET, quiet
from edge_style_training.photo.decoder_training import load_decoder
from edge_style_training.photo.networks import PhotoDecoder, PhotoEncoder, low_band
from edge_style_training.vgg import load_loss_network

DECODER_NAME = Path("photo") / "decoder.pth"


class _EncoderLevel(nn.Module):
    def __init__(self, encoder: PhotoEncoder, level: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.level = level

    def forward(self, x: Tensor) -> Tensor:
        x = self.encoder.scaled(x) if self.level == 1 else low_band(x)
        features: Tensor = self.encoder.levels[self.level - 1](x)
        return features


class _DecoderLevel(nn.Module):
    def __init__(self, decoder: PhotoDecoder, level: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.number = files.LEVELS - level

    def forward(self, features: Tensor, details: Tensor) -> Tensor:
        return self.decoder.step(self.number, features, details)


class _Picture(nn.Module):
    def __init__(self, decoder: PhotoDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Tensor) -> Tensor:
        return self.decoder.picture(features)


_WIDTHS = (64, 128, 256, 512)


def find_decoder() -> Path:
    """The shipped decoder: the checkout's, or the installed wheel's.

    Raises:
        CheckpointError: this installation has none.
    """
    for folder in style_folders():
        path = folder / DECODER_NAME
        if path.is_file():
            return path
    raise CheckpointError(f"{DECODER_NAME} is missing: install edge-style anew")


def build_networks(vgg: Path | None, folder: Path, decoder: Path | None = None) -> None:
    """Write all files into `folder`, which becomes complete at once or not at all.

    Args:
        vgg: VGG16 weights; None fetches torchvision's.
        folder: is created.
        decoder: checkpoint of a decoder; the shipped one if None.

    Raises:
        WeightsError: the VGG weights cannot be used or fetched.
        CheckpointError: the decoder cannot be read, or the folder cannot be written.
        ModelError: torch cannot export a level.
    """
    network = load_loss_network(vgg, ["relu4_1"])
    undo = load_decoder(decoder or find_decoder())
    encoder = PhotoEncoder.of(network)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as name:
            for level in range(1, files.LEVELS + 1):
                _write_level(encoder, undo, level, Path(name))
            for file in Path(name).iterdir():
                file.replace(folder / file.name)
    except OSError as error:
        raise CheckpointError(f"cannot write '{folder}': {error.strerror or error}") from error


def _write_level(encoder: PhotoEncoder, decoder: PhotoDecoder, level: int, folder: Path) -> None:
    width = _WIDTHS[level - 1]
    size = 64 >> (level - 1)
    if level == 1:
        image = torch.zeros(1, 3, size, size + 16)
        _export(_EncoderLevel(encoder, 1), {files.IMAGE: image}, folder / files.encoder_name(1))
        features = torch.zeros(1, width, size, size + 16)
        _export(_Picture(decoder), {files.FEATURES: features}, folder / files.decoder_name(1))
        return
    before = torch.zeros(1, _WIDTHS[level - 2], 2 * size, 2 * size + 16)
    own = torch.zeros(1, width, size, size + 8)
    encode, decode = files.encoder_name(level), files.decoder_name(level)
    _export(_EncoderLevel(encoder, level), {files.FEATURES: before}, folder / encode)
    inputs = {files.FEATURES: own, files.DETAILS: before}
    _export(_DecoderLevel(decoder, level), inputs, folder / decode)


def _export(module: nn.Module, inputs: dict[str, Tensor], path: Path) -> None:
    """Write one level; the sides of all inputs stay dynamic."""
    try:
        with quiet(), torch.no_grad():
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                str(path),
                input_names=list(inputs),
                output_names=[files.RESULT],
                opset_version=OPSET,
                dynamo=False,
                dynamic_axes={name: {2: f"H_{name}", 3: f"W_{name}"} for name in inputs}
                | {files.RESULT: {2: "H", 3: "W"}},
            )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"torch cannot export {path.name}: {reason}") from error
