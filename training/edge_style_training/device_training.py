"""A training on one device: what a network for any style and a distillation have in common.

As in `trainer`, what a step sees depends on the settings and its number alone, so a resumed
training repeats an uninterrupted one.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_style.errors import CheckpointError, TrainingDivergedError
from edge_style_training.checkpoint import Checkpoint, save_atomically, save_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import CropDataset, crop_loader
from edge_style_training.resuming import best_of, read_state
from edge_style_training.schedule import learning_rate_at
from edge_style_training.trainer import DIVERGED_FACTOR, REPORT_EVERY, Progress, resolve_precision
from edge_style_training.validation import hold_out


class DeviceTraining(ABC):
    """Trains a network on crops of photos; see `run`.

    Attributes:
        resume_format: of the state that it saves.
        watched: the loss that tells whether the training goes wrong.
        state_names: attributes that belong to that state, beside weights and optimizer.
    """

    resume_format: ClassVar[str]
    watched: ClassVar[str] = "total"
    state_names: ClassVar[tuple[str, ...]] = ("step", "best_total", "start_loss")

    def __init__(
        self,
        config: TrainingConfig,
        network: nn.Module,
        photos: Sequence[Path],
        output: Path,
        *,
        workers: int,
        device: torch.device | None,
    ) -> None:
        """Set up; nothing is written yet.

        Args:
            config: the settings.
            network: to train, as far as its weights want gradients.
            photos: to learn on; some are held out.
            output: where the finished checkpoint goes.
            workers: loader processes.
            device: the best there is if None.
        """
        self.config = config
        self.output = output
        self.workers = workers
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = resolve_precision(config.precision, self.device)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # stubs lack it
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate)
        self.held_out, rest = hold_out(photos, config.validation_photos)
        self.photos = CropDataset(rest, config.crop_px, config.seed)
        self.step = 0
        self.best_total = math.inf
        self.best: Checkpoint | None = None
        self.start_loss: float | None = None

    @abstractmethod
    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """Losses of `photos` [N, 3, S, S], 0..255: those to report, and the `total` to minimize."""

    @abstractmethod
    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Losses on the photos held out, in float32; and the stylized ones [N, 3, H, W], 0..255."""

    def describe(self) -> dict[str, Any]:
        """What the checkpoint says of its styles: fields of `Checkpoint`."""
        return {"name": self.output.stem}

    @property
    def resume_path(self) -> Path:
        return self.output.with_suffix(".resume.pth")

    def autocast(self) -> torch.autocast:
        """The precision in which the network computes."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
        )

    def run(self, report: Callable[[Progress], None]) -> Checkpoint:
        """Train from `self.step` to the end, saving on the way; the best checkpoint by validation.

        Args:
            report: called every ten steps and after every validation.

        Raises:
            TrainingDivergedError: the loss became infinite, NaN, or hopelessly large.
            CheckpointError: a checkpoint cannot be written.
            ContentError: too many broken photos.
        """
        config = self.config
        loader = crop_loader(
            self.photos,
            first_step=self.step,
            last_step=config.steps,
            batch_size=config.batch_size,
            workers=self.workers,
        )
        last_time, last_step, skipped_photos = time.perf_counter(), self.step, 0
        for crops, skipped in loader:
            skipped_photos += int(skipped.sum())
            losses = self._train_step(crops.to(self.device))
            self.step += 1
            validate = self.step % config.validate_every == 0 or self.step == config.steps
            save = self.step % config.checkpoint_every == 0
            if not (validate or save or self.step % REPORT_EVERY == 0):
                continue
            now = time.perf_counter()
            progress = Progress(
                step=self.step,
                steps=config.steps,
                losses=self._checked(losses),
                learning_rate=learning_rate_at(config, self.step - 1),
                photos_per_second=(self.step - last_step) * config.batch_size / (now - last_time),
                skipped_photos=skipped_photos,
            )
            if validate:
                progress = self._validated(progress)
            if save or validate:
                self._save()
            report(progress)
            last_time, last_step = time.perf_counter(), self.step
        if self.best is None:
            raise CheckpointError("the training ended before its first validation")
        save_checkpoint(self.best, self.output)
        self.resume_path.unlink(missing_ok=True)
        return self.best

    def resume(self) -> None:
        """Take up the training that `resume_path` holds.

        Raises:
            CheckpointError: nothing to resume, damaged, or of other settings.
        """
        state = read_state(self.resume_path, self.resume_format, self.config.as_dict())
        self.network.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in self.state_names:
            setattr(self, name, state[name])
        best = state["best"]
        self.best = best and self._checkpoint(best["weights"], best["step"], best["scores"])

    def _train_step(self, crops: Tensor) -> dict[str, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(self.config, self.step)
        self.network.train()
        losses = self.losses(crops.float().contiguous(memory_format=torch.channels_last))
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses["total"])
        self.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _checked(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        values = {name: float(value) for name, value in losses.items()}
        watched = values[self.watched]
        if self.start_loss is None and math.isfinite(values["total"]):
            self.start_loss = watched
        limit = DIVERGED_FACTOR * (self.start_loss or math.inf)
        if not (math.isfinite(values["total"]) and watched <= limit):
            raise TrainingDivergedError(
                f"the {self.watched} loss was {watched:g} at step {self.step}: lower "
                f"--learning-rate (it was {self.config.learning_rate:g}); the last checkpoint is "
                "untouched"
            )
        return values

    def _validated(self, progress: Progress) -> Progress:
        self.network.eval()
        scores, pictures = self.validate()
        if scores["total"] < self.best_total:
            self.best_total = scores["total"]
            state = self.network.state_dict()
            weights = {name: weight.detach().cpu().clone() for name, weight in state.items()}
            self.best = self._checkpoint(weights, self.step, scores)
        return replace(progress, validation=scores, pictures=pictures)

    def _save(self) -> None:
        state: dict[str, Any] = {
            "format": self.resume_format,
            "config": self.config.as_dict(),
            "weights": dict(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "best": best_of(self.best),
            **{name: getattr(self, name) for name in self.state_names},
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
            **self.describe(),
        )
