"""Where the decoder's training begins: each block as good as a linear one can be.

The convolution that gives a block's result is fitted by ridge regression to what the encoder had
there; the ones before it pass their features on, which are never negative, as they are. A minute
of linear algebra stands for the first thousand steps of a training.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training.photo.networks import PhotoDecoder, PhotoEncoder, low_band

# Added to the diagonal, relative to its mean.
_RIDGE = 1e-2
# Positions that one crop gives at a level: enough of them come from several crops.
_POSITIONS_A_CROP = 256


def start_from_least_squares(
    encoder: PhotoEncoder, decoder: PhotoDecoder, crops: Iterable[Tensor], seed: int = 0
) -> None:
    """Fit the decoder's blocks to the encoder's features of `crops`, each [N, 3, S, S], 0..255.

    Deepest first, each on what the fitted ones before it give, so that it makes good for them.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        seen = [(encoder.scaled(crop), encoder(crop)) for crop in crops]
        sources = [features[-1] for _, features in seen]
        for number, block in enumerate(decoder.blocks):
            level = len(decoder.blocks) - number - 2  # whose features are to be made; -1 the image
            gram = cross = torch.zeros(())
            for source, (image, features) in zip(sources, seen, strict=True):
                target = low_band(features[level]) if level >= 0 else image
                rows, wanted = _rows(source, target, generator)
                gram, cross = gram + rows.T @ rows, cross + rows.T @ wanted
            _fit_block(block, gram, cross)
            if level >= 0:
                details = (features[level] for _, features in seen)
                sources = [
                    decoder.step(number, source, full)
                    for source, full in zip(sources, details, strict=True)
                ]


def _rows(source: Tensor, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """3x3 neighbourhoods [P, 9 C + 1] of some positions, and the target's values [P, D] there."""
    patches = F.unfold(source, 3, padding=1)
    positions = torch.randperm(patches.shape[2], generator=generator)
    positions = positions[: min(patches.shape[2], _POSITIONS_A_CROP)]
    rows = patches[:, :, positions].transpose(1, 2).flatten(0, 1)
    wanted = target.flatten(2)[:, :, positions].transpose(1, 2).flatten(0, 1)
    return torch.cat([rows, torch.ones(len(rows), 1)], dim=1), wanted


def _fit_block(block: nn.Module, gram: Tensor, cross: Tensor) -> None:
    convolutions = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    for convolution in convolutions[:-1]:
        nn.init.dirac_(convolution.weight)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    last = convolutions[-1]
    gram = gram.double()
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
    solution = torch.linalg.solve(gram, cross.double()).float()
    last.weight.copy_(solution[:-1].T.reshape(last.weight.shape))
    if last.bias is not None:
        last.bias.copy_(solution[-1])
