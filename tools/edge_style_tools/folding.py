"""What can be computed before export is: the networks as they are trained, made ready to run.

Batch normalization goes into the convolution before it, and a lapped head becomes a plain
convolution and a pixel shuffle. The half-precision copy for fp16 files is made here too: exporting
a module whose convolutions are halved gives a right graph, where converting a finished one did not.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge_style_training.networks.lapped import LappedUpsample
from edge_style_training.networks.lean import StyleNorm

_PROBE_SIDE_PX = 64
_HALVED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_KEPT_FLOAT = (nn.InstanceNorm2d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, StyleNorm)


class HalfPrecision(nn.Module):
    """A layer computed in fp16, whatever comes in; fp16 comes out."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.half()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.half())
        return y


class FullPrecision(nn.Module):
    """A layer computed in fp32, whatever comes in; the type that came in goes out.

    Sums over a frame's pixels overflow fp16 or lose its last digits (onnxruntime 10079).
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer.float()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.float())
        return y.to(x.dtype)


def fold(network: nn.Module) -> nn.Module:
    """A copy of `network`, in evaluation mode, that computes the same with fewer layers."""
    folded = copy.deepcopy(network).eval()
    for path, layer in list(folded.named_modules()):
        if isinstance(layer, LappedUpsample):
            folded.set_submodule(path, _plain_head(layer))
    _fold_batch_normalization(folded)
    return folded


def halve(network: nn.Module) -> nn.Module:
    """A copy of `network` with fp16 convolutions and fp32 normalization; frames stay fp32."""
    halved = copy.deepcopy(network).eval()
    whole = [path for path, layer in halved.named_modules() if isinstance(layer, StyleNorm)]
    for path, layer in list(halved.named_modules()):
        if any(path.startswith(f"{outer}.") for outer in whole):
            continue
        if isinstance(layer, _HALVED):
            halved.set_submodule(path, HalfPrecision(layer))
        elif isinstance(layer, _KEPT_FLOAT):
            halved.set_submodule(path, FullPrecision(layer))
    return halved


def _plain_head(head: LappedUpsample) -> nn.Module:
    weight = head.convolution_weight().detach()
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    convolution.weight.data = weight.clone()
    convolution.bias = nn.Parameter(head.convolution_bias().detach().clone())
    return nn.Sequential(convolution, nn.PixelShuffle(head.factor))


def _fold_batch_normalization(network: nn.Module) -> None:
    """Fold every BatchNorm2d whose input is what a convolution just gave.

    Which follows which shows in a run: modules need not be listed in the order they run in.
    """
    paths = {layer: path for path, layer in network.named_modules()}
    made: list[tuple[Tensor, nn.Conv2d]] = []
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def note_output(layer: nn.Module, _: Any, output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            made.append((output, layer))

    def note_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(layer, nn.BatchNorm2d):
            pairs.extend((conv, layer) for output, conv in made if output is inputs[0])

    hooks = [layer.register_forward_hook(note_output) for layer in paths]
    hooks += [layer.register_forward_pre_hook(note_input) for layer in paths]
    try:
        with torch.no_grad():
            network(torch.zeros(1, 3, _PROBE_SIDE_PX, _PROBE_SIDE_PX))
    finally:
        for hook in hooks:
            hook.remove()
    runs = [conv for _, conv in made]
    for conv, norm in pairs:
        if runs.count(conv) == 1:
            network.set_submodule(paths[conv], fuse_conv_bn_eval(conv, norm))
            network.set_submodule(paths[norm], nn.Identity())
