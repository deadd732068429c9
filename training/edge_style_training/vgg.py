"""The loss network: VGG (Simonyan and Zisserman 2014, arXiv 1409.1556), convolutions only.

Input is RGB 0..255 minus the ImageNet mean, without division: the convention of the networks that
Gatys and Johnson used, and of torchvision's `VGG16_Weights.IMAGENET1K_FEATURES`.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_style.errors import UsageError, WeightsError
from edge_style_training.quick_cpu import FrozenConvolution, MaxPooling

IMAGENET_MEAN_RGB = (123.68, 116.779, 103.939)

TORCHVISION_VGG16_URL = "https://download.pytorch.org/models/vgg16_features-amdegroot-88682ab5.pth"

# Convolutions per block and their widths; a pooling follows each block.
_BLOCKS: dict[str, tuple[tuple[int, int], ...]] = {
    "vgg16": ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    "vgg19": ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}


def layer_indices(variant: str = "vgg16") -> dict[str, int]:
    """Name -> index in torchvision's `features` of every convolution, activation and pooling.

    `conv3_2` and `relu3_2` are the second convolution of the third block and its activation.
    """
    indices: dict[str, int] = {}
    for block, (convolutions, _) in enumerate(_BLOCKS[variant], start=1):
        for number in range(1, convolutions + 1):
            indices[f"conv{block}_{number}"] = len(indices)
            indices[f"relu{block}_{number}"] = len(indices)
        indices[f"pool{block}"] = len(indices)
    return indices


class LossNetwork(nn.Module):
    """VGG's convolutions up to the deepest of `layers`, frozen.

    Attributes:
        layers: names such as `relu3_3`, in the order in which the network computes them.
    """

    def __init__(
        self,
        layers: Iterable[str],
        *,
        variant: str = "vgg16",
        pooling: str = "max",
        widths: Sequence[int] = (),
    ) -> None:
        """Build the network with random weights; `load_loss_network` gives it trained ones.

        Args:
            layers: whose activations are wanted.
            variant: `vgg16` or `vgg19`.
            pooling: `max`, or `average` as Gatys et al. prefer for painting.
            widths: of the convolutions, as many as are computed, for a pruned network; VGG's own if
                there are none. See `pruning.prune`, which gives it weights.

        Raises:
            WeightsError: a layer that VGG does not have.
        """
        super().__init__()
        indices = layer_indices(variant)
        wanted = set(layers)
        unknown = wanted - indices.keys()
        if unknown or not wanted:
            raise WeightsError(
                f"{variant} has no layer {', '.join(sorted(unknown)) or '(none given)'}: "
                f"use names from conv1_1 to relu{len(_BLOCKS[variant])}_{_BLOCKS[variant][-1][0]}"
            )
        self.layers = tuple(sorted(wanted, key=indices.__getitem__))
        self._taps = {indices[name]: name for name in self.layers}
        deepest = indices[self.layers[-1]]
        modules: list[nn.Module] = []
        channels, pruned = 3, iter(widths)
        for block, (convolutions, own_width) in enumerate(_BLOCKS[variant], start=1):
            for number in range(1, convolutions + 1):
                width = next(pruned, own_width)
                # What nobody asked for need not be kept.
                inplace = f"conv{block}_{number}" not in wanted
                modules += [FrozenConvolution(channels, width), nn.ReLU(inplace)]
                channels = width
            modules.append(MaxPooling() if pooling == "max" else nn.AvgPool2d(2))
        self.features = nn.Sequential(*modules[: deepest + 1])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN_RGB).view(1, 3, 1, 1), False)
        self.requires_grad_(False)

    def forward(self, images: Tensor, layers: Iterable[str] | None = None) -> dict[str, Tensor]:
        """Activations for RGB `images` [N, 3, H, W], 0..255, in the weights' dtype.

        Args:
            images: pictures.
            layers: those of `self.layers` that are wanted; nothing deeper is computed. All if None.

        Raises:
            UsageError: the pictures are too small for the deepest of them.
        """
        wanted = set(self.layers if layers is None else layers)
        x = (images - self.get_buffer("mean")).to(next(self.parameters()).dtype)
        activations: dict[str, Tensor] = {}
        for index, module in enumerate(self.features):
            try:
                x = module(x)
            except RuntimeError as error:
                if min(x.shape[2:]) > 1:
                    raise
                height, width = images.shape[2:]
                last = next(layer for layer in reversed(self.layers) if layer in wanted)
                raise UsageError(
                    f"a picture of {width}x{height} pixels is too small for the layer {last}: "
                    "choose a larger size, fewer levels, or a layer before it"
                ) from error
            name = self._taps.get(index)
            if name in wanted:
                activations[name] = x
                wanted.remove(name)
                if not wanted:
                    break
        return activations


def load_loss_network(
    weights: Path | None,
    layers: Iterable[str],
    *,
    variant: str = "vgg16",
    pooling: str = "max",
) -> LossNetwork:
    """The loss network with ImageNet weights.

    Args:
        weights: a `.safetensors` or `.pth` file with torchvision's keys `features.N.weight` and
            `features.N.bias`; None fetches torchvision's published VGG16 file, once.
        layers: whose activations are wanted.
        variant: `vgg16` or `vgg19`; VGG19 needs a file.
        pooling: `max` or `average`.

    Raises:
        WeightsError: no such file, wrong keys or shapes, or the file cannot be fetched.
    """
    network = LossNetwork(layers, variant=variant, pooling=pooling)
    state = _fetch_vgg16(variant) if weights is None else _read_weights(weights)
    wanted = {key for key in network.state_dict() if key.startswith("features.")}
    missing = sorted(wanted - state.keys())
    if missing:
        came = ", ".join(list(state)[:3]) or "none"
        raise WeightsError(
            f"{weights or 'the fetched file'} holds no {variant} weights: expected "
            f"{missing[0]}, the first keys are {came}"
        )
    for key, own in network.state_dict().items():
        if key in wanted and state[key].shape != own.shape:
            raise WeightsError(
                f"{weights}: {key} should have shape {tuple(own.shape)} in {variant}, "
                f"it has {tuple(state[key].shape)}"
            )
    network.load_state_dict({key: state[key].float() for key in wanted})
    return network.eval()


def in_bfloat16(network: LossNetwork) -> LossNetwork:
    """A copy of a float32 `network` on its device that computes in bfloat16.

    Not fp16: activations on 0..255 input come near its limit of 65504.
    """
    half: LossNetwork = LossNetwork(network.layers).to(next(network.parameters()).device)
    half.load_state_dict(network.state_dict())
    half = half.to(torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # stubs lack it
    # bfloat16 would round it to half levels.
    half.register_buffer("mean", network.get_buffer("mean"), persistent=False)
    return half


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"there is no loss-network file {path}: check --vgg")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # noqa: PLC0415 - only this branch needs it

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Whatever the unpickler or safetensors dislikes, for the user it is the wrong file.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{path} is no weights file: {reason[:120]}") from error
    if not isinstance(state, dict):
        raise WeightsError(f"{path} should hold a state_dict, it holds a {type(state).__name__}")
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def _fetch_vgg16(variant: str) -> dict[str, Tensor]:
    if variant != "vgg16":
        raise WeightsError(f"{variant} weights are not fetched: give a file with --vgg")
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            TORCHVISION_VGG16_URL, map_location="cpu", check_hash=True, weights_only=True
        )
    except Exception as error:  # network, proxy, disk and hash errors all mean the same here
        raise WeightsError(
            f"the VGG16 weights cannot be fetched from {TORCHVISION_VGG16_URL} ({error}): "
            "fetch the file on another machine and give it with --vgg FILE"
        ) from error
    return state
