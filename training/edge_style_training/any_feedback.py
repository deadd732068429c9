"""How what is painted follows a code, learned from styles; encoder and transformer stay.

With a trained transformer as it is, the best code for a picture is often far better than the one
that the encoder guesses: Escher's sphere, kept aside, came from a total loss of 269k to 162k when
the 95 numbers of its code alone were optimized. What a guess paints tells in which direction it is
off: see `networks.any_style.Feedback`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style_training.any_training import StyleBank
from edge_style_training.networks.any_style import TRIED_LAYERS, AnyStyleNet, TryingEncoder
from edge_style_training.vgg import LossNetwork

# Of the numbers of a code, at random, to see how what it paints follows: about by how much they are
# off.
_CHANGE = 0.2
_CHANGES = 4


def with_feedback(
    network: AnyStyleNet,
    styles: StyleBank,
    vgg: LossNetwork,
    numbers: Iterable[int],
    seed: int,
    autocast: Callable[[], AbstractContextManager[object]],
) -> AnyStyleNet:
    """`network` with feedback, learned from some styles; forward passes only, five for a style.

    Args:
        network: trained; it stays as it is.
        styles: crops as large as pictures are when they are encoded, `STROKES_PX`.
        vgg: with `TRIED_LAYERS`, in place of the encoder's own.
        numbers: of the styles to learn from.
        seed: of the changes that are tried.
        autocast: the precision in which the network computes.
    """
    device = next(network.parameters()).device
    whole = network.with_feedback().eval().to(device)
    encode = whole.whole_encoder
    assert isinstance(encode, TryingEncoder)
    changes = torch.Generator().manual_seed(seed)

    def tried(code: Tensor) -> Tensor:
        with autocast():
            painted = encode.paint(code)
        return encode.feedback.numbers(vgg(painted.float(), TRIED_LAYERS))

    seen: list[tuple[Tensor, ...]] = []
    with torch.no_grad():
        for each in numbers:
            code = encode.encoder.code_of(styles([each]).statistics)
            painted = tried(code)
            for _ in range(_CHANGES):
                change = _CHANGE * torch.randn(1, code.shape[1] - 1, generator=changes).to(code)
                seen.append((painted, change, tried(code + F.pad(change, (1, 0)))))
    encode.feedback.learn(*(torch.cat(column) for column in zip(*seen, strict=True)))
    return whole
