"""Training of the network for any style: every photo of every step gets styles of its own.

Ghiasi et al. 2017, with the objective of `losses`. As in `trainer`, what a step sees depends on the
settings and its number alone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.images import read_image, resize_short_side
from edge_style_training.any_data import StyleDataset
from edge_style_training.checkpoint import Checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import to_tensor
from edge_style_training.losses import Objective, PerceptualLoss, gram_matrix
from edge_style_training.networks import build_network
from edge_style_training.networks.any_style import AnyStyleNet
from edge_style_training.networks.feedback import STROKES_PX
from edge_style_training.networks.lean import LeanNet
from edge_style_training.networks.style_encoder import ENCODER_LAYERS, STYLE_PX
from edge_style_training.resuming import fingerprint
from edge_style_training.schedule import SEED_STRIDE, style_share_at, styles_in_turn
from edge_style_training.steadiness import MAX_SHIFT_PX, steadiness_losses, two_views
from edge_style_training.training_loop import Progress, Training
from edge_style_training.validation import read_crops
from edge_style_training.vgg import LossNetwork, in_bfloat16

_USUAL_STYLES = 512
# Styles that a photo nearly has already are not weighed more than this allows.
_SMALLEST_SHARE = 0.2
# As many as fill a GPU. A processor is no quicker with several, and rounds otherwise: a training
# that was interrupted, and learns styles in other company, would not go on exactly.
_LOOKED_AT_ONCE = 16


def needed_layers(objective: Objective) -> tuple[str, ...]:
    """Layers of VGG that a training looks at: the losses' and the encoder's."""
    return (*objective.layers, *ENCODER_LAYERS)


@dataclass(frozen=True)
class StyleTargets:
    """What the losses and the encoder want of styles.

    Attributes:
        statistics: what the encoder sees of them, [N, F].
        grams: layer -> Gram matrices [N, C, C].
    """

    statistics: Tensor
    grams: Mapping[str, Tensor]


class StyleBank:
    """Styles with what VGG sees in them, computed when their turn first comes, and kept.

    A style costs VGG two passes and 0.35 MB.
    """

    def __init__(
        self, styles: StyleDataset, network: AnyStyleNet, vgg: LossNetwork, layers: Sequence[str]
    ) -> None:
        """Nothing is computed yet.

        Args:
            styles: crops, in which strokes are as large as they should be painted.
            network: whose encoder they are for; it sees them smaller.
            vgg: with `needed_layers`.
            layers: whose Gram matrices are wanted, if any.
        """
        self.styles = styles
        self.layers = layers
        self._network = network
        self._vgg = vgg
        self._known: dict[int, StyleTargets] = {}
        self._coming: Iterator[tuple[int, Tensor]] = iter(())

    def expect(self, numbers: Iterable[int], workers: int) -> None:
        """Have processes make the styles of these numbers, in the order in which they are wanted.

        Args:
            numbers: those known already are left out.
            workers: processes; without any, a style is made when its turn comes.
        """
        order = [number for number in dict.fromkeys(numbers) if number not in self._known]
        self._coming = zip(order, self.styles.made(order, workers), strict=True)

    def __call__(self, numbers: Sequence[int]) -> StyleTargets:
        """Of the styles of these numbers."""
        self._learn([number for number in dict.fromkeys(numbers) if number not in self._known])
        found = [self._known[number] for number in numbers]
        grams = {layer: torch.cat([one.grams[layer] for one in found]) for layer in self.layers}
        return StyleTargets(torch.cat([one.statistics for one in found]), grams)

    def _learn(self, numbers: Sequence[int]) -> None:
        """Look at styles that are not known yet, several at once."""
        at_once = _LOOKED_AT_ONCE if next(self._network.parameters()).is_cuda else 1
        for first in range(0, len(numbers), at_once):
            some = numbers[first : first + at_once]
            targets = self._targets(torch.stack([self._picture(number) for number in some]))
            for place, number in enumerate(some):
                here = slice(place, place + 1)
                grams = {layer: gram[here] for layer, gram in targets.grams.items()}
                self._known[number] = StyleTargets(targets.statistics[here], grams)

    def _picture(self, number: int) -> Tensor:
        """Of a style, uint8 [3, S, S]; the one that comes next, if it is expected."""
        coming, style = next(self._coming, (number, None))
        return style if style is not None and coming == number else self.styles[number]

    def _targets(self, styles: Tensor) -> StyleTargets:
        """Of styles, uint8 [N, 3, S, S]."""
        device = next(self._network.parameters()).device
        styles = styles.to(device).float()
        seen_px = max(1, round(styles.shape[2] * STYLE_PX / STROKES_PX))
        smaller = F.interpolate(styles, (seen_px, seen_px), mode="area")
        with torch.no_grad():
            activations = self._vgg(smaller, ENCODER_LAYERS)
            statistics = self._network.encoder.statistics(smaller, activations)
            activations = self._vgg(styles, self.layers) if self.layers else {}
        grams = {layer: gram_matrix(activations[layer]) for layer in self.layers}
        return StyleTargets(statistics, grams)


class AnyTrainer(Training):
    """Trains the encoder's head and the transformer."""

    resume_format = "edge-style-any-4"
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
        self.two_views = config.consistency_weight > 0 or config.grid_weight > 0
        super().__init__(
            config,
            network,
            photos,
            output,
            workers=workers,
            margin_px=MAX_SHIFT_PX if self.two_views else 0,
        )
        self.vgg = loss_network.to(self.device)
        self.half = loss_network if self.precision == "fp32" else in_bfloat16(loss_network)
        self.styles = StyleBank(styles, network, self.half, config.style_layers)
        self.aside = aside
        self.material["styles"] = fingerprint(picture.tobytes() for picture in styles.pool)
        # What a style costs a photo that is left as it is, as a rule; learned with what is usual.
        self.usual_cost = 1.0

    def begin(self, base: LeanNet | AnyStyleNet | None, styles: int = _USUAL_STYLES) -> None:
        """Learn what is usual in so many styles, and take over what fits of a network of one.

        With a network for any style, of the same settings, the training goes on where that one's
        ended: its codes keep their meaning, whatever is usual in the styles of this training.
        """
        # Before a style is seen: what is kept of it depends on the encoder's directions.
        if isinstance(base, AnyStyleNet):
            self.network.load_state_dict(base.state_dict())
        numbers = range(min(styles, self.config.style_bank))
        self.styles.expect(numbers, self.workers)
        first = self.styles(numbers)
        if not isinstance(base, AnyStyleNet):
            self.network.encoder.learn_usual(first.statistics)
        photos = read_crops(self.held_out, self.config.crop_px).to(self.device)
        seen = self._look(photos)
        grams = {
            layer: gram_matrix(seen[layer]).mean(dim=0, keepdim=True)
            for layer in self.config.style_layers
        }
        self.usual_cost = float(_style_costs(grams, first.grams).median())
        if isinstance(base, LeanNet):
            self.network.begin_with(base.to(self.device), photos)

    def run(self, report: Callable[[Progress], None]) -> Checkpoint:
        """See `Training.run`; meanwhile processes make the styles whose turn is yet to come."""
        config = self.config
        first = self.first_photo * config.styles_per_photo
        left = config.steps * config.batch_size * config.styles_per_photo - first
        # Two rounds, since the first may have begun: after these there is none that is new.
        soon = min(left, 2 * config.style_bank)
        turns = styles_in_turn(first, soon, config.style_bank, config.seed) if soon > 0 else ()
        self.styles.expect(map(int, turns), self.workers)
        return super().run(report)

    def _look(self, pictures: Tensor) -> dict[str, Tensor]:
        """What the objective needs of pictures [N, 3, H, W], 0..255, without gradients."""
        with torch.no_grad():
            found: dict[str, Tensor] = self.half(pictures, self.config.objective.layers)
        return found

    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """Content, style, consistency and grid, unweighted, and the total of a step.

        The photos get the styles whose turn it is.
        """
        config, objective = self.config, self.config.objective
        each = config.styles_per_photo
        first = self.step * len(photos) * each
        turns = styles_in_turn(first, len(photos) * each, config.style_bank, config.seed)
        wanted = self.styles(turns.tolist())
        views = [photos]
        if self.two_views:
            seed = config.seed * SEED_STRIDE + self.step
            photos, moved, shift = two_views(photos, config.consistency_noise_levels, seed)
            views = [photos, moved]
        code = self.network.encoder.code_of(wanted.statistics)
        with self.autocast():
            painted = self.network(
                torch.cat([view.repeat_interleave(each, dim=0) for view in views]),
                code.repeat(len(views), 1),
            )
        painted = painted.float()[..., : photos.shape[2], : photos.shape[3]]
        stylized, *rest = painted.chunk(len(views))
        consistency = grid = stylized.new_zeros(())
        if self.two_views:
            consistency, grid = steadiness_losses(stylized, rest[0], shift)
        seen = self._look(photos)
        activations = self.half(stylized, objective.layers)
        content = stylized.new_zeros(())
        for layer, weight in objective.content_layers.items():
            target = seen[layer].float().repeat_interleave(each, dim=0)
            content = content + weight * F.mse_loss(activations[layer].float(), target)
        grams = {layer: gram_matrix(activations[layer]) for layer in config.style_layers}
        untouched = {
            layer: gram_matrix(seen[layer]).repeat_interleave(each, dim=0)
            for layer in config.style_layers
        }
        costs = _style_costs(grams, wanted.grams)
        share = _style_costs(untouched, wanted.grams) / self.usual_cost
        style = self.usual_cost * _style_loss(costs / self.usual_cost, share).mean()
        come = style_share_at(config, self.step)
        total = config.content_weight * content + come * config.style_weight * style
        total = total + config.consistency_weight * consistency + config.grid_weight * grid
        return {
            "content": content,
            "style": costs.mean(),
            "consistency": consistency,
            "grid": grid,
            "total": total,
        }

    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Mean losses of held-out photos in styles that were kept aside, of crops of all sizes."""
        sums = dict.fromkeys(("content", "style", "tv", "total"), 0.0)
        pictures = []
        sides = self.dataset.typical_sides
        pairs = max(len(self.held_out), len(self.aside))
        for number in range(pairs):
            photo = self.held_out[number % len(self.held_out)]
            path = self.aside[number % len(self.aside)]
            style = read_style(path, STROKES_PX).to(self.device)
            yardstick = PerceptualLoss(self.vgg, [style], self.config.objective)
            encode = self.network.whole_encoder
            picture = read_style(path, encode.picture_px).unsqueeze(0)
            with torch.no_grad():
                code = encode(picture.to(self.device))
            for side in sides:
                frame = read_crops([photo], side).to(self.device)
                with torch.no_grad():
                    stylized = self.network(frame, code)[..., :side, :side].clamp(0, 255)
                    losses = yardstick(stylized, yardstick.content_targets(frame))
                for name in sums:
                    sums[name] += float(getattr(losses, name)) / (pairs * len(sides))
                if side == sides[0]:
                    pictures.append(stylized.cpu())
        return sums, torch.cat(pictures)


def read_style(path: Path, short_px: int) -> Tensor:
    """The picture at `path` with its short side at `short_px`, [3, H, W], RGB, 0..255.

    Raises:
        ImageError: it cannot be read.
    """
    return to_tensor(resize_short_side(read_image(path), short_px))


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
