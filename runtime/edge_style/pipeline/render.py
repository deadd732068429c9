"""From a captured frame to the picture that is shown: everything between source and outputs."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_style.controls import Controls, Style, weights_of
from edge_style.images import resize_to_cover
from edge_style.meter import Meter
from edge_style.pipeline.mix import Mixer, mirrored
from edge_style.pipeline.rate import RateController
from edge_style.pipeline.steady import Steadier
from edge_style.sources import Frame
from edge_style.stages import OTHER_STYLE, Image, StagedStylizer, moved


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame that the network of a style can take: mirrored, scaled, converted."""

    frame: Frame
    style: int
    values: Any


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished picture, and which style it shows."""

    image: Image
    style: Style
    provider: str
    network_px: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class _Painted:
    """What a picture was painted with, and whether of a mirrored frame."""

    network: int
    adopted: int
    is_mirrored: bool
    weights: tuple[float, ...]

    def follows(self, other: "_Painted | None") -> bool:
        """Whether it is nearly what `other` was, as the next step of a fade is."""
        if other is None or replace(self, weights=other.weights) != other:
            return False
        return moved(self.weights, other.weights) <= OTHER_STYLE


class Renderer:
    """Renders frames with the networks as the controls say.

    `prepare` may run in another thread than `render`, which belongs to one.

    Args:
        stylizers: the networks.
        styles: what they paint, as `list_styles` gives it.
        meter: learns what the steps take.
        steadier: against flicker, where that is wanted; one of its own if None.
        rate: chooses the network's size to hold a frame rate, None for a fixed one.
    """

    def __init__(
        self,
        stylizers: Sequence[StagedStylizer],
        styles: Sequence[Style],
        meter: Meter,
        *,
        steadier: Steadier | None = None,
        rate: RateController | None = None,
    ) -> None:
        self._stylizers = stylizers
        self._styles = styles
        self._meter = meter
        self._steadier = steadier or Steadier()
        self._rate = rate
        self._mixer = Mixer()
        self._steadied: _Painted | None = None
        self._adopted: dict[int, int] = {}

    def prepare(self, frame: Frame, controls: Controls) -> Prepared:
        """First step; a mirrored frame is mirrored here, so that no text comes out reversed."""
        start_s = time.perf_counter()
        network = self._styles[controls.style].network
        if controls.is_mirrored:
            frame = replace(frame, image=mirrored(frame.image))
        values = self._stylizers[network].prepare(frame.image)
        self._meter.spent("pre", _ms_since(start_s))
        return Prepared(frame, controls.style, values)

    def render(
        self, prepared: Prepared, controls: Controls, *, is_repeat: bool = False
    ) -> Rendered:
        """Second and last step: the network, and what is done to its picture.

        Args:
            prepared: of `prepare`.
            controls: as they are now. If they want another network than the frame was prepared
                for, it is painted in the style of then.
            is_repeat: the moment was shown before, so that it says nothing of speed or flicker.
        """
        prepared_for = self._styles[prepared.style]
        if self._styles[controls.style].network != prepared_for.network:  # switched in between
            controls = replace(controls, style=prepared.style, partner=None)
        style = self._styles[controls.style]
        weights = weights_of(controls, self._styles)
        stylizer, frame = self._stylizers[style.network], prepared.frame
        partner = None if controls.partner is None else self._styles[controls.partner]
        if style.adopts or (partner is not None and controls.blend > 0 and partner.adopts):
            self._adopt(stylizer, style.network, frame.image, controls)
        if stylizer.takes_strength:
            weights = tuple(controls.strength * share for share in weights or (1.0,))
            controls = replace(controls, strength=1.0)
        start_s = time.perf_counter()
        inferred = stylizer.infer(prepared.values, weights)
        infer_ms = _ms_since(start_s)
        start_s = time.perf_counter()
        picture = stylizer.finish(inferred, frame.image)
        painted = _Painted(
            style.network, controls.adopted, controls.is_mirrored, tuple(weights or ())
        )
        picture = self._touch_up(picture, frame.image, controls, painted, is_repeat)
        post_ms = _ms_since(start_s)
        self._meter.spent("infer", infer_ms)
        self._meter.spent("post", post_ms)
        if self._rate is not None and not is_repeat:
            self._rate.observe(infer_ms + post_ms)
        return Rendered(picture, style, stylizer.provider, stylizer.network_px)

    def _adopt(
        self, stylizer: StagedStylizer, network: int, frame: Image, controls: Controls
    ) -> None:
        """Let a frame or picture be the style, if one is wanted or none has been so far."""
        if self._adopted.get(network) != controls.adopted:
            picture = controls.adopted_picture
            stylizer.adopt(frame if picture is None else picture)
            self._adopted[network] = controls.adopted

    def _touch_up(
        self, picture: Image, frame: Image, controls: Controls, painted: _Painted, is_repeat: bool
    ) -> Image:
        if not controls.is_steady and not is_repeat:
            self._steadied = None
        if controls.is_plain and not controls.is_steady:
            return picture
        height, width = picture.shape[:2]
        if frame.shape != picture.shape:
            frame = resize_to_cover(frame, width, height)
        if controls.is_steady:
            picture = self._steady(picture, frame, painted, is_repeat)
        return self._mixer.mix(picture, frame, controls)

    def _steady(self, picture: Image, frame: Image, painted: _Painted, is_repeat: bool) -> Image:
        """Without flicker; a moment that was shown before as it was then."""
        if is_repeat:
            last = self._steadier.last
            if last is None or last.shape != picture.shape or painted != self._steadied:
                return picture
            return last
        if not painted.follows(self._steadied):
            self._steadier.reset()
        self._steadied = painted
        return self._steadier.steady(picture, frame)


def _ms_since(start_s: float) -> float:
    return (time.perf_counter() - start_s) * 1000
