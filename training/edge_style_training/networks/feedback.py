"""What corrects a guessed code, by what the transformer paints with it.

How well a guess paints shows when it has painted: the encoder can look at what the transformer
makes of a reference picture with its code, and correct the code by how that differs from the style
(error feedback, Carreira et al. 2016, arXiv 1507.06550). What differs are Gram matrices, the style
loss itself, so that a correction is a step of Gauss and Newton towards a smaller loss; it holds for
any style, also for one unlike all that the training had.

Looking costs more than painting. So it is done by a pruned VGG, see `pruning`, and what it sees of
the style is what the guess is made of as well.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style_training.losses import gram_matrix
from edge_style_training.networks.style_encoder import (
    COLOUR_NUMBERS,
    ENCODER_LAYERS,
    StyleEncoder,
    moments_of,
)
from edge_style_training.reference import SIDE_PX, reference_picture
from edge_style_training.vgg import LossNetwork

# Short side of the picture whose strokes are painted: larger strokes than a guess of a training
# sees, since few pixels tell what a style is, and a frame has more of them.
STROKES_PX = 384

# Of the convolutions of the VGG that looks. With (32, 32, 64, 64, 64) codes painted 1% better,
# with (16, 24, 40, 48, 48) 4% worse.
WIDTHS = (16, 32, 48, 64, 64)
# Whose Gram matrices are compared where codes are tried. Deeper layers cost as much again, and what
# suits these suits those.
TRIED_LAYERS = ("relu1_2", "relu2_2")
_WIDTH_AT = {"relu1_2": WIDTHS[1], "relu2_2": WIDTHS[3], "relu3_1": WIDTHS[4]}
# Along which deviations are measured, beside those of single channels.
_DIRECTIONS = {"relu1_2": 64, "relu2_2": 128, "relu3_1": 128}

# Of the mean curvature, in directions in which a code hardly changes what is painted (Levenberg
# 1944). Between 0.3 and 1 it made no difference to the mean of eight pictures.
_DAMPING = 0.5
# By how much a code changes in one step at most: the slope holds for changes like those that it was
# learned from, which had this length. Pictures need less, only a flat pattern wanted far more.
_LONGEST_STEP = 2.0
# How a Gram number follows a code is learned for channels of all the same size; it goes with the
# root of the two channels' sizes. By these, of a random change's effect in a style not learned from
# 0.75 was foretold; without them 0.5, by the sizes themselves 0.5.
_SMALLEST_SIZE = 1e-3
_RIDGE = 0.02
# Of moments that hardly vary.
_SMALLEST_SPREAD = 1e-3
# Of the variance of a moment.
_GUESS_RIDGE = 3e-3
# Of conjugate gradients. With that damping, a thousandth from the solution.
_ROUNDS = 16
# Where all is zero nothing is divided by it. As a least, not as a summand: so small a one would be
# left out of an exported graph.
_TINY = 1e-30
# A correction that takes this share off the loss is taken as a whole, of one that takes off less as
# much less: it may as well be worse on other frames, and files of all precisions should agree.
_WORTH_ALL = 0.15


class Feedback(nn.Module):
    """How a code should change, by what the transformer paints with it: learned, not trained.

    Gram matrices of `TRIED_LAYERS` are held as vectors, their numbers, whose squared differences
    sum up to the style loss: entries on the diagonal, and those below it times the root of two, all
    by the width of the layer. They follow a code nearly linearly, with a slope that goes with how
    strong the two channels are that a number is of.

    Attributes:
        vgg: what looks, with `ENCODER_LAYERS`, of `WIDTHS`.
    """

    def __init__(self, code: int) -> None:
        """Fresh, which changes no code; `AnyStyleNet.with_feedback` gives it a picture to try on.

        Args:
            code: how many numbers a code has, S.
        """
        super().__init__()
        self.vgg = LossNetwork(ENCODER_LAYERS, widths=WIDTHS)
        # Painting the reference takes seconds, and a checkpoint brings it.
        self.register_buffer("reference", torch.zeros(1, 3, SIDE_PX, SIDE_PX, dtype=torch.uint8))
        seen = COLOUR_NUMBERS
        for layer, width in _WIDTH_AT.items():
            directions = torch.randn(_DIRECTIONS[layer], width) / width**0.5
            self.register_buffer(f"directions_{layer}", directions)
            seen += 2 * width + len(directions)
        numbers = 0
        for layer in TRIED_LAYERS:
            width = _WIDTH_AT[layer]
            rows, columns = torch.tril_indices(width, width)
            weights = torch.where(rows == columns, 1.0, 2**0.5) / width
            channels = torch.arange(width)
            for name, value in (
                ("places", rows * width + columns),
                ("weights", weights),
                ("own", channels * (channels + 3) // 2 + numbers),
            ):
                self.register_buffer(f"{name}_{layer}", value, persistent=False)
            numbers += len(rows)
        # Half precision: the slope of one style is another's by 0.75 at best.
        self.register_buffer("slope", torch.zeros(code - 1, numbers, dtype=torch.float16))
        # See `learn_guess`.
        self.register_buffer("usual", torch.zeros(seen))
        self.register_buffer("spread", torch.ones(seen))
        foretold = code - 1 - COLOUR_NUMBERS
        self.register_buffer("usual_components", torch.zeros(foretold))
        self.register_buffer("foreteller", torch.zeros(seen, foretold, dtype=torch.float16))

    def learn_reference(self) -> None:
        """Paint the picture that codes are tried on."""
        self.get_buffer("reference").copy_(reference_picture())

    def seen(self, colours: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """Moments of what `vgg` sees in pictures, float32 [N, M], those of colours first.

        Args:
            colours: `StyleEncoder.colours` of the pictures.
            activations: of `vgg` for them at `ENCODER_LAYERS`, [N, C, H, W].
        """
        found = [colours]
        for layer in ENCODER_LAYERS:
            mean = activations[layer].float().mean(dim=(2, 3))
            # The same Gram matrix is compared: in an exported graph it is computed once.
            second = gram_matrix(activations[layer]) * mean.shape[1]
            covariance = second - mean.unsqueeze(2) * mean.unsqueeze(1)
            directions = self.get_buffer(f"directions_{layer}")
            found.append(moments_of(mean, covariance, directions))
        return torch.cat(found, dim=1)

    def foretold(self, seen: Tensor) -> Tensor:
        """What the encoder would find in pictures of which that is `seen` [N, M], [N, S - 10].

        `StyleEncoder.components_of`, without those of colours, which are known as they are.
        """
        unusual = (seen - self.get_buffer("usual")) / self.get_buffer("spread")
        found: Tensor = unusual @ self.get_buffer("foreteller").float()
        return found + self.get_buffer("usual_components")

    @torch.no_grad()
    def learn_guess(self, seen: Tensor, components: Tensor, weights: Tensor) -> None:
        """Learn `foretold` from N pictures, by ridge regression.

        Args:
            seen: in the pictures [N, M].
            components: `StyleEncoder.components_of` them [N, S - 1].
            weights: of the pictures [N].
        """
        share = (weights / weights.sum()).double().unsqueeze(1)
        seen, wanted = seen.double(), components[:, COLOUR_NUMBERS:].double()
        usual, mean = (share * seen).sum(dim=0), (share * wanted).sum(dim=0)
        spread = (share * (seen - usual).square()).sum(dim=0).sqrt().clamp_min(_SMALLEST_SPREAD)
        unusual = (seen - usual) / spread
        covariance = unusual.T @ (share * unusual)
        covariance.diagonal().add_(_GUESS_RIDGE)
        foreteller = torch.linalg.solve(covariance, unusual.T @ (share * (wanted - mean)))
        for name, value in (
            ("usual", usual),
            ("spread", spread),
            ("usual_components", mean),
            ("foreteller", foreteller),
        ):
            self.get_buffer(name).copy_(value)

    def numbers(self, activations: Mapping[str, Tensor]) -> Tensor:
        """Of the Gram matrices of `activations` [N, C, H, W] at `TRIED_LAYERS`, float32 [N, G]."""
        found = []
        for layer in TRIED_LAYERS:
            gram = gram_matrix(activations[layer]).flatten(1)
            places, weights = (self.get_buffer(f"{name}_{layer}") for name in ("places", "weights"))
            found.append(gram.index_select(1, places) * weights.float())
        return torch.cat(found, dim=1)

    def slope_of(self, painted: Tensor) -> Tensor:
        """How numbers follow a code [N, S - 1, G] where they are `painted` [N, G]."""
        return self.get_buffer("slope").float() * self._sizes(painted).unsqueeze(1)

    def _sizes(self, painted: Tensor) -> Tensor:
        """Roots of the two channels' sizes, for each of the numbers `painted` [N, G]."""
        found = []
        for layer in TRIED_LAYERS:
            own = painted.index_select(1, self.get_buffer(f"own_{layer}")).clamp_min(0)
            own = own + _SMALLEST_SIZE * own.mean(dim=1, keepdim=True)
            own = own.clamp_min(_TINY).sqrt().sqrt()
            pairs = (own.unsqueeze(2) * own.unsqueeze(1)).flatten(1)
            found.append(pairs.index_select(1, self.get_buffer(f"places_{layer}")))
        return torch.cat(found, dim=1)

    @torch.no_grad()
    def learn(self, painted: Tensor, change: Tensor, painted_then: Tensor) -> None:
        """Learn from N changes how what is painted follows a code.

        Args:
            painted: numbers of what codes painted [N, G].
            change: of the codes, at random, [N, S - 1].
            painted_then: numbers of what the changed codes painted [N, G].
        """
        shown = (painted_then - painted) / self._sizes(painted)
        moments = change.T @ change
        ridge = _RIDGE * moments.diagonal().mean() * torch.eye(len(moments)).to(moments)
        slope = torch.linalg.solve(moments + ridge, change.T @ shown)
        self.get_buffer("slope").copy_(slope)


class TryingEncoder(nn.Module):
    """Pictures of styles [N, 3, H, W], RGB, 0..255, to codes [N, S]: guessed, tried, corrected.

    It wants pictures of `STROKES_PX` on their short side. Of a correction that paints no better
    nothing is taken, of one that hardly does a part. The second is not tried any more: it is taken
    as the first was, which it resembles, and trying it changed codes so little that the pictures
    were as good without.
    """

    def __init__(self, encoder: StyleEncoder, transformer: nn.Module, feedback: Feedback) -> None:
        super().__init__()
        self.code = encoder.code
        self.picture_px = STROKES_PX
        self.encoder = encoder
        self.transformer = transformer
        self.feedback = feedback

    def paint(self, code: Tensor) -> Tensor:
        """The reference in the styles of codes [N, S]: [N, 3, H, W], 0..255."""
        reference = self.feedback.get_buffer("reference").to(code).expand(len(code), -1, -1, -1)
        painted: Tensor = self.transformer(reference, code)
        return painted.clamp(0, 255)

    def tried(self, code: Tensor) -> Tensor:
        """Gram numbers [N, G] of what codes [N, S] paint."""
        return self.feedback.numbers(self.feedback.vgg(self.paint(code), TRIED_LAYERS))

    def guess(self, pictures: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """Codes [N, S] of pictures, of what `Feedback.vgg` sees in them at `ENCODER_LAYERS`."""
        colours = self.encoder.colours(pictures)
        foretold = self.feedback.foretold(self.feedback.seen(colours, activations))
        return self.encoder.code_from(self.encoder.components_with(colours, foretold))

    def forward(self, pictures: Tensor) -> Tensor:
        feedback = self.feedback
        activations = feedback.vgg(pictures)
        wanted = feedback.numbers(activations)
        code = self.guess(pictures, activations)
        painted = self.tried(code)
        slope = feedback.slope_of(painted)
        left = wanted - painted
        step = _not_far(_least_squares(slope, left))
        moved = self.tried(code + F.pad(step, (1, 0))) - painted
        loss, loss_then = (apart.square().sum(dim=1) for apart in (left, left - moved))
        share = ((1 - loss_then / loss.clamp_min(_TINY)) / _WORTH_ALL).clamp(0, 1).unsqueeze(1)
        code, painted = code + share * F.pad(step, (1, 0)), painted + share * moved
        # The slope is other styles'; along this step it is known now (Broyden 1965).
        surprise = moved - (step.unsqueeze(1) @ slope).squeeze(1)
        along = step / step.square().sum(dim=1, keepdim=True).clamp_min(_TINY)
        slope = feedback.slope_of(painted) + along.unsqueeze(2) * surprise.unsqueeze(1)
        step = _not_far(_least_squares(slope, wanted - painted))
        return code + share * F.pad(step, (1, 0))


def _not_far(step: Tensor) -> Tensor:
    """Steps [N, S], those shortened that are longer than is known about."""
    length = step.square().sum(dim=1, keepdim=True).clamp_min(_TINY).sqrt()
    shortened: Tensor = step * (_LONGEST_STEP / length).clamp(max=1)
    return shortened


def _least_squares(slope: Tensor, left: Tensor) -> Tensor:
    """The step [N, S] after which of `left` [N, G] least is left, where `slope` [N, S, G] holds.

    Damped (Levenberg 1944), by conjugate gradients (Hestenes and Stiefel 1952): neither ONNX nor
    its runtimes solve linear equations.
    """
    curvature = slope @ slope.transpose(1, 2)
    damping = _DAMPING * curvature.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]
    residual = slope @ left.unsqueeze(2)
    step, direction = torch.zeros_like(residual), residual
    size = residual.square().sum(dim=1, keepdim=True)
    for _ in range(_ROUNDS):
        image = curvature @ direction + damping * direction
        way = size / (direction * image).sum(dim=1, keepdim=True).clamp_min(_TINY)
        step, residual = step + way * direction, residual - way * image
        size_then = residual.square().sum(dim=1, keepdim=True)
        direction = residual + size_then / size.clamp_min(_TINY) * direction
        size = size_then
    return step.squeeze(2)
