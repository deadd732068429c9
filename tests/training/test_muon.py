"""The optimizer."""

import pytest
import torch
from torch import nn

from edge_style_training.muon import Muon, orthogonalized


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_come_near_one_and_their_vectors_stay(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrix = left @ torch.diag(torch.logspace(0, -1.5, min(shape))) @ right * 37

    made = orthogonalized(matrix)

    inner = left.mT @ made @ right.mT
    values = inner.diagonal()
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert (inner - torch.diag(values)).abs().max() < 1e-3


def test_matrices_of_one_shape_go_together_and_move_as_they_would_alone() -> None:
    torch.manual_seed(0)
    shapes = [(6, 4, 3, 3), (6, 36), (8, 12), (6, 4, 3, 3)]
    starts = [torch.randn(shape) for shape in shapes]
    together = [nn.Parameter(start.clone()) for start in starts]
    alone = [nn.Parameter(start.clone()) for start in starts]
    optimizers = [Muon(together, lr=0.1), *(Muon([weight], lr=0.1) for weight in alone)]
    for scale in (1.0, 100.0):
        gradients = [scale * torch.randn(shape) for shape in shapes]
        gradients[0] *= 1000  # its size is no other's business
        for weights in (together, alone):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()

    for weight, other, start in zip(together, alone, starts, strict=True):
        torch.testing.assert_close(weight, other)
        assert (weight - start).abs().max() > 0.01


def test_a_step_looks_ahead_along_the_momentum() -> None:
    """Nesterov's: the mean of gradients, and the present one once more."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 20)
    weight = nn.Parameter(torch.zeros(5, 20))
    optimizer = Muon([weight], lr=1.0)
    weight.grad = first
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = second
    optimizer.step()

    momentum = 0.95 * 0.05 * first + 0.05 * second
    wanted = 0.4 * 20**0.5 * orthogonalized(0.05 * second + 0.95 * momentum)
    torch.testing.assert_close(before - weight.detach(), wanted)


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert not orthogonalized(torch.zeros(4, 9)).any()


def test_scales_and_biases_move_as_adam_moves_them() -> None:
    torch.manual_seed(0)
    starts, target = torch.randn(2, 5), torch.randn(5)
    ours, theirs = nn.Parameter(starts[0].clone()), nn.Parameter(starts[0].clone())
    optimizers = [Muon([ours], lr=0.01), torch.optim.Adam([theirs], lr=0.01)]

    for _ in range(20):
        for optimizer, weight in zip(optimizers, (ours, theirs), strict=True):
            optimizer.zero_grad()
            (weight - target).pow(4).sum().backward()
            optimizer.step()

    torch.testing.assert_close(ours, theirs)
    assert (ours - starts[0]).abs().max() > 0.15


def test_a_step_is_the_same_however_large_the_gradient_is() -> None:
    torch.manual_seed(0)
    gradient = torch.randn(6, 4, 3, 3)
    moved = []
    for factor in (1e-3, 1e3):
        weight = nn.Parameter(torch.zeros(6, 4, 3, 3))
        weight.grad = factor * gradient
        Muon([weight], lr=0.01).step()
        moved.append(weight.detach())

    torch.testing.assert_close(moved[0], moved[1])
    # Six directions of length one, spread over 216 weights, 0.4 times the root of 36 columns.
    root_mean_square = moved[0].square().mean().sqrt().item()
    assert root_mean_square == pytest.approx(0.01 * 0.4 * 36**0.5 * (6 / 216) ** 0.5, rel=0.25)
    assert (moved[0] * gradient).sum() < 0


def test_gradients_that_take_turns_move_little() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(6, 4, 3, 3))
    optimizer = Muon([weight], lr=0.01)
    always, in_turn = torch.randn(2, 6, 4, 3, 3)
    for step in range(40):
        before = weight.detach().clone()
        weight.grad = 0.5 * always + (-1) ** step * in_turn
        optimizer.step()

    moved = (before - weight.detach()).flatten()
    along_always = torch.nn.functional.cosine_similarity(moved, always.flatten(), dim=0)
    along_turns = torch.nn.functional.cosine_similarity(moved, in_turn.flatten(), dim=0)
    assert along_always > 0.8
    assert along_turns.abs() < 0.4


def test_a_table_moves_as_adam_moves_it() -> None:
    torch.manual_seed(0)
    table, matrix = (nn.Parameter(torch.zeros(8, 5)) for _ in range(2))
    table.grad = matrix.grad = torch.randn(8, 5)

    Muon([table, matrix], lr=0.01, tables=[table]).step()

    torch.testing.assert_close(table.detach(), -0.01 * table.grad.sign(), rtol=1e-3, atol=1e-6)
    assert (matrix - table).abs().max() > 1e-3


def test_few_rows_move_as_adam_moves_them() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.zeros(3, 4, 3, 3))
    weight.grad = torch.randn(3, 4, 3, 3)

    Muon([weight], lr=0.01).step()

    torch.testing.assert_close(weight.detach(), -0.01 * weight.grad.sign(), rtol=1e-3, atol=1e-6)


def test_directions_that_gradients_seldom_point_in_are_learned_as_fast() -> None:
    """Where Adam is slow: the loss falls a thousand times faster along one direction."""
    torch.manual_seed(0)
    inputs = torch.randn(256, 8) * torch.logspace(0, -1.5, 8)
    inputs = inputs @ torch.linalg.qr(torch.randn(8, 8))[0]
    wanted = torch.linalg.qr(torch.randn(8, 8))[0]
    losses = []
    for kind in (Muon, torch.optim.Adam):
        layer = nn.Linear(8, 8, bias=False)
        nn.init.zeros_(layer.weight)
        optimizer = kind(layer.parameters(), lr=0.02)
        for step in range(150):
            optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 150)
            optimizer.zero_grad()
            loss = (layer(inputs) - inputs @ wanted.mT).square().mean()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())

    assert losses[0] < 0.5 * losses[1]
