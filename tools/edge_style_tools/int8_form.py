"""A network in the form in which an int8 graph runs fastest on a CPU.

onnxruntime computes quantized convolutions with the channels last, and changes of layout cost it
as much as the convolutions do. So nothing between two convolutions may want the channels first:

- A pixel shuffle becomes a Reshape and a Transpose of the channels-last tensor, which move whole
  runs of channels; DepthToSpace knows channels-first only. 0.1 in place of 3.7 ms at 640x480, two
  cores of an EPYC.
- A convolution of three channels with a large stride becomes one of the pixels of whole cells, with
  a kernel of a few cells: the same products, in runs of 48 in place of 24. 1.0 in place of 1.2 ms.
- An instance normalization does want them first. What follows it is fenced, or onnxruntime would
  leave its result as it is and turn all that is later added to it: 1.5 ms.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from edge_style_training.networks.lean import Activation, FrameScale, StyleNorm

_FRAME_CHANNELS = 3
_PROBE_SIDE_PX = 64


def int8_form(folded: nn.Module) -> nn.Module:
    """A copy of `folded` (see `folding.fold`) that computes the same on every input."""
    formed = copy.deepcopy(folded)
    for path in _activations_of_instance_norms(formed):
        formed.set_submodule(path, FencedActivation(formed.get_submodule(path)))
    for path, layer in list(formed.named_modules()):
        if isinstance(layer, nn.Sequential) and _is_shuffle(layer):
            convolution, shuffle = layer
            if isinstance(shuffle, nn.PixelShuffle):
                formed.set_submodule(path, ChannelsLastShuffle(convolution, shuffle.upscale_factor))
        elif isinstance(layer, nn.Conv2d) and _reads_cells(layer):
            formed.set_submodule(path, CellConvolution(layer))
    return formed


def fold_frame_scale(network: nn.Module) -> None:
    """Let the first convolution scale the frame, in place; padding then works on the levels.

    Only where nothing but padding by reflection comes between the two, as in the lean network with
    its 8x8 stem, whose convolution pads nothing.
    """
    stem = getattr(network, "stem", None)
    scale = getattr(network, "scale", None)
    if not isinstance(scale, FrameScale) or not isinstance(stem, nn.Sequential):
        return
    convolution = stem[0]
    if not isinstance(convolution, nn.Conv2d) or any(_padding(convolution)):
        return
    with torch.no_grad():
        shift = scale(torch.zeros(()))
        factor = scale(torch.ones(())) - shift
        bias = shift * convolution.weight.sum(dim=(1, 2, 3))
        if convolution.bias is not None:
            bias = bias + convolution.bias
        convolution.weight.mul_(factor)
        convolution.bias = nn.Parameter(bias)
    network.set_submodule("scale", nn.Identity())


class FencedActivation(nn.Module):
    """An activation whose result leaves with the channels last.

    All pixels are put in a row and back: onnxruntime moves no transposition past that. In a file of
    fixed size it sees that nothing changes and takes the fence down; such a file computes the same,
    a little slower.
    """

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(x)
        channels_last = y.permute(0, 2, 3, 1)
        n, h, w, c = channels_last.shape
        return channels_last.reshape(n, h * w, c).reshape(n, h, w, c).permute(0, 3, 1, 2)


class ChannelsLastShuffle(nn.Module):
    """A convolution and a pixel shuffle, as moves of channels-last pixels."""

    def __init__(self, convolution: nn.Module, factor: int) -> None:
        super().__init__()
        if not isinstance(convolution, nn.Conv2d):
            raise TypeError(f"expected a convolution, got {type(convolution).__name__}")
        self.factor = factor
        self.convolution = convolution
        # A pixel shuffle wants channel, row, column; here the channels have to be innermost.
        for weight in (convolution.weight, convolution.bias):
            if weight is not None:
                by_channel = weight.data.reshape(-1, factor**2, *weight.shape[1:])
                weight.data = by_channel.transpose(0, 1).flatten(0, 1).contiguous()

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C, h, w] to [N, C', factor * h, factor * w]."""
        y: Tensor = self.convolution(features)
        n, _, h, w = y.shape
        factor = self.factor
        cells = y.permute(0, 2, 3, 1).reshape(n, h, w, factor, factor, -1)
        pixels = cells.permute(0, 1, 3, 2, 4, 5).reshape(n, h * factor, w * factor, -1)
        return pixels.permute(0, 3, 1, 2)


class CellConvolution(nn.Module):
    """A convolution with stride s and a kernel of k * s, as one with a kernel of k over cells."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.cell = cell = convolution.stride[0]
        cells = convolution.kernel_size[0] // cell
        channels = convolution.in_channels * cell**2
        self.convolution = nn.Conv2d(channels, convolution.out_channels, cells)
        # Out, channel, cell row, row in it, cell column, column in it.
        weight = convolution.weight.data.reshape(
            -1, convolution.in_channels, cells, cell, cells, cell
        )
        weight = weight.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
        self.convolution.weight.data = weight.contiguous()
        self.convolution.bias = convolution.bias

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [N, C, H, W] to [N, C', (H - k) // s + 1, (W - k) // s + 1]."""
        n, channels, height, width = frames.shape
        cell = self.cell
        rows, columns = height // cell, width // cell
        pixels = frames[:, :, : rows * cell, : columns * cell].permute(0, 2, 3, 1)
        cells = pixels.reshape(n, rows, cell, columns, cell, channels).permute(0, 1, 3, 2, 4, 5)
        y: Tensor = self.convolution(cells.reshape(n, rows, columns, -1).permute(0, 3, 1, 2))
        return y


def _activations_of_instance_norms(network: nn.Module) -> list[str]:
    """Paths of the activations that are given what an instance normalization just gave."""
    paths = {layer: path for path, layer in network.named_modules()}
    normalized: list[Tensor] = []
    found: list[str] = []

    def note_output(layer: nn.Module, _: Any, output: Tensor) -> None:
        many = isinstance(layer, StyleNorm) and isinstance(layer.norm, nn.InstanceNorm2d)
        if many or isinstance(layer, nn.InstanceNorm2d):
            normalized.append(output)

    def note_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(layer, Activation) and any(inputs[0] is output for output in normalized):
            found.append(paths[layer])

    hooks = [layer.register_forward_hook(note_output) for layer in paths]
    hooks += [layer.register_forward_pre_hook(note_input) for layer in paths]
    try:
        with torch.no_grad():
            network(torch.zeros(1, _FRAME_CHANNELS, _PROBE_SIDE_PX, _PROBE_SIDE_PX))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _is_shuffle(layers: nn.Sequential) -> bool:
    return (
        len(layers) == 2
        and isinstance(layers[0], nn.Conv2d)
        and isinstance(layers[1], nn.PixelShuffle)
    )


def _reads_cells(convolution: nn.Conv2d) -> bool:
    stride, kernel = convolution.stride, convolution.kernel_size
    return (
        convolution.in_channels == _FRAME_CHANNELS
        and stride[0] == stride[1] > 1
        and kernel[0] == kernel[1]
        and kernel[0] % stride[0] == 0
        and convolution.dilation == (1, 1)
        and not any(_padding(convolution))
    )


def _padding(convolution: nn.Conv2d) -> tuple[int, ...]:
    padding = convolution.padding
    return (1,) if isinstance(padding, str) else tuple(padding)
