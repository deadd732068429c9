"""Any picture as the style: a lean network of many styles, and what predicts its style weights.

Ghiasi et al. 2017 (arXiv 1705.06830) predict all scales and shifts of a many-style network from a
picture of the style. Here they go by way of a short code: the transformer is a lean network whose
`style` input are the code's numbers, so that its scales and shifts are linear in the code, codes
blend as styles do, and the model contract stays as it is. The first number is always 1: what goes
with it is what all styles have in common.

`style_encoder` guesses codes, `feedback` corrects them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from edge_style.errors import WeightsError
from edge_style_training.networks.feedback import Feedback, TryingEncoder
from edge_style_training.networks.lean import CoarseStage, LeanConfig, LeanNet
from edge_style_training.networks.style_encoder import COLOUR_NUMBERS, StyleEncoder

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
        if self.code < COLOUR_NUMBERS + 2 or min(self.directions, self.hidden) < 1:
            raise ValueError(
                f"code should be at least {COLOUR_NUMBERS + 2}, directions and hidden at least 1"
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


AnyEncoder: TypeAlias = StyleEncoder | TryingEncoder


class AnyStyleNet(nn.Module):
    """The encoder, the transformer, and what corrects the one by what the other paints."""

    stride_px = LeanNet.stride_px

    def __init__(self, config: AnyStyleConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = StyleEncoder(config.code, config.directions, config.hidden)
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
            other.feedback.learn_reference()
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
        return self.transformer.blended(self._codes(pictures).mean(dim=0))

    @torch.no_grad()
    def for_each(self, pictures: Sequence[Tensor]) -> LeanNet:
        """A network of as many styles as there are `pictures`, each [3, H, W], RGB, 0..255."""
        return self.transformer.with_blends(self._codes(pictures))

    def _codes(self, pictures: Sequence[Tensor]) -> Tensor:
        """[N, S]; the pictures may differ in size."""
        encode = self.whole_encoder
        return torch.stack([encode(picture.unsqueeze(0))[0] for picture in pictures])


def painting_settings(settings: Mapping[str, Any], styles: int = 1) -> dict[str, Any]:
    """Settings of the network for paintings, of those of the network for any style.

    Args:
        settings: of the network for any style.
        styles: 1 for that of `AnyStyleNet.for_styles`, more for that of `for_each`.

    Raises:
        WeightsError: these are not settings of one.
    """
    lean = AnyStyleConfig.of(settings).lean
    styled_at = lean.styled_at if styles > 1 else None
    return {**vars(lean), "styles": styles, "styled_at": styled_at}


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
