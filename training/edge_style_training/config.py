"""Settings of a training: defaults, a TOML recipe, the command line, in this order."""

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edge_style.errors import UsageError
from edge_style_training.losses import Objective

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


# A table of a recipe, [credits.STEM], says of a painting what the command line's options would.
CREDITS_KEY = "credits"
CREDIT_FIELDS = frozenset({"name", "painting", "artist", "year", "licence", "source"})
# What other trainings do not look at.
ANY_STYLE_SETTINGS = frozenset({"styles_per_photo", "style_bank", "feedback_styles"})
# Seeds of single steps are made of it, and torch takes 64 bits.
_LARGEST_SEED = 1 << 40


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides what a training computes; stored in the checkpoint.

    Attributes:
        architecture, network: key and settings for `networks.build_network`.
        steps: optimizer steps in all.
        batch_size: photos a step, over all processes.
        crop_px: side of the square crops of photos.
        crop_spread: sides lie between `crop_px` divided by this and times this, drawn anew for
            every step: for frames of all sizes.
        style_px: short side of the painting for its Gram matrices. It sets the size of the strokes.
        style_layers: of VGG, whose Gram matrices are compared.
        content_weight, style_weight, tv_weight: of the losses, see `losses.Objective`.
        style_warmup_steps: in which the style loss comes to its weight. A network that has to
            unlearn another painting meets a style loss far above the content loss at first, and
            would give up the contents for good, down to dark in the place of light.
        consistency_weight: of the difference between the stylized picture and the stylized noisy,
            shifted picture, so that live video does not boil.
        consistency_noise_levels: standard deviation of that noise, in 8-bit levels.
        styles_per_photo: in how many styles each photo of a step is painted, by a training for any
            style: what VGG sees in the photo is computed once for all of them.
        style_bank: how many styles such a training has before it begins again with the first.
        feedback_styles: from how many such a training learns at its end how codes are off by what
            they paint; 0 to leave codes as they are guessed.
        grid_weight: of what stays in place when the photo is shifted and repeats with the
            network's cells, see `steadiness.grid_loss`.
        learning_rate: at its peak, see `muon.Muon`; warmed up, then down to zero along a cosine.
        warmup_steps: to reach the peak.
        precision: `fp32`, `bf16`, or `auto`: bf16 where the hardware multiplies in it.
        seed: of weights, crops and noise.
        validate_every, checkpoint_every: in steps.
        validation_photos: photos held out of the content folder for validation.
    """

    architecture: str = "lean"
    network: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 4000
    batch_size: int = 4
    crop_px: int = 256
    crop_spread: float = 1.0
    style_px: int = 256
    style_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    content_weight: float = 1.0
    style_weight: float = 5.0
    style_warmup_steps: int = 0
    styles_per_photo: int = 1
    style_bank: int = 2048
    feedback_styles: int = 320
    tv_weight: float = 0.0
    consistency_weight: float = 0.0
    consistency_noise_levels: float = 4.0
    grid_weight: float = 0.0
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    precision: str = "auto"
    seed: int = 0
    validate_every: int = 500
    checkpoint_every: int = 250
    validation_photos: int = 8

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            UsageError: a setting that cannot work; says which, what was expected and what came.
        """
        minima = {
            "steps": 1,
            "batch_size": 1,
            "crop_px": 32,
            "crop_spread": 1,
            "style_px": 32,
            "content_weight": 0,
            "style_weight": 0,
            "style_warmup_steps": 0,
            "styles_per_photo": 1,
            "style_bank": 1,
            "feedback_styles": 0,
            "tv_weight": 0,
            "consistency_weight": 0,
            "consistency_noise_levels": 0,
            "grid_weight": 0,
            "warmup_steps": 0,
            "validate_every": 1,
            "checkpoint_every": 1,
            "validation_photos": 1,
        }
        for name, minimum in minima.items():
            value = getattr(self, name)
            if not value >= minimum:
                raise UsageError(f"{name} should be at least {minimum}, not {value}")
            if value == math.inf:
                raise UsageError(f"{name} should be finite, not {value}")
        if abs(self.seed) > _LARGEST_SEED:
            raise UsageError(f"seed should lie within {_LARGEST_SEED:,} of 0, not {self.seed:,}")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(
                f"learning_rate should be above 0 and finite, not {self.learning_rate}"
            )
        if self.content_weight == self.style_weight == 0:
            raise UsageError("content_weight and style_weight are both 0: nothing to learn")
        if not self.style_layers:
            raise UsageError("style_layers should name a layer of VGG at least")
        if self.precision not in {"auto", "fp32", "bf16"}:
            raise UsageError(f"precision should be auto, fp32 or bf16, not {self.precision}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a checkpoint keeps them."""
        return {**asdict(self), "style_layers": list(self.style_layers)}

    @property
    def objective(self) -> Objective:
        """What the losses are made of."""
        return Objective(
            style_layers=dict.fromkeys(self.style_layers, 1.0),
            content_weight=self.content_weight,
            style_weight=self.style_weight,
            tv_weight=self.tv_weight,
        )


def read_recipe(path: Path) -> dict[str, Any]:
    """Settings from a TOML file; keys are `TrainingConfig`'s attributes.

    Raises:
        UsageError: no such file, not TOML, or a key or type that is not known.
    """
    recipe = _read_toml(path)
    recipe.pop(CREDITS_KEY, None)
    return check_settings(recipe, str(path))


def read_credits(path: Path) -> dict[str, dict[str, str]]:
    """What a recipe says of paintings: the stem of a painting's file -> `CREDIT_FIELDS`.

    Raises:
        UsageError: no such file, not TOML, or a field that is not known.
    """
    tables = _read_toml(path).get(CREDITS_KEY, {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}: {CREDITS_KEY} should be tables, [{CREDITS_KEY}.STEM]")
    for stem, table in tables.items():
        if not isinstance(table, dict) or not set(table) <= CREDIT_FIELDS:
            raise UsageError(
                f"{path}: [{CREDITS_KEY}.{stem}] should hold {', '.join(sorted(CREDIT_FIELDS))}"
            )
    return {
        stem: {key: str(value) for key, value in table.items()} for stem, table in tables.items()
    }


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        recipe: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UsageError(f"there is no recipe {path}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is no TOML recipe: {error}") from error
    return recipe


def check_settings(settings: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """`settings` with integers widened to floats where floats are wanted.

    Raises:
        UsageError: a key or type that `TrainingConfig` does not have.
    """
    defaults = TrainingConfig()
    known = {item.name for item in fields(TrainingConfig)}
    checked: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in known:
            raise UsageError(
                f"{origin}: unknown setting {key!r}, there are {', '.join(sorted(known))}"
            )
        kind = dict if key == "network" else type(getattr(defaults, key))
        if kind is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
            value = tuple(value)  # noqa: PLW2901 - TOML and checkpoints know lists only
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)  # noqa: PLW2901 - TOML writes 5 for 5.0
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UsageError(f"{origin}: {key} should be a {kind.__name__}, not {value!r}")
        checked[key] = value
    return checked
