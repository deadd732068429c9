"""The lean network: everything at a quarter of the resolution or less, plain 3x3 residual blocks.

What costs time on a CPU is not arithmetic but normalization layers, padding layers and changes of
layout, so there are as few as possible: padding at the input only, most normalizations folded into
the convolutions, and one change of layout at either end. Instance normalizations stand where they
are cheap and where an int8 graph stays whole: before an activation or the head, never in front of a
sum.

With several styles it is one network for many paintings: every normalization has a scale and shift
per style (Dumoulin et al. 2017), the convolutions are shared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training.networks.lapped import LappedUpsample

# The frame's deviation is not divided out below this many levels, or noise in a dark room would be
# blown up to full contrast.
MIN_DEVIATION_LEVELS = 8.0

# How far below zero activations may go: the mean of a rectified standard normal variable. What they
# let through then has a mean near zero, and the zeros beyond the frame's edge, which convolutions
# pad with, are an average feature and not a foreign one that shows as a frame.
ACTIVATION_FLOOR = -0.4

# One reflection has to be shorter than the smallest picture, 16 pixels.
_MAX_REFLECTION_PX = 12

# More than any painting needs, and few enough that a file that claims more takes no time.
_MAX_BLOCKS = 64

# The second reflection starts from a picture that the first has brought to 40 pixels or more.
_MAX_BORDER_PX = 40


@dataclass(frozen=True)
class LeanConfig:
    """Settings of the lean network.

    Attributes:
        width: channels at quarter resolution.
        blocks: residual blocks there; half of them before the coarse ones, half after.
        coarse_blocks, coarse_width: residual blocks at an eighth of the resolution, and their
            channels: a larger reach at less arithmetic.
        norm: after convolutions: `instance` (Ulyanov et al. 2016); `fixed`, a scale and shift per
            channel, or `batch`, both of which fold into the convolution.
        instance_at: with another `norm`, numbers of the normalizations that are instance ones
            nevertheless; the stem's is 0, then in the order in which they run.
        styled_at: with several styles, numbers of the normalizations that have a scale and shift
            for each; all of them if None. The others fold away as those of one style do.
        contrast_norm: normalize mean and deviation of each of the frame's colour channels.
        stem: `patch`, one 8x8 convolution of stride 4; `double`, two 3x3 ones of stride 2.
        head: `lapped`, or `shuffle`, a plain convolution and pixel shuffle.
        head_norm: an instance normalization in front of the head, of many styles each with its own
            scale and shift: it sets colours and contrast of the picture, whatever the frame's are,
            and whatever its size is.
        detail: channels that a last convolution, with an activation, makes of the features for the
            head, which sees them beside the features: more patterns for texture to be made of.
        border_px: reflected at each side of the frame and cropped off at the end, so that the
            zero padding inside does not show as a frame.
        styles: paintings that the network knows.
    """

    width: int = 32
    blocks: int = 2
    coarse_blocks: int = 3
    coarse_width: int = 48
    norm: Literal["instance", "batch", "fixed"] = "fixed"
    instance_at: tuple[int, ...] = (0, 3, 4, 6, 8)
    contrast_norm: bool = False
    stem: Literal["patch", "double"] = "patch"
    head: Literal["lapped", "shuffle"] = "lapped"
    head_norm: bool = True
    detail: int = 0
    border_px: int = 16
    styles: int = 1
    styled_at: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        choices = {
            "norm": ("instance", "batch", "fixed"),
            "stem": ("patch", "double"),
            "head": ("lapped", "shuffle"),
        }
        for name, values in choices.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} should be one of {', '.join(values)}")
        if min(self.width, self.coarse_width) < 1 or min(self.blocks, self.coarse_blocks) < 0:
            raise ValueError("widths should be at least 1, numbers of blocks at least 0")
        if max(self.blocks, self.coarse_blocks) > _MAX_BLOCKS:
            raise ValueError(f"numbers of blocks should be {_MAX_BLOCKS} at most")
        if self.detail < 0:
            raise ValueError("detail should be at least 0")
        if not (0 <= self.border_px <= _MAX_BORDER_PX and self.border_px % 4 == 0):
            raise ValueError(f"border_px should be a multiple of 4 up to {_MAX_BORDER_PX}")
        if self.styles < 1:
            raise ValueError("styles should be at least 1")


class FrameScale(nn.Module):
    """Levels 0..255 to about -2..2. A layer of its own, so that export can fold it away."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames / 64.0 - 2.0


class FrameContrast(nn.Module):
    """The frame's colour channels with mean 0 and deviation 1."""

    def forward(self, frames: Tensor) -> Tensor:
        deviation, mean = torch.std_mean(frames, dim=(2, 3), keepdim=True, correction=0)
        return (frames - mean) / deviation.clamp(min=MIN_DEVIATION_LEVELS)


class Activation(nn.Module):
    """The larger of the input and `ACTIVATION_FLOOR`: a ReLU, shifted in both directions."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp_min(ACTIVATION_FLOOR)


class FixedNorm(nn.BatchNorm2d):
    """A learned scale and shift per channel: batch normalization whose statistics stay as they are.

    What is trained is what runs, while batch statistics in training and running ones afterwards
    differ by more than style transfer forgives.
    """

    def __init__(self, channels: int, *, affine: bool = True) -> None:
        super().__init__(channels, affine=affine)
        self.eval()

    def train(self, mode: bool = True) -> "FixedNorm":  # noqa: ARG002 - its statistics never move
        """Stay in evaluation mode."""
        super().train(False)
        return self


class StyleNorm(nn.Module):
    """Conditional normalization (Dumoulin et al. 2017): a scale and shift for each style."""

    def __init__(self, norm: nn.Module, channels: int, styles: int) -> None:
        super().__init__()
        self.norm = norm
        self.weight = nn.Parameter(torch.ones(styles, channels))
        self.bias = nn.Parameter(torch.zeros(styles, channels))
        self.style: Tensor | None = None  # [N, S] weights over the styles, set for every frame

    def forward(self, x: Tensor) -> Tensor:
        """Normalize `x` [N, C, H, W]; blended styles blend their scales and shifts.

        For one frame, an instance normalization is given them as its own, which costs nothing; so
        they are in the graph that export makes.
        """
        style = x.new_zeros(1, len(self.weight)) if self.style is None else self.style
        if self.style is None:
            style[:, 0] = 1
        scale, shift = style @ self.weight, style @ self.bias
        y: Tensor
        if isinstance(self.norm, nn.InstanceNorm2d) and len(style) == 1:
            y = F.instance_norm(x, weight=scale[0], bias=shift[0], eps=self.norm.eps)
        else:
            y = self.norm(x) * scale[:, :, None, None] + shift[:, :, None, None]
        return y


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with normalization around an identity."""

    def __init__(self, width: int, norm1: nn.Module, norm2: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = norm1
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = norm2
        self.activation = Activation()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return x + y


class CoarseStage(nn.Module):
    """Residual blocks at half the resolution, their result added to the input."""

    def __init__(self, width: int, inner: int, norm: nn.Module, blocks: nn.Module) -> None:
        super().__init__()
        self.down = nn.Conv2d(width, inner, 3, stride=2, padding=1, bias=False)
        self.norm = norm
        self.activation = Activation()
        self.blocks = blocks
        self.up = LappedUpsample(inner, width, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.up(self.blocks(self.activation(self.norm(self.down(x)))))
        return x + y[:, :, : x.shape[2], : x.shape[3]]


class Detail(nn.Module):
    """The features, and further channels that a convolution and an activation make of them."""

    def __init__(self, width: int, further: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, further, 3, padding=1)
        # Of the features themselves, which are normalized, so that activations clip some of all.
        nn.init.orthogonal_(self.conv.weight)
        self.activation = Activation()

    def forward(self, x: Tensor) -> Tensor:
        """[N, width, h, w] -> [N, width + further, h, w]."""
        return torch.cat([x, self.activation(self.conv(x))], dim=1)


class LeanNet(nn.Module):
    """See `LeanConfig`. 251,459 weights and 7,365 MAC a pixel with the defaults."""

    stride_px = 4

    def __init__(self, config: LeanConfig) -> None:
        super().__init__()
        self.config = config
        self._normalizations = 0
        self.scale = FrameContrast() if config.contrast_norm else FrameScale()
        width = config.width
        if config.stem == "patch":
            stem: list[nn.Module] = [
                nn.Conv2d(3, width, 8, stride=4, bias=False),
                self._normalization(width),
                Activation(),
            ]
        else:
            stem = [
                nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False),
                self._normalization(width // 2),
                Activation(),
                nn.Conv2d(width // 2, width, 3, stride=2, padding=1, bias=False),
                self._normalization(width),
                Activation(),
            ]
        self.stem = nn.Sequential(*stem)
        body = self._blocks(config.blocks // 2, width)
        if config.coarse_blocks:
            inner = config.coarse_width
            norm = self._normalization(inner)
            blocks = self._blocks(config.coarse_blocks, inner)
            body.append(CoarseStage(width, inner, norm, nn.Sequential(*blocks)))
        body += self._blocks(config.blocks - config.blocks // 2, width)
        if config.head_norm:
            body.append(self._normalization(width, always=True))
        self.body = nn.Sequential(*body)
        self.detail = Detail(width, config.detail) if config.detail else nn.Identity()
        seen = width + config.detail
        self.head: nn.Module
        if config.head == "lapped":
            self.head = LappedUpsample(seen, 3, 4)
        else:
            self.head = nn.Sequential(nn.Conv2d(seen, 48, 3, padding=1), nn.PixelShuffle(4))

    def _blocks(self, number: int, width: int) -> list[nn.Module]:
        # Without statistics to hold it, a sum of blocks would grow with their number: hence 0.2.
        return [
            ResidualBlock(width, self._normalization(width), self._normalization(width, scale=0.2))
            for _ in range(number)
        ]

    def _normalization(
        self, channels: int, scale: float = 1.0, *, always: bool = False
    ) -> nn.Module:
        """The next one by number; `always` an instance one, with a scale and shift per style."""
        number = self._normalizations
        self._normalizations += 1
        styled_at = self.config.styled_at
        is_styled = always or styled_at is None or number in styled_at
        single = self.config.styles == 1 or not is_styled
        norm: nn.Module
        if always or self.config.norm == "instance" or number in self.config.instance_at:
            norm, scale = nn.InstanceNorm2d(channels, affine=single), 1.0
        elif self.config.norm == "batch":
            norm, scale = nn.BatchNorm2d(channels, affine=single), 1.0
        else:
            norm = FixedNorm(channels, affine=single)
        if not single:
            norm = StyleNorm(norm, channels, self.config.styles)
        nn.init.constant_(norm.get_parameter("weight"), scale)
        return norm

    def normalizations(self) -> Iterator[tuple[str, nn.Module]]:
        """Name and module of every normalization of one style; of several, of those with styles."""
        kinds = (nn.InstanceNorm2d, nn.BatchNorm2d) if self.config.styles == 1 else (StyleNorm,)
        for name, module in self.named_modules():
            if isinstance(module, kinds):
                yield name, module

    def single_style(self, number: int) -> "LeanNet":
        """The network of style `number` alone, with its scales and shifts in place."""
        return self.blended(F.one_hot(torch.tensor(number), self.config.styles).float())

    def blended(self, style: Tensor) -> "LeanNet":
        """The network of one style that paints like this one with the weights `style` [S]."""
        single = LeanNet(replace(self.config, styles=1, styled_at=None))
        state = self.state_dict()
        for name, _ in self.normalizations():
            for kind in ("weight", "bias"):
                state[f"{name}.{kind}"] = (
                    style.to(state[f"{name}.{kind}"]) @ state[f"{name}.{kind}"]
                )
            for statistic in ("running_mean", "running_var", "num_batches_tracked"):
                if f"{name}.norm.{statistic}" in state:
                    state[f"{name}.{statistic}"] = state.pop(f"{name}.norm.{statistic}")
        single.load_state_dict(state)
        return single.train(self.training)

    def with_blends(self, styles: Tensor) -> "LeanNet":
        """A network of several styles, each of which is one of the blends `styles` [N, S]."""
        many = LeanNet(replace(self.config, styles=len(styles)))
        state = self.state_dict()
        for name, _ in self.normalizations():
            for kind in ("weight", "bias"):
                table = state[f"{name}.{kind}"]
                state[f"{name}.{kind}"] = styles.to(table) @ table
        many.load_state_dict(state)
        return many.train(self.training)

    def with_styles(self, styles: int, styled_at: tuple[int, ...] | None = None) -> "LeanNet":
        """A network of several styles, each of which paints like this one of a single style.

        Args:
            styles: how many, two at least.
            styled_at: see `LeanConfig`.

        Raises:
            ValueError: this one knows several already.
        """
        if self.config.styles != 1:
            raise ValueError(f"the network knows {self.config.styles} styles already")
        many = LeanNet(replace(self.config, styles=styles, styled_at=styled_at))
        state = self.state_dict()
        for name, _ in many.normalizations():
            for kind in ("weight", "bias"):
                state[f"{name}.{kind}"] = state[f"{name}.{kind}"].expand(styles, -1).clone()
            for statistic in ("running_mean", "running_var", "num_batches_tracked"):
                if f"{name}.{statistic}" in state:
                    state[f"{name}.norm.{statistic}"] = state.pop(f"{name}.{statistic}")
        many.load_state_dict(state)
        return many.train(self.training)

    @torch.no_grad()
    def with_head_norm(self, photos: Tensor) -> "LeanNet":
        """The network with a normalization in front of the head, which changes little at first.

        Args:
            photos: [N, 3, H, W], 0..255. What it takes from them, on average, it gives back.
        """
        if self.config.head_norm or self.config.styles != 1:
            raise ValueError("it is for a network of one style that has none yet")
        found = LeanNet(replace(self.config, head_norm=True))
        features = self.body(self.stem(self._padded(self.scale(photos))))
        deviation, mean = torch.std_mean(features, dim=(2, 3), correction=0)
        state = found.state_dict()
        state.update(self.state_dict())
        last = f"body.{len(found.body) - 1}"
        state.update({f"{last}.weight": deviation.mean(dim=0), f"{last}.bias": mean.mean(dim=0)})
        found.load_state_dict(state)
        return found.to(photos.device).train(self.training)

    @torch.no_grad()
    def grown(self, config: LeanConfig) -> "LeanNet":
        """The network `config`, with further coarse blocks or detail; they change nothing at first.

        Raises:
            ValueError: it is another network in more than these and their normalizations.
        """
        size = replace(self.config, coarse_blocks=config.coarse_blocks, detail=config.detail)
        begins_coarse = config.coarse_blocks > 0 and self.config.coarse_blocks == 0
        if replace(size, instance_at=()) != replace(config, instance_at=()) or begins_coarse:
            raise ValueError("only coarse_blocks, detail and what follows from them may differ")
        found = LeanNet(config)
        own = self.state_dict()
        further = (f"body.{config.blocks // 2}.blocks.", "detail.")
        state = found.state_dict()
        missing = [key for key in state if key not in own]
        if own.keys() - state.keys() or not all(key.startswith(further) for key in missing):
            raise ValueError("a normalization that was there has to stay of its kind: instance_at")
        for key in missing:
            if ".norm2." in key and key.endswith(("weight", "bias")):  # a block's last word
                state[key].zero_()
        for key, known in own.items():
            if key.startswith("head."):  # of what is new in the detail it makes nothing at first
                state[key].zero_()
            state[key][tuple(slice(side) for side in known.shape)] = known
        found.load_state_dict(state)
        return found.to(next(self.parameters()).device).train(self.training)

    def forward(self, frames: Tensor, style: Tensor | None = None) -> Tensor:
        """Stylize frames.

        Args:
            frames: [N, 3, H, W] RGB, 0..255.
            style: [N, S] or [1, S] weights over the styles; the first style if None.

        Returns:
            [N, 3, H', W'], unclamped; H and W rounded up to a multiple of the stride.
        """
        for _, norm in self.normalizations():
            if isinstance(norm, StyleNorm):
                norm.style = style
        border = self.config.border_px
        y: Tensor = self.body(self.stem(self._padded(self.scale(frames))))
        y = self.head(self.detail(y))
        stylized = y[:, :, border : y.shape[2] - border, border : y.shape[3] - border]
        # The head works around mid-grey, so that its first pictures are neither black nor white.
        return stylized * 64.0 + 127.5

    def _padded(self, x: Tensor) -> Tensor:
        """`x` with its border, and with what the far sides need to cover every size.

        The convolutions with stride then round to the right size by themselves, and the graph
        needs no arithmetic on the size.
        """
        config = self.config
        near = min(config.border_px, _MAX_REFLECTION_PX)
        if near:
            x = F.pad(x, (near, near, near, near), mode="reflect")
        rest = config.border_px - near
        if config.stem == "double":
            return F.pad(x, (rest, rest, rest, rest), mode="reflect")
        # An 8x8 convolution of stride 4 reaches 2 pixels over its cell, and it rounds down. It pads
        # nothing itself, so that the scaling of the frame can be folded into its weights.
        rest += 2
        return F.pad(x, (rest, rest + 3, rest, rest + 3), mode="reflect")
