"""Muon, the optimizer of the networks' convolutions (Jordan et al. 2024).

https://kellerjordan.github.io/posts/muon: the momentum of a matrix of weights is replaced by the
orthogonal matrix next to it, so that a step moves the directions that gradients seldom point in as
far as those that they all agree on. PyTorch's own `torch.optim.Muon`, since 2.9, refuses the four
dimensions of a convolution's weights.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.95
_ADAM_BETAS = (0.9, 0.999)
_EPSILON = 1e-8

# With 0.2 a step moves weights about as far as one of Adam with the same rate (Liu et al. 2025,
# "Muon is scalable for LLM training", arXiv 2502.16982, section 2.2). Twice that did better here.
_DEVIATION = 0.4

# A matrix of fewer rows, such as the three colours of a head, has no directions to even out.
_FEWEST_ROWS = 4

# The quintic of Jordan et al., steepest at zero: five times brings any singular value of 0.01 to 1
# to between 0.7 and 1.2.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalized(matrix: Tensor) -> Tensor:
    """The orthogonal matrix next to `matrix`, about, by Newton-Schulz iteration.

    Args:
        matrix: [..., rows, columns], float32; several are made orthogonal one by one, but at once.

    Returns:
        [..., rows, columns] with the same singular vectors, whose singular values are near one: all
        that are not far below the largest. Zeros stay zeros.
    """
    a, b, c = _QUINTIC
    tall = matrix.shape[-2] > matrix.shape[-1]
    x: Tensor = matrix.mT if tall else matrix
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(_EPSILON)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for matrices and convolutions, Adam for what has no two sides: scales, shifts, biases.

    A convolution's weights are a matrix of output channels by all else. A table of one vector for
    each of several things, such as the scales of styles, is no matrix: `tables` are Adam's.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, tables: Iterable[Tensor] = ()) -> None:
        """Set up.

        Args:
            params: to train.
            lr: learning rate, of both.
            tables: those of `params` that are no matrices although they have two dimensions.
        """
        kept_apart = {id(table) for table in tables}
        groups: dict[bool, list[Tensor]] = {True: [], False: []}
        for weight in params:
            is_matrix = weight.ndim > 1 and len(weight) >= _FEWEST_ROWS
            groups[is_matrix and id(weight) not in kept_apart].append(weight)
        super().__init__(
            [{"params": found, "muon": muon} for muon, found in groups.items() if found],
            {"lr": lr},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override] # the base has overloads
        """Move every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            learning = [weight for weight in group["params"] if weight.grad is not None]
            if group["muon"]:
                changes = self._muon(learning)
            else:
                changes = [self._adam(weight.grad, self.state[weight]) for weight in learning]
            for weight, change in zip(learning, changes, strict=True):
                weight.sub_(change, alpha=group["lr"])
        return loss

    def _muon(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """By how much to change each; matrices of one shape go together, as a GPU likes them."""
        of_shape: dict[torch.Size, list[int]] = {}
        matrices = []
        for number, weight in enumerate(weights):
            matrices.append(self._with_momentum(weight.grad, self.state[weight]).flatten(1))
            of_shape.setdefault(matrices[-1].shape, []).append(number)
        for shape, numbers in of_shape.items():
            together = orthogonalized(torch.stack([matrices[number] for number in numbers]))
            together *= _DEVIATION * math.sqrt(max(shape))
            for number, matrix in zip(numbers, together, strict=True):
                matrices[number] = matrix
        return [
            matrix.reshape(weight.shape) for matrix, weight in zip(matrices, weights, strict=True)
        ]

    @staticmethod
    def _with_momentum(gradient: Tensor | None, state: dict[str, Any]) -> Tensor:
        """The gradient as Nesterov would have it."""
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
        return gradient.lerp(momentum, _MOMENTUM)

    @staticmethod
    def _adam(gradient: Tensor, state: dict[str, Any]) -> Tensor:
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(gradient)
            state["square"] = torch.zeros_like(gradient)
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - _ADAM_BETAS[0])
        square = state["square"].lerp_(gradient.square(), 1 - _ADAM_BETAS[1])
        mean_weight, square_weight = (1 - beta ** state["step"] for beta in _ADAM_BETAS)
        change: Tensor = (mean / mean_weight) / ((square / square_weight).sqrt() + _EPSILON)
        return change
