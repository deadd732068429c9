"""Training of the network for any style: every photo of every step gets a style of its own.

Ghiasi et al. 2017, with the objective of `losses`. As in `trainer`, what a step sees depends on the
settings and its number alone.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.errors import CheckpointError, TrainingDivergedError
from edge_style.images import read_image
from edge_style_training.any_data import StyleDataset
from edge_style_training.checkpoint import (
    Checkpoint,
    save_atomically,
    save_checkpoint,
)
from edge_style_training.config import TrainingConfig
from edge_style_training.data import CropDataset, crop_loader, resize_short_side, to_tensor
from edge_style_training.losses import Objective, PerceptualLoss, gram_matrix
from edge_style_training.networks import build_network
from edge_style_training.networks.any_style import ENCODER_LAYERS, STYLE_PX, AnyStyleNet
from edge_style_training.networks.lean import LeanNet
from edge_style_training.resuming import best_of, read_state
from edge_style_training.schedule import learning_rate_at
from edge_style_training.trainer import Progress, resolve_precision
from edge_style_training.validation import hold_out, read_crops
from edge_style_training.vgg import LossNetwork, in_bfloat16

_RESUME_FORMAT = "edge-style-any-1"
_REPORT_EVERY = 10
_USUAL_STYLES = 256
# Styles that a photo nearly has already are not weighed more than this allows.
_SMALLEST_SHARE = 0.2
# A content loss this many times its first one does not come back. (That of styles varies a
# thousandfold from step to step.)
_DIVERGED_FACTOR = 20.0
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


class AnyTrainer:
    """Trains the encoder's head and the transformer; see `run`."""

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
        device: torch.device | None = None,
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
            device: the best there is if None.
        """
        self.config = config
        self.output = output
        self.workers = workers
        self.device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = resolve_precision(config.precision, self.device)
        torch.manual_seed(config.seed)
        network = build_network(config.architecture, config.network)
        if not isinstance(network, AnyStyleNet):
            raise TypeError(f"expected architecture any, got {config.architecture}")
        own = network.encoder.vgg
        own.load_state_dict({key: loss_network.state_dict()[key] for key in own.state_dict()})
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # stubs lack it
        self.vgg = loss_network.to(self.device)
        self.half = loss_network if self.precision == "fp32" else in_bfloat16(loss_network)
        trained = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=config.learning_rate)
        self.held_out, rest = hold_out(photos, config.validation_photos)
        self.photos = CropDataset(rest, config.crop_px, config.seed)
        self.styles = styles
        self.aside = aside
        self.step = 0
        self.best_total = math.inf
        self.best: Checkpoint | None = None
        self.start_content: float | None = None
        # What a style costs a photo that is left as it is, as a rule; learned with what is usual.
        self.usual_cost = 1.0

    @property
    def resume_path(self) -> Path:
        return self.output.with_suffix(".resume.pth")

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

    def run(self, report: Callable[[Progress], None]) -> Checkpoint:
        """Train from `self.step` to the end, saving on the way; the best checkpoint by validation.

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
            first = self.step * config.batch_size
            styles = torch.stack([self.styles[first + n] for n in range(len(crops))])
            losses = self._train_step(crops.to(self.device), styles.to(self.device))
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
        state = read_state(self.resume_path, _RESUME_FORMAT, self.config.as_dict())
        self.network.load_state_dict(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name in ("step", "best_total", "start_content", "usual_cost"):
            setattr(self, name, state[name])
        best = state["best"]
        self.best = best and self._checkpoint(best["weights"], best["step"], best["scores"])

    def _look(self, pictures: Tensor) -> dict[str, Tensor]:
        """Activations of pictures [N, 3, H, W], 0..255, without gradients."""
        with torch.no_grad():
            found: dict[str, Tensor] = self.half(pictures)
        return found

    def _targets(self, styles: Tensor) -> StyleTargets:
        activations = self._look(styles.contiguous(memory_format=torch.channels_last))
        grams = {layer: gram_matrix(activations[layer]) for layer in self.config.style_layers}
        return StyleTargets({layer: activations[layer] for layer in ENCODER_LAYERS}, grams)

    def _train_step(self, crops: Tensor, styles: Tensor) -> dict[str, Tensor]:
        config, objective = self.config, self.config.objective
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(config, self.step)
        self.network.train()
        photos = crops.float().contiguous(memory_format=torch.channels_last)
        wanted = self._targets(styles.float())
        seen = self._look(photos)
        untouched = {layer: gram_matrix(seen[layer]) for layer in config.style_layers}
        code = self.network.encoder.code_of(wanted.activations)
        autocast = torch.autocast(
            photos.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
        )
        with autocast:
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
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()
        return {
            "content": content.detach(),
            "style": costs.mean().detach(),
            "total": total.detach(),
        }

    def _checked(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        values = {name: float(value) for name, value in losses.items()}
        content = values["content"]
        if self.start_content is None and math.isfinite(values["total"]):
            self.start_content = content
        limit = _DIVERGED_FACTOR * (self.start_content or math.inf)
        if not (math.isfinite(values["total"]) and content <= limit):
            raise TrainingDivergedError(
                f"the content loss was {content:g} at step {self.step}: lower --learning-rate "
                f"(it was {self.config.learning_rate:g}); the last checkpoint is untouched"
            )
        return values

    def _validated(self, progress: Progress) -> Progress:
        """Mean losses of held-out photos in styles that were kept aside, in float32."""
        self.network.eval()
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
        if sums["total"] < self.best_total:
            self.best_total = sums["total"]
            state = self.network.state_dict()
            weights = {name: weight.detach().cpu().clone() for name, weight in state.items()}
            self.best = self._checkpoint(weights, self.step, sums)
        return replace(progress, validation=sums, pictures=torch.cat(pictures))

    def _save(self) -> None:
        state: dict[str, Any] = {
            "format": _RESUME_FORMAT,
            "config": self.config.as_dict(),
            "step": self.step,
            "weights": dict(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "start_content": self.start_content,
            "best_total": self.best_total,
            "usual_cost": self.usual_cost,
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
            name=self.output.stem,
            step=step,
            training=self.config.as_dict(),
            scores=scores,
        )


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
