"""Distillation (Hinton et al. 2015): a small network learns to paint what large ones paint.

Its pictures are compared with theirs pixel by pixel, which needs no VGG and tells far more at every
step than perceptual losses do: minutes on a laptop in place of hours. What large networks found out
by perceptual losses (where strokes go, which detail stays) comes with their pictures.

Several teachers of one painting each make one network of many styles (Dumoulin et al. 2017).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.errors import UsageError
from edge_style_training.base import find_base, objective_of, take_over
from edge_style_training.checkpoint import Checkpoint, load_checkpoint
from edge_style_training.config import TrainingConfig
from edge_style_training.data import find_photos
from edge_style_training.networks import build_network
from edge_style_training.resuming import ensure_none, fingerprint
from edge_style_training.run import check_output, console_of, run_shown
from edge_style_training.schedule import styles_in_turn
from edge_style_training.training_loop import Training
from edge_style_training.validation import read_crops

DEFAULTS: Mapping[str, Any] = {
    "steps": 2600,
    "batch_size": 4,
    "crop_px": 192,
    "learning_rate": 3e-3,
    "warmup_steps": 50,
    "validate_every": 650,
    "checkpoint_every": 100,
}
# Differences far below this count by their square, those above by their size: strokes that lie a
# pixel off should not outweigh all others.
_SOFT_LEVELS = 2.0
_CREDITS = ("name", "painting", "artist", "year", "licence", "source")


def distance(stylized: Tensor, wanted: Tensor) -> Tensor:
    """How far two pictures are apart, in 8-bit levels: of their pixels and of their slopes.

    Charbonnier's loss, sqrt(d² + 2²) - 2, of the difference and of that between neighbours: without
    the second, a network that is not sure where a stroke lies paints none.

    Args:
        stylized, wanted: [N, 3, H, W], 0..255.
    """
    apart = stylized - wanted
    down, right = apart.diff(dim=2), apart.diff(dim=3)
    return sum((_soft(part) for part in (apart, down, right)), apart.new_zeros(()))


def _soft(apart: Tensor) -> Tensor:
    return (apart.square() + _SOFT_LEVELS**2).sqrt().mean() - _SOFT_LEVELS


class Distillation(Training):
    """Trains a network to paint as its teachers do."""

    resume_format = "edge-style-distillation-2"

    def __init__(
        self,
        config: TrainingConfig,
        teachers: Sequence[Checkpoint],
        photos: Sequence[Path],
        output: Path,
        *,
        workers: int = 2,
    ) -> None:
        """Set everything up; nothing is written yet.

        Args:
            config: the settings; the network should have as many styles as there are teachers.
            teachers: of one style each.
            photos: to learn on; some are held out.
            output: where the finished checkpoint goes.
            workers: loader processes.
        """
        torch.manual_seed(config.seed)
        network = build_network(config.architecture, config.network)
        super().__init__(config, network, photos, output, workers=workers)
        taught = [weight for each in teachers for weight in each.weights.values()]
        self.material["teachers"] = fingerprint(each.float().numpy().tobytes() for each in taught)
        self.credits = [{name: getattr(each, name) for name in _CREDITS} for each in teachers]
        self._style_weights = [
            float(each.training.get("style_weight", config.style_weight)) for each in teachers
        ]
        self.teachers = [
            teacher.build().requires_grad_(requires_grad=False).to(self.device)
            for teacher in teachers
        ]

    def begin(self, checkpoint: Checkpoint) -> None:
        """Start with the weights of a checkpoint.

        Raises:
            CheckpointError: it is not of the network that the settings describe.
        """
        take_over(self.unwrapped, checkpoint, self.config, self.held_out)

    def losses(self, photos: Tensor) -> dict[str, Tensor]:
        """The total, in levels; each photo is painted in the style whose turn it is."""
        styles = styles_in_turn(self.first_photo, len(photos), len(self.teachers), self.config.seed)
        with self.autocast():
            wanted = self._taught(photos, styles)
            stylized = self._stylize(photos, styles)
        return {"total": distance(stylized.float(), wanted.float())}

    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Mean distance of the photos held out, in crops of all sizes, each in the next style."""
        distances, pictures = [], []
        sides = self.dataset.typical_sides
        for side in sides:
            for number, photo in enumerate(self.held_out):
                frame = read_crops([photo], side).to(self.device)
                style = torch.tensor([number % len(self.teachers)])
                with torch.no_grad():
                    stylized = self._stylize(frame, style).clamp(0, 255)
                    wanted = self._taught(frame, style).clamp(0, 255)
                distances.append(float(distance(stylized, wanted)))
                if side == sides[0]:
                    pictures.append(stylized.cpu())
        return {"total": fmean(distances)}, torch.cat(pictures)

    def describe(self) -> dict[str, Any]:
        """The teacher's credits; of several, a style for each."""
        if len(self.credits) == 1:
            return {**self.credits[0]}
        styles = [
            {**style, "style_weight": weight}
            for style, weight in zip(self.credits, self._style_weights, strict=True)
        ]
        return {"name": self.output.stem, "styles": styles}

    def _taught(self, photos: Tensor, styles: Tensor) -> Tensor:
        """What the teachers of `styles` [N] make of `photos` [N, 3, H, W]."""
        with torch.no_grad():
            taught = [
                self.teachers[style](photo[None])
                for photo, style in zip(photos, styles.tolist(), strict=True)
            ]
        return _cropped(torch.cat(taught), photos)

    def _stylize(self, photos: Tensor, styles: Tensor) -> Tensor:
        if len(self.teachers) == 1:
            stylized = self.network(photos)
        else:
            weights = F.one_hot(styles, len(self.teachers)).to(photos)
            stylized = self.network(photos, weights)
        return _cropped(stylized, photos)


def _cropped(stylized: Tensor, photos: Tensor) -> Tensor:
    # Networks round sizes up to a multiple of their strides.
    return stylized[..., : photos.shape[2], : photos.shape[3]]


def run_distillation(
    *,
    teachers: Sequence[str],
    content: Path,
    output: Path,
    settings: Mapping[str, Any],
    workers: int,
    start_from: str | None,
    resume: bool,
    force: bool,
    log_dir: Path | None,
) -> None:
    """Distill as the command line says; progress and results go to standard error.

    Raises:
        EdgeStyleError: whatever cannot be used, before any time is spent on training.
    """
    masters = [load_checkpoint(find_base(name, "TEACHER")) for name in teachers]
    for name, master in zip(teachers, masters, strict=True):
        if master.architecture == "any" or int(master.network.get("styles", 1)) > 1:
            raise UsageError(f"{name} paints in many styles: a teacher should paint in one")
    named = [master.name or name for name, master in zip(teachers, masters, strict=True)]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise UsageError(f"two of the teachers are called '{twice}', as their styles would be")
    base = load_checkpoint(find_base(start_from)) if start_from else None
    wanted = settings.get("architecture", TrainingConfig.architecture)
    if base is not None and base.architecture != wanted:
        raise UsageError(
            f"--from {start_from}: it is of architecture {base.architecture}, and a student of "
            f"architecture {wanted} was asked for"
        )
    own = dict(base.network) if base is not None else {}
    network = {**own, **settings.get("network", {})}
    network.pop("styles", None)
    if len(masters) > 1:
        network["styles"] = len(masters)
    # What the teacher was trained for is what the student may be trained on with, see `train`.
    config = TrainingConfig(
        **{**objective_of(masters[0]), **DEFAULTS, **settings, "network": network}
    )
    if config.architecture == "any" or (len(masters) > 1 and config.architecture != "lean"):
        raise UsageError(
            f"a student of architecture {config.architecture} cannot be taught "
            f"{len(masters)} style{'s' * (len(masters) > 1)}: leave it at lean"
        )
    check_output(output, resume=resume, force=force)
    photos = find_photos(content)
    training = Distillation(config, masters, photos, output, workers=workers)
    if base is not None:
        training.begin(base)
    if resume:
        training.resume()
    elif not force:
        ensure_none(training.resume_path)
    console = console_of(training)
    console.print(f"taught by {', '.join(named)}")
    best = run_shown(training, console, len(photos), log_dir)
    console.print(
        f"{output}: best at step {best.step:,}, {best.scores['total']:.2f} levels from the teacher"
        f"\nnext: edge-style export {output}, or edge-style train PAINTING --from {output} to "
        "train it on with the painting itself"
    )
