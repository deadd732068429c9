"""A transformer that takes codes, with pictures as its styles."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_style.any_style.cameras import PictureReader, StyleCamera
from edge_style.any_style.encoder import Code, StyleEncoder
from edge_style.any_style.pictures import FRAME, StyleMix, parse_styles
from edge_style.contract import ModelSpec, Precision
from edge_style.errors import UsageError
from edge_style.images import Rgb
from edge_style.stages import StagedStylizer
from edge_style.stylizer import Stylizer

# The photo's own code is looked up anew after so many frames, and approached in small steps, or the
# picture would jump.
_LOOKED_UP_EVERY = 30
# Frames without use for their own code: the one that was known is of another scene by then.
_FORGOTTEN_AFTER = 30
# Of these so many are for the encoder, beside the frames: by itself it takes as long as 15 to 20 of
# them at 640x480, and it shares the cores with them.
_LOOKED_UP_AHEAD = 25
_APPROACH = 0.1
# How often what a camera sees is looked at, where that is a style.
_WATCHED_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A frame as the transformer wants it, and as it was."""

    values: Any
    frame: Rgb


@dataclass(slots=True)
class _Watched:
    """A camera that is a style, or a share of it.

    Attributes:
        style: which of the styles.
        share: 0..1.
        camera: gives pictures.
        code: what is painted with now.
        wanted: of the picture that was looked at last.
        picture: that picture, or the one that is being looked at.
        looked_s: when that began, `time.monotonic()`.
        coming: its code.
    """

    style: int
    share: float
    camera: StyleCamera
    code: Code
    wanted: Code
    picture: Rgb
    looked_s: float
    coming: Future[Code] | None = None


class AnyStylizer(StagedStylizer):
    """What `Stylizer` is, for a network that takes any picture: its styles are pictures.

    Weights over the styles may sum up to less than 1: the rest is the frame's own style, so that a
    strength is a share of all weights.

    Attributes:
        provider: where it runs.
        takes_strength: weights say how strong the effect is, nothing need be mixed afterwards.
        files: those that it depends on, beside its own: encoder and pictures.
        frame_style: name of the style that is a frame's, see `adopt`; empty if there is none.
    """

    takes_strength = True

    def __init__(
        self,
        stylizer: Stylizer,
        encoder: StyleEncoder,
        mixes: Sequence[StyleMix],
        *,
        is_live: bool,
        in_background: bool = False,
    ) -> None:
        """Read all pictures, and encode each once.

        Args:
            stylizer: takes codes.
            encoder: gives them.
            mixes: the styles.
            is_live: frames follow one another, and one of them may be the style.
            in_background: no frame waits for the encoder; else a clip comes out the same each time.

        Raises:
            UsageError: there are no styles, or a frame is to be one where there are none.
            ImageError, SourceError: a picture cannot be read.
            ModelError, ProviderError: the encoder fails.
        """
        mixes = [mix for mix in mixes if mix.pictures]
        if not mixes and not is_live:
            raise UsageError(f"--style {FRAME} is for cameras and clips: give a picture")
        self._stylizer = stylizer
        self._encoder = encoder
        self._is_live = is_live
        self._in_background = in_background
        self.provider = stylizer.provider
        self.frame_style = FRAME if is_live else ""
        self._styles: tuple[str, ...] = (*(mix.name for mix in mixes), *[FRAME] * is_live)
        codes = np.zeros((len(self._styles), encoder.length), np.float32)
        codes[len(mixes) :, 0] = 1  # the style that all have in common, until a frame is adopted
        self._codes = codes
        self._shares = np.ones(len(self._styles), np.float32)
        self._watched: list[_Watched] = []
        self._reader = PictureReader(watches=is_live and in_background)
        try:
            self._read_styles(mixes)
        except BaseException:
            self._reader.close()
            raise
        sources = [Path(picture.source) for mix in mixes for picture in mix.pictures]
        self.files = (encoder.path, *(path for path in sources if path.is_file()))
        self._own: Code | None = None
        self._wanted = codes[0].copy()
        self._frames_since = 0
        self._unused = 0
        self._beside = ThreadPoolExecutor(1, "style of the frame")
        self._coming: Future[Code] | None = None

    def _read_styles(self, mixes: Sequence[StyleMix]) -> None:
        for number, mix in enumerate(mixes):
            for each in mix.pictures:
                picture = self._reader.read(each.source)
                code = self._encoder(picture)
                self._codes[number] += each.share * code
                camera = self._reader.camera(each.source)
                if camera is not None:
                    now_s = time.monotonic()
                    self._watched.append(
                        _Watched(number, each.share, camera, code, code, picture, now_s)
                    )
            self._shares[number] = sum(each.share for each in mix.pictures)

    @classmethod
    def open(
        cls, stylizer: Stylizer, text: str | None, *, is_live: bool, in_background: bool = False
    ) -> "AnyStylizer":
        """With the encoder beside it and the pictures that `--style` names.

        Raises:
            UsageError: `--style` names none, or one that is not there.
            EdgeStyleError: as the other steps.
        """
        if text is None:
            raise UsageError(
                f"'{stylizer.name}' paints in the style of a picture: give it with --style PICTURE"
            )
        mixes, encoder = parse_styles(text), StyleEncoder.beside(stylizer)
        return cls(stylizer, encoder, mixes, is_live=is_live, in_background=in_background)

    @property
    def name(self) -> str:
        """The network's name: `any`."""
        return self._stylizer.name

    @property
    def title(self) -> str:
        """The first style's name."""
        return self.styles[0]

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the pictures, in the order of the weights."""
        return self._styles

    @property
    def spec(self) -> ModelSpec:
        """What the transformer's file says of itself."""
        return self._stylizer.spec

    @property
    def path(self) -> Path:
        """The transformer's file."""
        return self._stylizer.path

    @property
    def precision(self) -> Precision:
        """Of the transformer's file."""
        return self._stylizer.precision

    @property
    def fixed_size_px(self) -> tuple[int, int] | None:
        """(width, height), if it takes no other size."""
        return self._stylizer.fixed_size_px

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of how it runs."""
        return self._stylizer.notes

    @property
    def description(self) -> str:
        """Files and where they run, for people."""
        return f"{self._stylizer.description}, styles by {self._encoder.path.name}"

    def adopt(self, picture: Rgb) -> None:
        """Let the frame's style be that of `picture`, uint8 [H, W, 3], RGB."""
        self._codes[-1] = self._look_up(picture).result()

    def __call__(self, frame: Rgb, style: Sequence[float] | None = None) -> Rgb:
        """Stylize one frame; see `Stylizer`."""
        return self.finish(self.infer(self.prepare(frame), style), frame)

    def prepare(self, frame: Rgb) -> _Prepared:
        """First step."""
        return _Prepared(self._stylizer.prepare(frame), frame)

    def infer(self, prepared: _Prepared, style: Sequence[float] | None = None) -> Any:
        """Second step: the transformer, with the code that belongs to weights over the styles."""
        weights = np.zeros(len(self.styles), np.float32)
        weights[0] = 1
        if style is not None:
            weights = np.asarray(style, np.float32)
        if weights.shape != (len(self.styles),):
            raise UsageError(f"expected {len(self.styles)} weights, got {list(weights.shape)}")
        for watched in self._watched:
            if weights[watched.style]:
                self._follow(watched)
        code = weights @ self._codes
        own_share = 1 - float(weights @ self._shares)
        if own_share > 1e-4:
            code += own_share * self._own_code(prepared.frame)
            self._unused = 0
        else:
            self._unused += 1
            if self._unused == _FORGOTTEN_AFTER:
                self.forget_frames()
        return self._stylizer.infer(prepared.values, code)

    def finish(self, inferred: Any, frame: Rgb) -> Rgb:
        """Last step."""
        return self._stylizer.finish(inferred, frame)

    def forget_frames(self) -> None:
        """Frames to come are of another scene: their own style is looked up anew."""
        self._own = self._coming = None
        self._frames_since = 0

    def warm_up(self, height_px: int, width_px: int) -> None:
        """Run once on a grey frame."""
        self._stylizer.warm_up(height_px, width_px)

    def close(self) -> None:
        """Let go of cameras that are styles."""
        self._reader.close()

    def _follow(self, watched: _Watched) -> None:
        """Have a style come a step nearer to what its camera sees."""
        if watched.coming is None:
            picture, now_s = watched.camera.newest, time.monotonic()
            if picture is not watched.picture and now_s >= watched.looked_s + _WATCHED_EVERY_S:
                watched.picture, watched.looked_s = picture, now_s
                watched.coming = self._look_up(picture)
        elif watched.coming.done():
            watched.wanted, watched.coming = watched.coming.result(), None
        step = _APPROACH * (watched.wanted - watched.code)
        watched.code = watched.code + step
        self._codes[watched.style] += watched.share * step

    def _own_code(self, frame: Rgb) -> Code:
        """The frame's own code; of live frames that of the last second or so."""
        if self._own is None or not self._is_live:
            self._own = self._wanted = self._look_up(frame).result()
            self._frames_since = 0
        elif self._coming is None and self._frames_since >= _LOOKED_UP_EVERY - _LOOKED_UP_AHEAD:
            self._coming = self._look_up(frame.copy())
        elif (
            self._coming is not None
            and self._frames_since >= _LOOKED_UP_EVERY
            # A show goes on with the code that it has: small frames are done before the encoder is.
            and (self._coming.done() or not self._in_background)
        ):
            # As many frames later on every machine, so that a clip comes out the same.
            self._wanted, self._coming = self._coming.result(), None
            self._frames_since = 0
        self._frames_since += 1
        self._own = self._own + _APPROACH * (self._wanted - self._own)
        return self._own

    def _look_up(self, picture: Rgb) -> Future[Code]:
        """One after another: not every provider can run a network twice at a time."""
        return self._beside.submit(self._encoder, picture)
