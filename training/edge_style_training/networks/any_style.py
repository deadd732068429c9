"""Any picture as the style: a lean network of many styles, and what predicts its style weights.

Ghiasi et al. 2017 (arXiv 1705.06830) predict all scales and shifts of a many-style network from a
picture of the style. Here they go by way of a short code: the transformer is a lean network whose
`style` input are the code's numbers, so that its scales and shifts are linear in the code, codes
blend as styles do, and the model contract stays as it is. The first number is always 1: what goes
with it is what all styles have in common.

The encoder looks at the picture with the first layers of VGG, which are not trained: a style is
what their activations have as statistics, and a small pool of pictures teaches no better ones.
Means, deviations, and deviations along random directions, more than a thousand numbers that go
together in many ways, are turned into as many independent ones as a code has (principal components
of the styles in the training). The colours' own mean and covariance come first, unmixed: nothing is
seen so soon as a colour that is a little off. A trained head corrects all these, and the
transformer learns what they mean.

How well such a guess paints shows when it has painted: the encoder can look at what the transformer
makes of a reference picture with its code, and correct the code by how that differs from the style
(error feedback, Carreira et al. 2016, arXiv 1507.06550). What differs are Gram matrices, the style
loss itself, so that a correction is a step of Gauss and Newton towards a smaller loss; it holds for
any style, also for one unlike all that the training had.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor, nn

from edge_style.errors import WeightsError
from edge_style_training.losses import gram_matrix
from edge_style_training.networks.lean import CoarseStage, LeanConfig, LeanNet
from edge_style_training.reference import SIDE_PX, reference_picture
from edge_style_training.vgg import LossNetwork

ENCODER_LAYERS = ("relu1_2", "relu2_2", "relu3_1")
# Short side at which pictures of styles are looked at, in training and at run time, to guess codes.
STYLE_PX = 256
# Short side of the picture whose strokes are painted: larger strokes than it sees, since few pixels
# tell what a style is, and a frame has more of them.
STROKES_PX = 384

_WIDTHS = {"relu1_2": 64, "relu2_2": 128, "relu3_1": 256}
# Three means, deviations of three channels and of the sums of two each: as much as a covariance.
_COLOUR_NUMBERS = 9
_SMALLEST_DEVIATION = 1e-3
# Of a component's variance, where a statistic's is one: what is below is not blown up.
_SMALLEST_VARIANCE = 0.3
# Of a component, in deviations: what is beyond says no more.
_MOST_UNUSUAL = 4.0

# Whose Gram matrices are compared where codes are tried. Deeper layers cost as much again, and what
# suits these suits those.
TRIED_LAYERS = ("relu1_2", "relu2_2")
_TRIALS = 2
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
# Of conjugate gradients. With that damping, a thousandth from the solution.
_ROUNDS = 16
# Where all is zero nothing is divided by it. As a least, not as a summand: so small a one would be
# left out of an exported graph.
_TINY = 1e-30
# A correction that takes this share off the loss is taken as a whole, of one that takes off less as
# much less: it may as well be worse on other frames, and files of all precisions should agree.
_WORTH_ALL = 0.15

# Instance normalizations carry the style, at no cost; those at the end of a residual block are
# fixed and fold away, so that the int8 sum stays whole. The stem's has to be one: what it gives
# reaches the head directly, colours and details of the photo, and a fixed one would cost as much.
# The last, in front of the head, sets colours and contrast of the picture: without it a training of
# 200 steps had 1.2 times the loss.
_TRANSFORMER = LeanConfig(
    blocks=0,
    coarse_blocks=5,
    coarse_width=64,
    head_norm=True,
    instance_at=(0, 1, 2, 4, 6, 8, 10),
    border_px=24,
)


@dataclass(frozen=True)
class AnyStyleConfig:
    """Settings of the network for any style.

    Attributes:
        code: numbers of a code, the first of which is always 1.
        directions: of the activations of a layer, along which deviations are measured, beside those
            of single channels; at relu1_2, twice as many a layer on.
        hidden: width of the head.
        feedback: whether a code is tried out and corrected, or taken as it is guessed.
        transformer: settings of the lean network; those about styles follow from the rest.
    """

    code: int = 96
    directions: int = 32
    hidden: int = 128
    feedback: bool = False
    transformer: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.code < _COLOUR_NUMBERS + 2 or min(self.directions, self.hidden) < 1:
            raise ValueError(
                f"code should be at least {_COLOUR_NUMBERS + 2}, directions and hidden at least 1"
            )
        if {"styles", "styled_at"} & set(self.transformer):
            raise ValueError("styles and styled_at of the transformer follow from the code")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "AnyStyleConfig":
        """Of settings that a recipe or a file gives.

        Raises:
            WeightsError: there is no such setting, or its value cannot be; also the transformer's.
        """
        try:
            config = cls(**settings)
            _ = config.lean
        except (TypeError, ValueError) as error:
            raise WeightsError(f"architecture 'any' cannot be built: {error}") from error
        return config

    def agrees(self, other: "AnyStyleConfig") -> bool:
        """Whether both describe one network; defaults may be written down or not."""
        own, its = ((c.code, c.directions, c.hidden, c.feedback, c.lean) for c in (self, other))
        return own == its

    @property
    def lean(self) -> LeanConfig:
        """Settings of the transformer as a network of many styles."""
        given = dict(self.transformer)
        if "instance_at" in given:
            given["instance_at"] = tuple(given["instance_at"])
        settings = {**vars(_TRANSFORMER), **given}
        styled_at = settings["instance_at"] if settings["norm"] != "instance" else None
        return LeanConfig(**{**settings, "styles": self.code, "styled_at": styled_at})


class StyleEncoder(nn.Module):
    """Pictures of styles [N, 3, H, W], RGB, 0..255, to codes [N, S]."""

    def __init__(self, config: AnyStyleConfig) -> None:
        super().__init__()
        self.code = config.code
        self.picture_px = STYLE_PX
        self.vgg = LossNetwork(ENCODER_LAYERS)
        numbers = _COLOUR_NUMBERS
        pairs = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
        self.register_buffer("directions_colours", pairs / 2**0.5)
        for depth, (layer, width) in enumerate(_WIDTHS.items()):
            directions = config.directions << depth
            self.register_buffer(f"directions_{layer}", torch.randn(directions, width) / width**0.5)
            numbers += 2 * width + directions
        # See `learn_usual`.
        self.register_buffer("usual", torch.zeros(numbers))
        self.register_buffer("components", torch.zeros(numbers, config.code - 1))
        last = nn.Linear(config.hidden, config.code - 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        first = nn.Linear(config.code - 1, config.hidden)
        self.head = nn.Sequential(first, nn.ReLU(), last)

    def statistics(self, pictures: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """What tells styles apart, float32 [N, F], the numbers of colours first.

        Args:
            pictures: [N, 3, H, W], RGB, 0..255.
            activations: VGG's for them at `ENCODER_LAYERS`, [N, C, H, W].
        """
        found = self._moments(pictures, "colours")
        for layer in ENCODER_LAYERS:
            found += self._moments(activations[layer], layer)
        return torch.cat(found, dim=1)

    def _moments(self, values: Tensor, name: str) -> list[Tensor]:
        """Means and deviations of channels, and deviations along the directions of that name."""
        x = values.float().flatten(2)
        mean = x.mean(dim=2)
        centred = x - mean.unsqueeze(2)
        covariance = centred @ centred.transpose(1, 2) / x.shape[2]
        directions = self.get_buffer(f"directions_{name}")
        along = ((directions @ covariance) * directions).sum(dim=2)
        own = covariance.diagonal(dim1=1, dim2=2)
        # A root has no finite slope at zero, where a flat picture has its variances.
        return [mean, (own.clamp_min(0) + 1).sqrt(), (along.clamp_min(0) + 1).sqrt()]

    @torch.no_grad()
    def learn_usual(self, statistics: Tensor) -> None:
        """Learn from `statistics` [N, F] of many styles what is usual and in what they differ."""
        deviation, mean = torch.std_mean(statistics, dim=0, correction=0)
        deviation = deviation.clamp_min(_SMALLEST_DEVIATION)
        colours = _COLOUR_NUMBERS
        unusual = (statistics - mean) / deviation
        _, values, directions = torch.linalg.svd(unusual[:, colours:], False)
        number = min(self.code - 1 - colours, len(values))
        spread = (values[:number].square() / len(statistics) + _SMALLEST_VARIANCE).sqrt()
        self.get_buffer("usual").copy_(mean)
        components = self.get_buffer("components").zero_()
        components[:colours, :colours] = deviation[:colours].reciprocal().diag()
        components[colours:, colours : colours + number] = (
            directions[:number].T / spread / deviation[colours:, None]
        )

    def code_of(self, statistics: Tensor) -> Tensor:
        """Codes [N, S] of pictures whose `statistics` [N, F] are known."""
        unusual = statistics - self.get_buffer("usual")
        independent = unusual @ self.get_buffer("components")
        independent = independent.clamp(-_MOST_UNUSUAL, _MOST_UNUSUAL)
        code: Tensor = independent + self.head(independent)
        return torch.cat([torch.ones_like(code[:, :1]), code], dim=1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.code_of(self.statistics(pictures, self.vgg(pictures)))


class Feedback(nn.Module):
    """How a code should change, by what the transformer paints with it: learned, not trained.

    Gram matrices of `TRIED_LAYERS` are held as vectors, their numbers, whose squared differences
    sum up to the style loss: entries on the diagonal, and those below it times the root of two, all
    by the width of the layer. They follow a code nearly linearly, with a slope that goes with how
    strong the two channels are that a number is of.
    """

    def __init__(self, code: int) -> None:
        """Fresh, which changes no code; `AnyStyleNet.with_feedback` gives it a picture to try on.

        Args:
            code: how many numbers a code has, S.
        """
        super().__init__()
        # Painting the reference takes seconds, and a checkpoint brings it.
        self.register_buffer("reference", torch.zeros(1, 3, SIDE_PX, SIDE_PX, dtype=torch.uint8))
        numbers = 0
        for layer in TRIED_LAYERS:
            width = _WIDTHS[layer]
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

    It wants pictures of `STROKES_PX` on their short side. A code that paints no better than the one
    before it is not taken, so that where the estimate is wrong nothing is lost.
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
        return self.feedback.numbers(self.encoder.vgg(self.paint(code), TRIED_LAYERS))

    def forward(self, pictures: Tensor) -> Tensor:
        vgg, feedback = self.encoder.vgg, self.feedback
        wanted = feedback.numbers(vgg(pictures, TRIED_LAYERS))
        code: Tensor = self.encoder(_two_thirds(pictures))
        painted = self.tried(code)
        unforeseen = torch.zeros_like(feedback.slope_of(painted))
        for _ in range(_TRIALS):
            slope = feedback.slope_of(painted) + unforeseen
            left = wanted - painted
            step = _not_far(_least_squares(slope, left))
            moved = self.tried(code + F.pad(step, (1, 0))) - painted
            # The slope is other styles'; along this step it is known now (Broyden 1965).
            surprise = moved - (step.unsqueeze(1) @ slope).squeeze(1)
            along = step / step.square().sum(dim=1, keepdim=True).clamp_min(_TINY)
            unforeseen = unforeseen + along.unsqueeze(2) * surprise.unsqueeze(1)
            loss, loss_then = (apart.square().sum(dim=1) for apart in (left, left - moved))
            share = ((1 - loss_then / loss.clamp_min(_TINY)) / _WORTH_ALL).clamp(0, 1).unsqueeze(1)
            code = code + share * F.pad(step, (1, 0))
            painted = painted + share * moved
        return code


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


def _two_thirds(pictures: Tensor) -> Tensor:
    """Pictures [N, 3, H, W], as sharp as if they had been brought to that size at once.

    How sharp a picture is says much of its style. The mean of the square under a pixel is too soft,
    what is interpolated less so; as far beyond as between these, the encoder's statistics were
    nearest to those of a picture at that size.
    """
    # No spline in place of these: onnxruntime has one for one layout only.
    soft = F.avg_pool2d(F.interpolate(pictures, scale_factor=2, mode="nearest"), 3)
    between = F.interpolate(pictures, scale_factor=2 / 3, mode="bilinear", align_corners=False)
    return (2 * between - soft).clamp(0, 255)


AnyEncoder: TypeAlias = StyleEncoder | TryingEncoder


class AnyStyleNet(nn.Module):
    """The encoder, the transformer, and what corrects the one by what the other paints."""

    stride_px = LeanNet.stride_px

    def __init__(self, config: AnyStyleConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = StyleEncoder(config)
        self.transformer = LeanNet(config.lean)
        self.feedback = Feedback(config.code) if config.feedback else None
        with torch.no_grad():
            for _, norm in self.transformer.normalizations():
                # Beside what is common to all styles, each begins with a little of its own.
                for kind in ("weight", "bias"):
                    norm.get_parameter(kind)[1:].normal_(std=0.01)

    @property
    def whole_encoder(self) -> AnyEncoder:
        """From pictures of styles to the codes that they are painted with."""
        if self.feedback is None:
            return self.encoder
        return TryingEncoder(self.encoder, self.transformer, self.feedback)

    def with_feedback(self, is_wanted: bool = True) -> "AnyStyleNet":
        """The same weights, and feedback that has yet to learn; or none, codes as guessed."""
        other = AnyStyleNet(replace(self.config, feedback=is_wanted))
        fresh, known = other.state_dict(), self.state_dict()
        own = {name: known[name] for name in fresh if not name.startswith("feedback.")}
        other.load_state_dict({**fresh, **own})
        if other.feedback is not None:
            other.feedback.get_buffer("reference").copy_(reference_picture())
        return other

    def forward(self, frames: Tensor, code: Tensor) -> Tensor:
        """Stylize frames [N, 3, H, W] with codes [N, S] or [1, S]; see `LeanNet.forward`."""
        y: Tensor = self.transformer(frames, code)
        return y

    @torch.no_grad()
    def begin_with(self, base: LeanNet, photos: Tensor) -> None:
        """Take over what fits of a network of one style; all styles look like it then.

        Weights of the same name are copied as far as both reach. What is wider here adds nothing
        to what was there: its weights towards the old channels are zero. A normalization in front
        of the head that `base` lacks gives back what it takes from `photos` [N, 3, H, W], 0..255.
        """
        if self.transformer.config.head_norm and not base.config.head_norm:
            base = base.with_head_norm(photos)
        theirs = base.state_dict()
        own_places, their_places = _places(self.transformer), _places(base)
        for name, own in self.transformer.named_parameters():
            place = next((place for place in own_places if name.startswith(own_places[place])), "")
            if place in their_places:
                name_there = their_places[place] + name.removeprefix(own_places[place])
            else:
                name_there = name
            common = theirs.get(name_there)
            if common is None:
                continue
            is_styled = own.dim() == 2 and common.dim() == 1
            target = own[0] if is_styled else own
            if common.dim() != target.dim():
                continue
            overlap = tuple(
                slice(min(sides)) for sides in zip(common.shape, target.shape, strict=True)
            )
            if target.dim() == 4:
                target[overlap[0], overlap[1].stop :] = 0
            elif target.dim() > 4:  # a lapped head's: out, factor, factor, in, 3, 3
                target[overlap[0], :, :, overlap[3].stop :] = 0
            target[overlap] = common[overlap]

    @torch.no_grad()
    def for_styles(self, pictures: Sequence[Tensor]) -> LeanNet:
        """A network of one style, the mean of those of `pictures`, each [3, H, W], RGB, 0..255."""
        encode = self.whole_encoder
        codes = [encode(picture.unsqueeze(0))[0] for picture in pictures]
        return self.transformer.blended(torch.stack(codes).mean(dim=0))


def single_style_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of `AnyStyleNet.for_styles`' network, of those of the network for any style.

    Raises:
        WeightsError: these are not settings of one.
    """
    return {**vars(AnyStyleConfig.of(settings).lean), "styles": 1, "styled_at": None}


def _places(network: LeanNet) -> dict[str, str]:
    """What the names of those weights begin with that stand elsewhere where there are more blocks.

    They are the coarse stage's, and those of the normalization in front of the head.
    """
    places = {}
    for name, module in network.named_modules():
        if isinstance(module, CoarseStage):
            places["stage"] = f"{name}."
    if network.config.head_norm:
        places["head_norm"] = f"body.{len(network.body) - 1}."
    return places
