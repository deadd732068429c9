"""Scores, and the yardstick that they were measured with.

Figures can be compared only under one yardstick: the objective, the size of the photos' crops and
the size of the painting, on which Gram matrices depend strongly.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median_low
from typing import Any

from edge_style.images import Rgb
from edge_style_tools.curves import Curve
from edge_style_tools.subjects import Subject
from edge_style_training.losses import Objective


@dataclass(frozen=True)
class Yardstick:
    """What losses are measured with.

    Attributes:
        objective: layers and weights.
        style_px: short side of the painting.
        crop_px: side of the photos' centre crops.
    """

    objective: Objective = field(default_factory=Objective)
    style_px: int = 256
    crop_px: int = 256

    @property
    def key(self) -> str:
        """The same for equal yardsticks; they hold mappings, which have no hash."""
        return repr(self)

    def as_trained(self, training: Mapping[str, Any]) -> "Yardstick":
        """This one with the weights and the style scale that a network was trained with."""
        return self.adjusted(
            content_weight=training.get("content_weight"),
            style_weight=training.get("style_weight"),
            tv_weight=training.get("tv_weight"),
            style_px=training.get("style_px"),
        )

    def adjusted(
        self,
        *,
        content_weight: float | None = None,
        style_weight: float | None = None,
        tv_weight: float | None = None,
        style_px: int | None = None,
    ) -> "Yardstick":
        """This one with other weights or another style scale, where they are given."""
        old = self.objective
        objective = replace(
            old,
            content_weight=old.content_weight if content_weight is None else content_weight,
            style_weight=old.style_weight if style_weight is None else style_weight,
            tv_weight=old.tv_weight if tv_weight is None else tv_weight,
        )
        return replace(self, objective=objective, style_px=style_px or self.style_px)


@dataclass(frozen=True)
class Score:
    """Losses of one stylized photo; content, style and tv are unweighted.

    Attributes:
        photo: its path.
        iterations: of the optimization that reach the same total loss; None if it was not run, or
            did not reach it.
        has_curve: whether the optimization was run on this photo.
    """

    photo: Path
    content: float
    style: float
    tv: float
    total: float
    iterations: int | None = None
    has_curve: bool = False


@dataclass(frozen=True)
class Evaluation:
    """Scores of one subject under one yardstick."""

    subject: Subject
    yardstick: Yardstick
    scores: tuple[Score, ...]

    def mean(self, name: str) -> float:
        """Mean over the photos of `content`, `style`, `tv` or `total`."""
        return fmean(getattr(score, name) for score in self.scores)

    def iterations(self) -> int | None:
        """Median over the photos with a curve; None if there is none, or most were not reached."""
        reached = [
            math.inf if score.iterations is None else score.iterations
            for score in self.scores
            if score.has_curve
        ]
        middle = median_low(reached) if reached else math.inf
        return None if middle == math.inf else int(middle)

    @property
    def has_curves(self) -> bool:
        return any(score.has_curve for score in self.scores)


@dataclass(frozen=True)
class Report:
    """Everything that `evaluate` found out.

    Attributes:
        evaluations: one per subject, after one of the photos themselves per yardstick.
        photos: that were evaluated on.
        skipped: photos that could not be read.
        curves: (photo, yardstick, curve) of the optimizations.
        sheet: the pictures side by side; None if not asked for.
    """

    evaluations: tuple[Evaluation, ...]
    photos: tuple[Path, ...]
    skipped: int
    curves: tuple[tuple[Path, Yardstick, Curve], ...] = ()
    sheet: Rgb | None = None
