"""Content, style and total-variation losses (Gatys et al. 2016; Johnson et al. 2016).

The default objective is the project's yardstick, so that figures can be compared everywhere:
mean squared error at relu3_3, plus 5 times the sum over relu1_2, relu2_2, relu3_3, relu4_3 of the
mean squared error of Gram matrices divided by C*H*W.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from edge_style_training.vgg import LossNetwork


def gram_matrix(features: Tensor) -> Tensor:
    """Gram matrix of `features` [N, C, H, W] as [N, C, C] float32, divided by C*H*W.

    Johnson et al. 2016, section 3.2. Computed in float32 also inside autocast: the sums run over
    tens of thousands of positions, more than half precision can add up.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        products: Tensor = _Products.apply(flat)  # type: ignore[no-untyped-call] # torch's own
        return products / (flat.shape[1] * flat.shape[2])


class _Products(torch.autograd.Function):
    """[N, C, P] times its transpose; its gradient by one product, where autograd takes two."""

    @staticmethod
    def forward(ctx: FunctionCtx, *given: Tensor) -> Tensor:
        (flat,) = given
        ctx.save_for_backward(flat)
        return torch.bmm(flat, flat.transpose(1, 2))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        (flat,) = ctx.saved_tensors  # type: ignore[attr-defined] # stubs lack it
        (gradient,) = gradients
        return torch.bmm(gradient + gradient.transpose(1, 2), flat)


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels of `images` [N, 3, H, W], in their unit."""
    down = (images[:, :, 1:] - images[:, :, :-1]).abs().mean()
    right = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().mean()
    return down + right


@dataclass(frozen=True)
class Objective:
    """Layers and weights of the perceptual loss.

    Attributes:
        content_layers, style_layers: VGG layer -> weight within its loss.
        content_weight, style_weight, tv_weight: of the three losses in the total.
    """

    content_layers: Mapping[str, float] = field(default_factory=lambda: {"relu3_3": 1.0})
    style_layers: Mapping[str, float] = field(
        default_factory=lambda: {"relu1_2": 1.0, "relu2_2": 1.0, "relu3_3": 1.0, "relu4_3": 1.0}
    )
    content_weight: float = 1.0
    style_weight: float = 5.0
    tv_weight: float = 0.0

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple({**self.content_layers, **self.style_layers})


@dataclass(frozen=True)
class Losses:
    """Losses of one batch as scalar tensors; content, style and tv are unweighted."""

    content: Tensor
    style: Tensor
    tv: Tensor
    total: Tensor


class PerceptualLoss(nn.Module):
    """The objective: knows paintings' Gram matrices, compares pictures with photos and with them.

    It has one style, the mean of the paintings, or with `separate` as many as there are paintings.
    """

    def __init__(
        self,
        network: LossNetwork,
        paintings: Sequence[Tensor],
        objective: Objective,
        weights: Sequence[float] | None = None,
        *,
        separate: bool = False,
    ) -> None:
        """Compute the paintings' Gram matrices once.

        Args:
            network: gives at least `objective.layers`.
            paintings: each [3, H, W] RGB, 0..255; sizes may differ.
            objective: layers and weights.
            weights: of the paintings in the mean of their Gram matrices; equal if None.
            separate: every painting is a style of its own.
        """
        super().__init__()
        self.network = network
        self.objective = objective
        grams: dict[str, list[Tensor]] = {layer: [] for layer in objective.style_layers}
        with torch.no_grad():
            for painting in paintings:
                activations = network(painting.unsqueeze(0))
                for layer in objective.style_layers:
                    grams[layer].append(gram_matrix(activations[layer]))
        device = next(network.parameters()).device
        shares = torch.tensor(weights or [1.0] * len(paintings), device=device)
        shares = (shares / shares.sum()).view(-1, 1, 1)
        for layer, of_paintings in grams.items():
            if of_paintings:
                gram = torch.cat(of_paintings)
                gram = gram if separate else (shares * gram).sum(dim=0, keepdim=True)
                self.register_buffer(f"gram_{layer}", gram, persistent=False)
        balance = torch.ones(len(paintings) if separate else 1, device=shares.device)
        self.register_buffer("balance", balance, persistent=False)

    @property
    def styles(self) -> int:
        """How many styles there are."""
        return len(self.get_buffer("balance"))

    def balance_styles(self, photos: Tensor) -> None:
        """Weigh the styles so that each costs `photos` [N, 3, H, W], 0..255, what the first does.

        Gram matrices of some paintings are larger than those of others, and such a style would
        have more than its share of a network's attention.
        """
        with torch.no_grad():
            activations = self.network(photos, self.objective.style_layers)
            costs = torch.stack(
                [
                    self._style(activations, torch.full((len(photos),), number))
                    for number in range(self.styles)
                ]
            )
        self.get_buffer("balance").copy_(costs[0] / costs)

    def on(self, network: LossNetwork) -> "PerceptualLoss":
        """The same objective measured with another `network`, against these Gram matrices.

        For a half-precision copy: the painting's Gram matrices stay the exact ones.
        """
        other = PerceptualLoss(network, [], self.objective)
        for layer in self.objective.style_layers:
            other.register_buffer(
                f"gram_{layer}", self.get_buffer(f"gram_{layer}"), persistent=False
            )
        other.register_buffer("balance", self.get_buffer("balance"), persistent=False)
        return other

    def content_targets(self, photos: Tensor) -> dict[str, Tensor]:
        """Activations of `photos` [N, 3, H, W] that the content loss compares with; no gradient."""
        with torch.no_grad():
            targets: dict[str, Tensor] = self.network(photos, self.objective.content_layers)
        return targets

    def forward(
        self, stylized: Tensor, targets: Mapping[str, Tensor], styles: Tensor | None = None
    ) -> Losses:
        """Losses of `stylized` [N, 3, H, W], 0..255, against `content_targets` and the paintings.

        Args:
            stylized: what a network made of the photos.
            targets: of the photos, from `content_targets`.
            styles: int64 [N], the style that each picture should have; the first if None.
        """
        activations = self.network(stylized)
        content = stylized.new_zeros((), dtype=torch.float32)
        for layer, weight in self.objective.content_layers.items():
            content = content + weight * F.mse_loss(
                activations[layer].float(), targets[layer].float()
            )
        if styles is None:
            styles = torch.zeros(len(stylized), dtype=torch.int64)
        style = self._style(activations, styles)
        tv = total_variation(stylized.float())
        o = self.objective
        total = o.content_weight * content + o.style_weight * style + o.tv_weight * tv
        return Losses(content=content, style=style, tv=tv, total=total)

    def _style(self, activations: Mapping[str, Tensor], styles: Tensor) -> Tensor:
        """The style loss, mean over the pictures; `styles` [N] as in `forward`."""
        balance = self.get_buffer("balance")
        styles = styles.to(balance.device)
        loss = balance.new_zeros(())
        for layer, weight in self.objective.style_layers.items():
            gram = gram_matrix(activations[layer])
            squared = (gram - self.get_buffer(f"gram_{layer}")[styles]).square()
            loss = loss + weight * (balance[styles] * squared.mean(dim=(1, 2))).mean()
        return loss
