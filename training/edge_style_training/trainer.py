"""The training loop of Johnson et al. 2016: a network for a painting, by perceptual losses.

What a step sees depends on the settings and its number alone (crops, noise, learning rate), so a
resumed training repeats an uninterrupted one.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from accelerate import Accelerator
from torch import Tensor, nn

from edge_style.errors import CheckpointError, TrainingDivergedError
from edge_style_training.base import start
from edge_style_training.checkpoint import (
    Checkpoint,
    save_atomically,
    save_checkpoint,
)
from edge_style_training.config import TrainingConfig
from edge_style_training.data import CropDataset, crop_loader
from edge_style_training.losses import Losses, PerceptualLoss
from edge_style_training.networks import build_network
from edge_style_training.resuming import best_of, read_state
from edge_style_training.schedule import SEED_STRIDE, learning_rate_at, styles_in_turn
from edge_style_training.steadiness import MAX_SHIFT_PX, difference, grid_loss, two_views
from edge_style_training.validation import Validation, hold_out, read_crops
from edge_style_training.vgg import LossNetwork, in_bfloat16

_RESUME_FORMAT = "edge-style-training-1"
REPORT_EVERY = 10
_BALANCE_PHOTOS = 8

# The total loss falls by an order of magnitude in the first hundred steps and then slowly. Far
# above its start it does not come back.
DIVERGED_FACTOR = 20.0


@dataclass(frozen=True)
class Progress:
    """A glance at a running training.

    Attributes:
        step, steps: done, and in all.
        losses: of the last step: content, style, tv, consistency, grid (unweighted), total.
        validation: losses on the validation photos, where this report follows a validation.
        learning_rate: of the last step.
        photos_per_second: since the last report.
        skipped_photos: broken ones met so far.
        pictures: stylized validation photos [N, 3, H, W], 0..255, with a validation.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    learning_rate: float
    photos_per_second: float
    skipped_photos: int = 0
    validation: Mapping[str, float] = field(default_factory=dict)
    pictures: Tensor | None = None


def resolve_precision(precision: str, device: torch.device) -> str:
    """`auto` -> bf16 where the device multiplies in it natively, else fp32."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        has_bf16 = torch.cpu.is_available() and torch.cpu._is_avx512_bf16_supported()
        return "bf16" if has_bf16 else "fp32"
    return "fp32"


class Trainer:
    """Trains one network for one objective; see `run`."""

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
        accelerator: Accelerator | None = None,
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
            accelerator: of the caller; one for this machine's devices if None.
        """
        self.config = config
        self.output = output
        self.description = dict(description or {})
        self.workers = workers
        self.accelerator = accelerator or Accelerator()
        device = self.accelerator.device
        self.precision = resolve_precision(config.precision, device)
        torch.manual_seed(config.seed)
        network = build_network(config.architecture, config.network)
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload] # stubs lack it
        optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        self.network: nn.Module
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        paintings = [painting.to(device) for painting in paintings]
        self.styles = int(config.network.get("styles", 1))
        held_out, rest = hold_out(photos, config.validation_photos)
        # Validation is always in float32, so that figures of all trainings can be compared.
        yardstick = PerceptualLoss(
            loss_network.to(device), paintings, config.objective, separate=self.styles > 1
        )
        if self.styles > 1:
            sample = held_out[:_BALANCE_PHOTOS]
            yardstick.balance_styles(read_crops(sample, config.crop_px).to(device))
        self.criterion = self._training_criterion(loss_network, yardstick)
        self.validation = Validation(yardstick, held_out, config.crop_px)
        self.two_views = config.consistency_weight > 0 or config.grid_weight > 0
        side_px = config.crop_px + (MAX_SHIFT_PX if self.two_views else 0)
        self.dataset = CropDataset(rest, side_px, config.seed)
        self.step = 0
        self.skipped_photos = 0
        self.best_total = math.inf
        self.best: Checkpoint | None = None
        self.start_total: float | None = None

    def _training_criterion(
        self, network: LossNetwork, yardstick: PerceptualLoss
    ) -> PerceptualLoss:
        if self.precision == "fp32":
            return yardstick
        return yardstick.on(in_bfloat16(network))

    @property
    def resume_path(self) -> Path:
        return self.output.with_suffix(".resume.pth")

    def run(self, report: Callable[[Progress], None]) -> Checkpoint:
        """Train from `self.step` to the end, saving on the way; the best checkpoint by validation.

        Args:
            report: called every ten steps and after every validation, on the main process.

        Raises:
            TrainingDivergedError: the loss became infinite, NaN, or hopelessly large.
            CheckpointError: a checkpoint cannot be written.
            ContentError: too many broken photos.
        """
        config = self.config
        loader = crop_loader(
            self.dataset,
            first_step=self.step,
            last_step=config.steps,
            batch_size=config.batch_size,
            workers=self.workers,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        last_time, last_step = time.perf_counter(), self.step
        for crops, skipped in loader:
            self.skipped_photos += int(skipped.sum())
            losses = self._train_step(crops.to(self.accelerator.device, non_blocking=True))
            self.step += 1
            validate = self.step % config.validate_every == 0 or self.step == config.steps
            save = self.step % config.checkpoint_every == 0
            if not (validate or save or self.step % REPORT_EVERY == 0):
                continue
            values = self._checked(losses)
            now = time.perf_counter()
            progress = Progress(
                step=self.step,
                steps=config.steps,
                losses=values,
                learning_rate=learning_rate_at(config, self.step - 1),
                photos_per_second=(self.step - last_step) * config.batch_size / (now - last_time),
                skipped_photos=self.skipped_photos,
            )
            if validate:
                progress = self._validated(progress)
            if (save or validate) and self.accelerator.is_main_process:
                self._save()
            if self.accelerator.is_main_process:
                report(progress)
            last_time, last_step = time.perf_counter(), self.step
        self.accelerator.wait_for_everyone()
        if self.best is None:
            raise CheckpointError("the training ended before its first validation")
        if self.accelerator.is_main_process:
            save_checkpoint(self.best, self.output)
            self.resume_path.unlink(missing_ok=True)
        return self.best

    def start_from(self, checkpoint: Checkpoint) -> str:
        """Begin with the weights of another training; see `base.start`."""
        return start(self._unwrapped(), checkpoint, self.config, self.validation)

    def resume(self) -> None:
        """Take up the training that `resume_path` holds.

        Raises:
            CheckpointError: nothing to resume, damaged, or of another architecture or settings.
        """
        state = read_state(self.resume_path, _RESUME_FORMAT, self.config.as_dict())
        self._unwrapped().load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.start_total = state["start_total"]
        self.best_total = state["best_total"]
        if state["best"] is not None:
            self.best = self._checkpoint(
                state["best"]["weights"], state["best"]["step"], state["best"]["scores"]
            )

    def _train_step(self, crops: Tensor) -> dict[str, Tensor]:
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(config, self.step)
        self.network.train()
        photos = crops.float().contiguous(memory_format=torch.channels_last)
        autocast = torch.autocast(
            photos.device.type,
            dtype=torch.bfloat16,
            enabled=self.precision == "bf16",
        )
        styles = self._styles_of_step(len(photos))
        consistency = grid = photos.new_zeros(())
        if self.two_views:
            seed = config.seed * SEED_STRIDE + self.step
            photos, moved, shift = two_views(photos, config.consistency_noise_levels, seed)
            with autocast:
                both = self._stylize(torch.cat([photos, moved]), styles.repeat(2))
            stylized, stylized_moved = both.float().chunk(2)
            apart = difference(stylized, stylized_moved, shift)
            consistency, grid = apart.square().mean(), grid_loss(apart)
        else:
            with autocast:
                stylized = self._stylize(photos, styles)
            stylized = stylized.float()
        targets = self.criterion.content_targets(photos)
        stylized = stylized[..., : photos.shape[2], : photos.shape[3]]
        losses: Losses = self.criterion(stylized, targets, styles)
        total = losses.total + config.consistency_weight * consistency + config.grid_weight * grid
        if self.step < config.style_warmup_steps:
            held_back = 1 - (self.step + 1) / config.style_warmup_steps
            total = total - held_back * config.style_weight * losses.style
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(total)
        self.optimizer.step()
        return {
            "content": losses.content.detach(),
            "style": losses.style.detach(),
            "tv": losses.tv.detach(),
            "consistency": consistency.detach(),
            "grid": grid.detach(),
            "total": total.detach(),
        }

    def _styles_of_step(self, photos: int) -> Tensor:
        """The styles of this process's photos, int64 [photos]."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        first = (self.step * world + rank) * photos
        styles = styles_in_turn(first, photos, self.styles, self.config.seed)
        return styles.to(self.accelerator.device)

    def _stylize(self, photos: Tensor, styles: Tensor) -> Tensor:
        """`photos` [N, 3, H, W] in the styles of the same numbers, int64 [N]."""
        if self.styles == 1:
            stylized: Tensor = self.network(photos)
        else:
            stylized = self.network(photos, F.one_hot(styles, self.styles).to(photos))
        return stylized

    def _checked(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        # Averaged over the processes, so that all judge alike and none waits for one that stopped.
        means = self.accelerator.reduce(torch.stack(list(losses.values())), reduction="mean")
        values = dict(zip(losses, means.tolist(), strict=True))
        total = values["total"]
        if self.start_total is None and math.isfinite(total):
            self.start_total = total
        limit = DIVERGED_FACTOR * (self.start_total or math.inf)
        if not math.isfinite(total) or total > limit:
            raise TrainingDivergedError(
                f"the loss was {total:g} at step {self.step}: lower --learning-rate "
                f"(it was {self.config.learning_rate:g}); the last checkpoint is untouched"
            )
        return values

    def _validated(self, progress: Progress) -> Progress:
        scores, pictures = self.validation.run(self._unwrapped())
        if scores["total"] < self.best_total:
            self.best_total = scores["total"]
            weights = {
                k: v.detach().cpu().clone() for k, v in self._unwrapped().state_dict().items()
            }
            self.best = self._checkpoint(weights, self.step, scores)
        return replace(progress, validation=scores, pictures=pictures)

    def _save(self) -> None:
        state: dict[str, Any] = {
            "format": _RESUME_FORMAT,
            "config": self.config.as_dict(),
            "step": self.step,
            "weights": dict(self._unwrapped().state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "start_total": self.start_total,
            "best_total": self.best_total,
            "best": best_of(self.best),
        }
        save_atomically(state, self.resume_path)

    def _checkpoint(
        self, weights: Mapping[str, Tensor], step: int, scores: Mapping[str, float]
    ) -> Checkpoint:
        return Checkpoint(
            architecture=self.config.architecture,
            network=self.config.network,
            weights=weights,
            step=step,
            training=self.config.as_dict(),
            scores=scores,
            **{**self.description, "styles": self._styles_described()},
        )

    def _styles_described(self) -> list[dict[str, Any]]:
        balance = self.validation.yardstick.get_buffer("balance").tolist()
        return [
            {**style, "style_weight": round(self.config.style_weight * share, 3)}
            for style, share in zip(self.description.get("styles", ()), balance, strict=False)
        ]

    def _unwrapped(self) -> nn.Module:
        network: nn.Module = self.accelerator.unwrap_model(self.network)
        return network
