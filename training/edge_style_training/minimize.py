"""Optimizing the pixels of a picture: L-BFGS with strong-Wolfe line search, or Adam."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from edge_style.errors import TrainingDivergedError
from edge_style_training.picture_loss import LossValues

LossFunction: TypeAlias = Callable[[Tensor], tuple[LossValues, Tensor]]
OptimizerName: TypeAlias = Literal["lbfgs", "adam"]

ADAM_LEARNING_RATE_LEVELS = 5.0

# L-BFGS keeps two vectors of the picture's size for each step that it remembers.
_LONGEST_HISTORY = 100
_HISTORY_BYTES = 2**30
_REMEMBERED_EVALUATIONS = 3
_LINE_SEARCH_EVALUATIONS = 25


@dataclass(frozen=True)
class Iterate:
    """One point on the way of an optimization.

    Attributes:
        iteration: 0 for the start.
        losses: there.
        picture: [1, 3, H, W], unclamped; only valid until the next iteration.
    """

    iteration: int
    losses: LossValues
    picture: Tensor


def minimize(
    loss: LossFunction,
    start: Tensor,
    iterations: int,
    *,
    optimizer: OptimizerName = "lbfgs",
    learning_rate: float | None = None,
) -> Iterator[Iterate]:
    """Walk from `start` towards lower loss; the start itself comes first.

    Pixels are free to leave 0..255, as in Gatys et al. 2016: clamp the result. Ends early where no
    step lowers the loss any more.

    Args:
        loss: picture [1, 3, H, W] -> losses and the gradient of the total one.
        start: [1, 3, H, W].
        iterations: steps of the optimizer; a line search may need several evaluations in each.
        optimizer: `lbfgs` or `adam`.
        learning_rate: of Adam, in 8-bit levels.

    Raises:
        TrainingDivergedError: the loss became infinite or NaN.
    """
    pixels = start.detach().clone().requires_grad_()
    evaluate = _Memory(loss)
    losses, gradient = evaluate(pixels.detach())
    yield Iterate(0, _checked(losses, 0), pixels.detach())
    steepness = gradient.abs().sum().item()
    if steepness == 0:
        return
    # The first step of PyTorch's L-BFGS moves all pixels together by one unit, which drowns in
    # rounding. With the gradient scaled to one level a pixel and this factor it moves each by one.
    scale = pixels.numel() / steepness
    if optimizer == "adam":
        rate = learning_rate or ADAM_LEARNING_RATE_LEVELS
        stepper: torch.optim.Optimizer = torch.optim.Adam([pixels], lr=rate)
    else:
        rate = pixels.numel()
        stepper = torch.optim.LBFGS(
            [pixels],
            lr=rate,
            max_iter=1,
            max_eval=_LINE_SEARCH_EVALUATIONS,
            history_size=_history(pixels),
            line_search_fn="strong_wolfe",
            tolerance_grad=0,
            tolerance_change=0,
        )

    def closure() -> float:
        values, gradient = evaluate(pixels.detach())
        pixels.grad = scale * gradient
        return scale * values.total

    for iteration in range(1, iterations + 1):
        before = pixels.detach().clone()
        stepper.step(closure)
        if torch.equal(before, pixels.detach()):
            return
        if optimizer == "lbfgs":
            stepper.param_groups[0]["lr"] = 1.0
        values = _checked(evaluate(pixels.detach())[0], iteration)
        yield Iterate(iteration, values, pixels.detach())


def _history(pixels: Tensor) -> int:
    step_bytes = 2 * pixels.numel() * pixels.element_size()
    return max(5, min(_LONGEST_HISTORY, _HISTORY_BYTES // step_bytes))


def _checked(values: LossValues, iteration: int) -> LossValues:
    if not math.isfinite(values.total):
        raise TrainingDivergedError(
            f"the loss was {values.total:g} at iteration {iteration}: with --optimizer adam lower "
            "--lr, else lower the weights"
        )
    return values


class _Memory:
    """Remembers the last evaluations.

    `torch.optim.LBFGS` evaluates the point at which a line search ended once more at the next step,
    a third of all its time.
    """

    def __init__(self, loss: LossFunction) -> None:
        self._loss = loss
        self._known: list[tuple[Tensor, LossValues, Tensor]] = []

    def __call__(self, picture: Tensor) -> tuple[LossValues, Tensor]:
        for known, values, gradient in self._known:
            if torch.equal(known, picture):
                return values, gradient
        values, gradient = self._loss(picture)
        self._known = [(picture.clone(), values, gradient), *self._known]
        del self._known[_REMEMBERED_EVALUATIONS:]
        return values, gradient
