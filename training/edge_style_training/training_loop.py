"""The loop that all trainings of style networks share: crops, steps, validations, checkpoints.

What a step sees depends on the settings and its number alone (crops, noise, learning rate), so a
resumed training repeats an uninterrupted one.
"""

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from edge_style.errors import CheckpointError, ContentError, TrainingDivergedError, UsageError
from edge_style_training.checkpoint import Checkpoint, save_atomically, save_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import CropDataset, crop_loader
from edge_style_training.muon import Muon
from edge_style_training.networks.lean import StyleNorm
from edge_style_training.quick_cpu import keep_memory
from edge_style_training.resuming import best_of, fingerprint, read_state, resume_file
from edge_style_training.schedule import learning_rate_at
from edge_style_training.validation import hold_out

_REPORT_EVERY = 10

# The watched loss falls by an order of magnitude in the first hundred steps and then slowly. Far
# above its start it does not come back.
_DIVERGED_FACTOR = 20.0


@dataclass(frozen=True)
class Progress:
    """A glance at a running training.

    Attributes:
        step, steps: done, and in all.
        losses: of the last step: content, style, tv, consistency, grid (unweighted), total.
        validation: losses on the validation photos, where this report follows a validation.
        learning_rate: of the last step.
        photos_per_second: since the last report.
        broken_photos: that were met so far, and left out.
        pictures: stylized validation photos [N, 3, H, W], 0..255, with a validation.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    learning_rate: float
    photos_per_second: float
    broken_photos: int = 0
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


class Training(ABC):
    """Trains a network on crops of photos; see `run`.

    Attributes:
        material: fingerprints of what is learned from, which another training that takes this one
            up must share.
        resume_format: of the state that it saves.
        watched: the loss that tells whether the training goes wrong.
        broken_photos: that were met so far by this process, and left out.
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
        margin_px: int = 0,
    ) -> None:
        """Set up; nothing is written yet.

        Args:
            config: the settings.
            network: to train, as far as its weights want gradients.
            photos: to learn on; some are held out.
            output: where the finished checkpoint goes.
            workers: loader processes.
            margin_px: by which crops are larger than the settings say.

        Raises:
            UsageError: the processes cannot share the batch.
        """
        self.config = config
        self.output = output
        self.workers = workers
        self.accelerator = Accelerator()
        processes = self.accelerator.num_processes
        if config.batch_size % processes:
            raise UsageError(
                f"batch_size {config.batch_size} cannot be shared by {processes} processes: give a "
                "multiple"
            )
        self.device = self.accelerator.device
        keep_memory()
        self.precision = resolve_precision(config.precision, self.device)
        # Crops have few sizes: what the search for the quickest convolutions costs comes back.
        torch.backends.cudnn.benchmark = True
        # As convolutions are by default. Gram matrices of bfloat16 features lose nothing by it.
        torch.backends.cuda.matmul.allow_tf32 = True
        network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # stubs lack it
        trained = [weight for weight in network.parameters() if weight.requires_grad]
        tables = [
            table
            for module in network.modules()
            if isinstance(module, StyleNorm)
            for table in module.parameters(recurse=False)
        ]
        optimizer = Muon(trained, config.learning_rate, tables)
        self.network: nn.Module
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.held_out, rest = hold_out(photos, config.validation_photos)
        self.dataset = CropDataset(
            rest,
            config.crop_px,
            config.seed,
            spread=config.crop_spread,
            batch_size=config.batch_size,
            margin_px=margin_px,
        )
        self.broken_photos: set[Path] = set()
        self.material = {"photos": fingerprint([os.fsencode(photo.name) for photo in photos])}
        self.step = 0
        self.best_total = math.inf
        self.best: Checkpoint | None = None
        self.start_loss: float | None = None

    @abstractmethod
    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """Losses of `photos` [N, 3, S, S], 0..255: those to report, and the `total` to minimize."""

    @abstractmethod
    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Losses on the photos held out; and the stylized ones [N, 3, H, W], 0..255.

        Numbers are float32 whatever the precision of the training; CUDA multiplies them as TF32.
        """

    def describe(self) -> dict[str, Any]:
        """What the checkpoint says of its styles: fields of `Checkpoint`."""
        return {"name": self.output.stem}

    @property
    def resume_path(self) -> Path:
        return resume_file(self.output)

    @property
    def unwrapped(self) -> nn.Module:
        """The network itself, without what `accelerate` puts around it."""
        network: nn.Module = self.accelerator.unwrap_model(self.network)
        return network

    @property
    def first_photo(self) -> int:
        """Number of this process's first photo of the step, of all that were seen before it."""
        share: int = self.config.batch_size // self.accelerator.num_processes
        rank: int = self.accelerator.process_index
        return self.step * self.config.batch_size + rank * share

    def autocast(self) -> torch.autocast:
        """The precision in which the network computes."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
        )

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
        for crops, broken in _said_plainly(loader):
            self.broken_photos |= self.dataset.broken(broken)
            losses = self._train_step(crops.to(self.device, non_blocking=True))
            self.step += 1
            validate = self.step % config.validate_every == 0 or self.step == config.steps
            save = self.step % config.checkpoint_every == 0
            if not (validate or save or self.step % _REPORT_EVERY == 0):
                continue
            now = time.perf_counter()
            progress = Progress(
                step=self.step,
                steps=config.steps,
                losses=self._checked(losses),
                learning_rate=learning_rate_at(config, self.step - 1),
                photos_per_second=(self.step - last_step) * config.batch_size / (now - last_time),
                broken_photos=len(self.broken_photos),
            )
            if validate:
                progress = self._validated(progress)
            if self.accelerator.is_main_process:
                if save or validate:
                    self._save()
                report(progress)
            last_time, last_step = time.perf_counter(), self.step
        self.accelerator.wait_for_everyone()
        if self.best is None:
            raise CheckpointError("the training ended before its first validation")
        if self.accelerator.is_main_process:
            save_checkpoint(self.best, self.output)
            self.resume_path.unlink(missing_ok=True)
        return self.best

    def resume(self) -> None:
        """Take up the training that `resume_path` holds.

        Raises:
            CheckpointError: nothing to resume, damaged, or of other settings, photos or paintings.
        """
        settings = self.config.as_dict()
        state = read_state(self.resume_path, self.resume_format, settings, self.material)
        self.unwrapped.load_state_dict(state["weights"])
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
        self.accelerator.backward(losses["total"])
        self.optimizer.step()
        return {name: loss.detach() for name, loss in losses.items()}

    def _checked(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        # Averaged over the processes, so that all judge alike and none waits for one that stopped.
        means = self.accelerator.reduce(torch.stack(list(losses.values())), reduction="mean")
        values = dict(zip(losses, means.tolist(), strict=True))
        watched = values[self.watched]
        if self.start_loss is None and math.isfinite(values["total"]):
            self.start_loss = watched
        limit = _DIVERGED_FACTOR * (self.start_loss or math.inf)
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
            state = self.unwrapped.state_dict()
            weights = {name: weight.detach().cpu().clone() for name, weight in state.items()}
            self.best = self._checkpoint(weights, self.step, scores)
        return replace(progress, validation=scores, pictures=pictures)

    def _save(self) -> None:
        state: dict[str, Any] = {
            "format": self.resume_format,
            "config": self.config.as_dict(),
            "weights": dict(self.unwrapped.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "best": best_of(self.best),
            "material": self.material,
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


def _said_plainly(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches; errors of loader processes without the traceback that comes with them."""
    try:
        yield from batches
    except ContentError as error:
        raise ContentError(str(error).rpartition("ContentError: ")[2].strip()) from error
