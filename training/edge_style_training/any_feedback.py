"""How what is painted follows a code, learned from styles; encoder and transformer stay.

With a trained transformer as it is, the best code for a picture is often far better than the one
that the encoder guesses: Escher's sphere, kept aside, came from a total loss of 269k to 162k when
the 95 numbers of its code alone were optimized. What a guess paints tells in which direction it is
off: see `networks.feedback`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from itertools import chain, islice

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style_training.networks.any_style import AnyStyleNet
from edge_style_training.networks.feedback import STROKES_PX, WIDTHS, TryingEncoder
from edge_style_training.networks.style_encoder import ENCODER_LAYERS, STYLE_PX, StyleEncoder
from edge_style_training.pruning import prune
from edge_style_training.vgg import LossNetwork

# Of the numbers of a code, at random, to see how what it paints follows: about by how much they are
# off.
_CHANGE = 0.2
_CHANGES = 4
# To fit the VGG that looks to, beside as many pictures of what is painted with their codes; a part
# of each, since many pictures tell more than large ones.
_STYLES_FOR_VGG = 16
_PART_PX = 224
# What is painted shows how to read codes from pictures, too, but it is pictures of all kinds that
# will be read.
_STYLE_WEIGHT, _PAINTED_WEIGHT = 3.0, 1.0


def with_feedback(
    network: AnyStyleNet,
    styles: Iterable[Tensor],
    vgg: LossNetwork,
    seed: int,
    autocast: Callable[[], AbstractContextManager[object]],
) -> AnyStyleNet:
    """`network` with feedback, learned from some styles; forward passes only.

    Args:
        network: trained; it stays as it is.
        styles: to learn from, uint8 [3, S, S], as large as pictures are when they are encoded,
            `STROKES_PX`.
        vgg: with `ENCODER_LAYERS`, in place of the encoder's own.
        seed: of the changes that are tried, and of the directions of the feedback.
        autocast: the precision in which the network computes.
    """
    device = next(network.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of the directions along which pictures are told apart
        whole = network.with_feedback().eval().to(device)
    encode = whole.whole_encoder
    assert isinstance(encode, TryingEncoder)
    encoder, feedback = encode.encoder, encode.feedback

    def paint(code: Tensor) -> Tensor:
        with autocast():
            painted = encode.paint(code)
        return painted.float()

    def found_in(pictures: Tensor) -> Tensor:
        return components_of(encoder, vgg, pictures)

    with torch.no_grad():
        coming = (style.to(device).float().unsqueeze(0) for style in styles)
        first = list(islice(coming, _STYLES_FOR_VGG))
        likely = [paint(encoder.code_from(found_in(style))) for style in first]
        part_px = min(_PART_PX, first[0].shape[2])
        parts = [picture[:, :, :part_px, :part_px] for picture in (*first, *likely)]
        feedback.vgg = prune(encoder.vgg, WIDTHS, torch.cat(parts), seed)
        draw = torch.Generator().manual_seed(seed)
        tried: list[tuple[Tensor, ...]] = []
        read: list[tuple[Tensor, ...]] = []
        for style in chain(first, coming):
            components = found_in(style)
            code = encoder.code_from(components)
            pictures = [style]
            change = _CHANGE * torch.randn(_CHANGES, code.shape[1] - 1, generator=draw).to(code)
            codes = torch.cat([code, code + F.pad(change, (1, 0))])
            pictures += [paint(one.unsqueeze(0)) for one in codes]
            activations = [feedback.vgg(picture) for picture in pictures]
            numbers = torch.cat([feedback.numbers(each) for each in activations[1:]])
            tried.append((numbers[:1].expand(_CHANGES, -1), change, numbers[1:]))
            seen = [
                feedback.seen(encoder.colours(picture), each)
                for picture, each in zip(pictures, activations, strict=True)
            ]
            wanted = [components, *(found_in(picture) for picture in pictures[1:])]
            weights = [_STYLE_WEIGHT, *[_PAINTED_WEIGHT] * len(codes)]
            read.append((torch.cat(seen), torch.cat(wanted), torch.tensor(weights).to(code)))
        feedback.learn(*(torch.cat(column) for column in zip(*tried, strict=True)))
        feedback.learn_guess(*(torch.cat(column) for column in zip(*read, strict=True)))
    return whole


def components_of(encoder: StyleEncoder, vgg: LossNetwork, pictures: Tensor) -> Tensor:
    """What the encoder finds in pictures [N, 3, H, W], 0..255, whose strokes are to be painted.

    It sees them smaller, as in the training.
    """
    sides = [max(1, round(side * STYLE_PX / STROKES_PX)) for side in pictures.shape[2:]]
    smaller = F.interpolate(pictures, sides, mode="area")
    return encoder.components_of(encoder.statistics(smaller, vgg(smaller, ENCODER_LAYERS)))
