"""A VGG with fewer channels that sees nearly the same, without a training.

Channel pruning by least squares (He, Zhang and Sun 2017, arXiv 1707.06168), a convolution after the
other: of its channels those are kept in terms of which all of them are expressed best (greedy
column subset selection, Farahat, Ghodsi and Kamel 2011, arXiv 1312.6838), and their weights are
fitted to what they give in VGG, from what the pruned convolutions before give.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training.vgg import LossNetwork

# Added to the diagonal, relative to its mean.
_RIDGE = 1e-4
# Of a picture, whose neighbourhoods a convolution is fitted to.
_POSITIONS = 2500
# A channel of which the others have left less than this share of a mean channel's energy is chosen
# no more: what is divided by there is rounding.
_NOTHING_LEFT = 1e-6


@torch.no_grad()
def prune(vgg: LossNetwork, widths: Sequence[int], pictures: Tensor, seed: int) -> LossNetwork:
    """`vgg` with convolutions of those widths, for the same layers.

    Args:
        vgg: float32, with pooling by the maximum.
        widths: of its convolutions, as many as it has; at most its own.
        pictures: to fit it to, of the kind that it will see [N, 3, H, W], RGB, 0..255.
        seed: of the positions that are looked at.
    """
    pruned = LossNetwork(vgg.layers, widths=widths).to(pictures.device)
    draw = torch.Generator().manual_seed(seed)
    whole = narrow = pictures - vgg.get_buffer("mean")
    for theirs, own in zip(vgg.features, pruned.features, strict=True):
        if isinstance(theirs, nn.Conv2d) and isinstance(own, nn.Conv2d):
            answer = theirs(whole)
            number = answer.shape[2] * answer.shape[3]
            places = torch.randperm(number, generator=draw)[:_POSITIONS].to(pictures.device)
            values = answer.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
            kept = most_telling(values.relu(), own.out_channels)
            if narrow is whole:  # the picture itself
                weight, bias = theirs.weight[kept], _bias(theirs)[kept]
            else:
                rows = [F.unfold(one[None], 3, padding=1)[0, :, places].T for one in narrow]
                weight, bias = _least_squares(torch.cat(rows), values[:, kept])
            own.weight.copy_(weight.reshape(own.weight.shape))
            _bias(own).copy_(bias)
            whole, narrow = answer, own(narrow)
        else:
            whole, narrow = theirs(whole), own(narrow)
    return pruned.eval()


def most_telling(values: Tensor, number: int) -> list[int]:
    """The columns of `values` [P, C] of which the others are best made as linear sums, in order."""
    left = (values.T @ values).double()
    least = _NOTHING_LEFT * float(left.diagonal().mean())
    chosen: list[int] = []
    for _ in range(number):
        energy = left.diagonal().clamp_min(least)
        explained = left.square().sum(dim=0) / energy
        explained[chosen] = -1
        best = int(explained.argmax())
        chosen.append(best)
        left = left - torch.outer(left[best], left[best]) / energy[best]
    return sorted(chosen)


def _least_squares(rows: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [D, R] and biases [D] that give `wanted` [P, D] from `rows` [P, R]."""
    rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1).double()
    gram = rows.T @ rows
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
    solution = torch.linalg.solve(gram, rows.T @ wanted.double()).float()
    return solution[:-1].T, solution[-1]


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias
