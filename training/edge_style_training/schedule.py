"""What changes from step to step: learning rates, and whose turn it is of several styles.

Everything here depends on the settings and the step's number alone, so that a resumed training
repeats an uninterrupted one.
"""

import math

import torch
from torch import Tensor

from edge_style_training.config import TrainingConfig

# Between the seeds of two trainings lie more numbers than either has steps.
SEED_STRIDE = 1_000_003


def cosine_rate(peak: float, step: int, steps: int, warmup_steps: int) -> float:
    """Linear warm-up to the peak, then half a cosine down to zero at the last of `steps`."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * progress))


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Of `step`; the warm-up takes a tenth of all steps at most."""
    warmup_steps = min(config.warmup_steps, config.steps // 10)
    return cosine_rate(config.learning_rate, step, config.steps, warmup_steps)


def style_share_at(config: TrainingConfig, step: int) -> float:
    """Of its weight, which the style loss comes to slowly; in a quarter of all steps at most."""
    warmup_steps = min(config.style_warmup_steps, config.steps // 4)
    return min(1.0, (step + 1) / max(1, warmup_steps))


def styles_in_turn(first: int, number: int, styles: int, seed: int) -> Tensor:
    """Styles of the photos `first` to `first + number` of a training, int64 [number].

    Every round has each style once, in an order of its own: a number of styles that the batch's
    size divides would else tie styles to places in the order of the photos.
    """
    rounds = range(first // styles, (first + number - 1) // styles + 1)
    orders = [
        torch.randperm(styles, generator=torch.Generator().manual_seed(seed * SEED_STRIDE + turn))
        for turn in rounds
    ]
    start = first - rounds[0] * styles
    return torch.cat(orders)[start : start + number]
