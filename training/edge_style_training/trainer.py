"""Training a network for a painting by perceptual losses (Johnson et al. 2016)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.errors import UsageError
from edge_style_training.base import start
from edge_style_training.checkpoint import Checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.losses import Losses, PerceptualLoss
from edge_style_training.networks import build_network
from edge_style_training.resuming import fingerprint
from edge_style_training.schedule import SEED_STRIDE, style_share_at, styles_in_turn
from edge_style_training.steadiness import MAX_SHIFT_PX, steadiness_losses, two_views
from edge_style_training.training_loop import Training
from edge_style_training.validation import Validation, read_crops
from edge_style_training.vgg import LossNetwork, in_bfloat16

_BALANCE_PHOTOS = 8


class Trainer(Training):
    """Trains one network for one objective, on one device or several."""

    resume_format = "edge-style-training-3"

    def __init__(
        self,
        config: TrainingConfig,
        loss_network: LossNetwork,
        paintings: Sequence[Tensor],
        photos: Sequence[Path],
        output: Path,
        description: Mapping[str, Any] | None = None,
        *,
        workers: int = 2,
    ) -> None:
        """Set everything up; nothing is computed or written yet.

        Args:
            config: the settings.
            loss_network: VGG with ImageNet weights and the objective's layers, in float32.
            paintings: each [3, H, W] RGB 0..255, at the size that decides the strokes.
            photos: to train on; the last `config.validation_photos` of a fixed shuffle (at most a
                fifth) are held out.
            output: where the finished checkpoint goes.
            description: `Checkpoint`'s name, painting, artist, year, licence, source, styles.
            workers: loader processes.
        """
        if config.architecture == "any":
            raise UsageError(
                "train makes networks of one painting, or of several with --many; one for any "
                "picture is made by train-any"
            )
        torch.manual_seed(config.seed)
        self.two_views = config.consistency_weight > 0 or config.grid_weight > 0
        super().__init__(
            config,
            build_network(config.architecture, config.network),
            photos,
            output,
            workers=workers,
            margin_px=MAX_SHIFT_PX if self.two_views else 0,
        )
        self.description = dict(description or {})
        self.material["paintings"] = fingerprint(each.numpy().tobytes() for each in paintings)
        paintings = [painting.to(self.device) for painting in paintings]
        self.styles = int(config.network.get("styles", 1))
        # Validation is never in bfloat16, so that figures of all trainings can be compared.
        yardstick = PerceptualLoss(
            loss_network.to(self.device), paintings, config.objective, separate=self.styles > 1
        )
        if self.styles > 1:
            sample = self.held_out[:_BALANCE_PHOTOS]
            yardstick.balance_styles(read_crops(sample, config.crop_px).to(self.device))
        self.criterion = self._training_criterion(loss_network, yardstick)
        self.validation = Validation(yardstick, self.held_out, *self.dataset.typical_sides)

    def _training_criterion(
        self, network: LossNetwork, yardstick: PerceptualLoss
    ) -> PerceptualLoss:
        if self.precision == "fp32":
            return yardstick
        return yardstick.on(in_bfloat16(network))

    def start_from(self, checkpoint: Checkpoint) -> str:
        """Begin with the weights of another training; see `base.start`."""
        return start(self.unwrapped, checkpoint, self.config, self.validation)

    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """Content, style, tv, consistency and grid, unweighted, and the total of a step."""
        config = self.config
        styles = self._styles_of_step(len(photos))
        consistency = grid = photos.new_zeros(())
        if self.two_views:
            seed = config.seed * SEED_STRIDE + self.step
            photos, moved, shift = two_views(photos, config.consistency_noise_levels, seed)
            with self.autocast():
                both = self._stylize(torch.cat([photos, moved]), styles.repeat(2))
            stylized, stylized_moved = both.float().chunk(2)
            consistency, grid = steadiness_losses(stylized, stylized_moved, shift)
        else:
            with self.autocast():
                stylized = self._stylize(photos, styles)
            stylized = stylized.float()
        targets = self.criterion.content_targets(photos)
        stylized = stylized[..., : photos.shape[2], : photos.shape[3]]
        losses: Losses = self.criterion(stylized, targets, styles)
        total = losses.total + config.consistency_weight * consistency + config.grid_weight * grid
        held_back = 1 - style_share_at(config, self.step)
        if held_back > 0:
            total = total - held_back * config.style_weight * losses.style
        return {
            "content": losses.content,
            "style": losses.style,
            "tv": losses.tv,
            "consistency": consistency,
            "grid": grid,
            "total": total,
        }

    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Losses on the photos held out, and what was made of them."""
        return self.validation.run(self.unwrapped)

    def describe(self) -> dict[str, Any]:
        """The credits that were given; of several styles with their style weights."""
        return {**self.description, "styles": self._styles_described()}

    def _styles_of_step(self, photos: int) -> Tensor:
        """The styles of this process's photos, int64 [photos]."""
        styles = styles_in_turn(self.first_photo, photos, self.styles, self.config.seed)
        return styles.to(self.accelerator.device)

    def _stylize(self, photos: Tensor, styles: Tensor) -> Tensor:
        """`photos` [N, 3, H, W] in the styles of the same numbers, int64 [N]."""
        if self.styles == 1:
            stylized: Tensor = self.network(photos)
        else:
            stylized = self.network(photos, F.one_hot(styles, self.styles).to(photos))
        return stylized

    def _styles_described(self) -> list[dict[str, Any]]:
        balance = self.validation.yardstick.get_buffer("balance").tolist()
        return [
            {**style, "style_weight": round(self.config.style_weight * share, 3)}
            for style, share in zip(self.description.get("styles", ()), balance, strict=False)
        ]
