"""Training of the network for any style: every photo of every step gets a style of its own.

Ghiasi et al. 2017, with the objective of `losses`. As in `trainer`, what a step sees depends on the
settings and its number alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.images import read_image
from edge_style_training.any_data import StyleDataset
from edge_style_training.config import TrainingConfig
from edge_style_training.data import resize_short_side, to_tensor
from edge_style_training.losses import Objective, PerceptualLoss, gram_matrix
from edge_style_training.networks import build_network
from edge_style_training.networks.any_style import ENCODER_LAYERS, STYLE_PX, AnyStyleNet
from edge_style_training.networks.lean import LeanNet
from edge_style_training.training_loop import Training
from edge_style_training.validation import read_crops
from edge_style_training.vgg import LossNetwork, in_bfloat16

_USUAL_STYLES = 256
# Styles that a photo nearly has already are not weighed more than this allows.
_SMALLEST_SHARE = 0.2
# Styles in which `learn_usual` looks have numbers that no training reaches.
_BEFORE_ALL = 1 << 40


def needed_layers(objective: Objective) -> tuple[str, ...]:
    """Layers of VGG that a training looks at: the losses' and the encoder's."""
    return (*objective.layers, *ENCODER_LAYERS)


@dataclass(frozen=True)
class StyleTargets:
    """What the losses and the encoder want of styles.

    Attributes:
        activations: of VGG at `ENCODER_LAYERS`.
        grams: layer -> Gram matrices [N, C, C].
    """

    activations: Mapping[str, Tensor]
    grams: Mapping[str, Tensor]


class AnyTrainer(Training):
    """Trains the encoder's head and the transformer."""

    resume_format = "edge-style-any-2"
    # The style loss varies a thousandfold from step to step.
    watched = "content"
    state_names = (*Training.state_names, "usual_cost")
    network: AnyStyleNet

    def __init__(
        self,
        config: TrainingConfig,
        loss_network: LossNetwork,
        styles: StyleDataset,
        aside: Sequence[Path],
        photos: Sequence[Path],
        output: Path,
        *,
        workers: int = 2,
    ) -> None:
        """Set everything up; nothing is written yet.

        Args:
            config: the settings, of architecture `any`.
            loss_network: VGG with ImageNet weights and `needed_layers`.
            styles: to learn from.
            aside: pictures for validation, none of which is in `styles`.
            photos: to learn on; some are held out.
            output: where the finished checkpoint goes.
            workers: loader processes.
        """
        torch.manual_seed(config.seed)
        network = build_network(config.architecture, config.network)
        if not isinstance(network, AnyStyleNet):
            raise TypeError(f"expected architecture any, got {config.architecture}")
        own = network.encoder.vgg
        own.load_state_dict({key: loss_network.state_dict()[key] for key in own.state_dict()})
        super().__init__(config, network, photos, output, workers=workers)
        self.vgg = loss_network.to(self.device)
        self.half = loss_network if self.precision == "fp32" else in_bfloat16(loss_network)
        self.styles = styles
        self.aside = aside
        # What a style costs a photo that is left as it is, as a rule; learned with what is usual.
        self.usual_cost = 1.0

    def begin(self, base: LeanNet | None, styles: int = _USUAL_STYLES) -> None:
        """Learn what is usual in so many styles, and take over what fits of a network of one."""
        first = (self.styles[_BEFORE_ALL + number] for number in range(styles))
        photos = read_crops(self.held_out, self.config.crop_px).to(self.device)
        photo_grams = {
            layer: gram_matrix(found).mean(dim=0, keepdim=True)
            for layer, found in self._look(photos).items()
            if layer in self.config.style_layers
        }
        found, costs = [], []
        for style in first:
            targets = self._targets(style.unsqueeze(0).to(self.device).float())
            found.append(self.network.encoder.statistics(targets.activations).detach())
            costs.append(_style_costs(photo_grams, targets.grams))
        self.network.encoder.learn_usual(torch.cat(found))
        self.usual_cost = float(torch.cat(costs).median())
        if base is not None:
            self.network.begin_with(base)

    def _look(self, pictures: Tensor) -> dict[str, Tensor]:
        """Activations of pictures [N, 3, H, W], 0..255, without gradients."""
        with torch.no_grad():
            found: dict[str, Tensor] = self.half(pictures)
        return found

    def _targets(self, styles: Tensor) -> StyleTargets:
        activations = self._look(styles.contiguous(memory_format=torch.channels_last))
        grams = {layer: gram_matrix(activations[layer]) for layer in self.config.style_layers}
        return StyleTargets({layer: activations[layer] for layer in ENCODER_LAYERS}, grams)

    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """Content, style and total; the photos get the styles whose turn it is."""
        config, objective = self.config, self.config.objective
        first = self.step * config.batch_size
        styles = torch.stack([self.styles[first + n] for n in range(len(photos))]).to(self.device)
        wanted = self._targets(styles.float())
        seen = self._look(photos)
        untouched = {layer: gram_matrix(seen[layer]) for layer in config.style_layers}
        code = self.network.encoder.code_of(wanted.activations)
        with self.autocast():
            stylized = self.network(photos, code)
        stylized = stylized.float()[..., : photos.shape[2], : photos.shape[3]]
        activations = self.half(stylized)
        content = stylized.new_zeros(())
        for layer, weight in objective.content_layers.items():
            content = content + weight * F.mse_loss(activations[layer].float(), seen[layer].float())
        grams = {layer: gram_matrix(activations[layer]) for layer in config.style_layers}
        costs = _style_costs(grams, wanted.grams)
        share = _style_costs(untouched, wanted.grams) / self.usual_cost
        style = self.usual_cost * _style_loss(costs / self.usual_cost, share).mean()
        come = min(1.0, (self.step + 1) / max(1, config.style_warmup_steps))
        total = config.content_weight * content + come * config.style_weight * style
        return {"content": content, "style": costs.mean(), "total": total}

    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Mean losses of held-out photos in styles that were kept aside."""
        sums = dict.fromkeys(("content", "style", "tv", "total"), 0.0)
        pictures = []
        pairs = max(len(self.held_out), len(self.aside))
        for number in range(pairs):
            photo = self.held_out[number % len(self.held_out)]
            style = read_style(self.aside[number % len(self.aside)]).to(self.device)
            frame = read_crops([photo], self.config.crop_px).to(self.device)
            yardstick = PerceptualLoss(self.vgg, [style], self.config.objective)
            with torch.no_grad():
                stylized = self.network(frame, self.network.encoder(style.unsqueeze(0)))
                stylized = stylized[..., : frame.shape[2], : frame.shape[3]].clamp(0, 255)
                losses = yardstick(stylized, yardstick.content_targets(frame))
            for name in sums:
                sums[name] += float(getattr(losses, name)) / pairs
            pictures.append(stylized.cpu())
        return sums, torch.cat(pictures)


def read_style(path: Path) -> Tensor:
    """The picture at `path` as the encoder sees it whole, [3, H, W], RGB, 0..255.

    Raises:
        ImageError: it cannot be read.
    """
    return to_tensor(resize_short_side(read_image(path), STYLE_PX))


def _style_costs(grams: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Tensor:
    """The style loss of each picture [N]."""
    costs = [(grams[layer] - wanted[layer]).square().mean(dim=(1, 2)) for layer in wanted]
    return torch.stack(costs).sum(dim=0)


def _style_loss(costs: Tensor, untouched: Tensor) -> Tensor:
    """What to minimize for each picture [N], so that all styles get their share of attention.

    Style losses of two styles differ by a factor of thousands, and one that the network misses by
    far would undo what it has learned of others. So they are taken relative to what the photo as it
    is would cost, and from that cost on they count by their root.

    Args:
        costs: style losses of the stylized photos, in units of what is usual.
        untouched: of the photos as they are.
    """
    scale = untouched + _SMALLEST_SHARE
    return 2 * ((1 + costs / scale).sqrt() - 1)
