"""`Stylizer.load("starry")`: a model file becomes a function from frames to frames."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style import auto, catalog
from edge_style.contract import INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME, ModelSpec, Precision
from edge_style.errors import ModelError, UsageError
from edge_style.formats import recognize
from edge_style.images import ensure_min_side, resize_to_cover
from edge_style.onnx_file import file_sha256
from edge_style.providers import AUTO, Provider, candidates
from edge_style.session import Session
from edge_style.stages import StagedStylizer
from edge_style.waiting import told_while

Frame: TypeAlias = npt.NDArray[np.uint8]
StyleWeights: TypeAlias = Sequence[float] | npt.NDArray[np.float32]

_TRIAL_SIDE_PX = 64
_USUAL_SIZE_PX = (640, 480)


class Stylizer(StagedStylizer):
    """A style-transfer network, ready to run. Frames are uint8 [H, W, 3], RGB, 0..255.

    `stylizer(frame)` does it all. Code that times its stages calls the three steps itself:
    `stylizer.finish(stylizer.infer(stylizer.prepare(frame)), frame)`.

    Attributes:
        path: the file that runs.
        provider: name of the execution provider that runs it.
        spec: what the file says of itself; `contract_version` is 0 for a foreign model.
        size_px: (width, height) at which the network runs; None: at each frame's own size.
    """

    def __init__(
        self,
        session: Session,
        *,
        size_px: tuple[int, int] | None = None,
    ) -> None:
        """Wrap a session. `Stylizer.load` is the usual way.

        Raises:
            ModelError: the model is no image network, or violates the contract.
            UsageError: the model runs at another size only.
        """
        self._session = session
        self._format, self.spec = recognize(session)
        self.path = session.path
        self.provider = session.provider
        self._auto_notes: tuple[str, ...] = ()
        fixed = self._format.fixed_size_px
        if size_px is not None and fixed is not None and size_px != fixed:
            raise UsageError(
                f"'{self.path.name}' runs at {fixed[0]}x{fixed[1]} only, not at "
                f"{size_px[0]}x{size_px[1]}: give --size {fixed[0]}x{fixed[1]}"
            )
        self.size_px = size_px
        foreign = self.spec.contract_version == 0
        self._input = session.inputs[0].name if foreign else INPUT_NAME
        self._output = session.outputs[0].name if foreign else OUTPUT_NAME
        self._style_length = None if foreign else _style_length(session, self.spec)

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        provider: str = "auto",
        size: tuple[int, int] | None = None,
        frame_px: tuple[int, int] | None = None,
        record_graph: bool = True,
        tell: Callable[[str], None] | None = None,
    ) -> "Stylizer":
        """Find a model and make it ready to run.

        Args:
            model: the name of a style, such as `starry`, or the path of an `.onnx` file.
            provider: an execution provider's name, or `auto` for the quickest here: where several
                start, they are timed for a second each, once, and the choice is remembered.
            size: (width, height) in pixels at which to run; frames are scaled to cover it and cut,
                and results have this size. None: each frame at its own size.
            frame_px: (width, height) of all frames to come, where `size` is None: onnxruntime then
                plans for that size, which int8 files gain most by. A frame of another size is
                scaled to it.
            record_graph: record the run of a fixed size once and replay it, where the provider
                that was asked for can (CUDA graphs).
            tell: takes a line now and then while a provider builds an engine for minutes.

        Raises:
            ModelNotFoundError: there is no such model; the message suggests others.
            ModelError: it is no image network, or is damaged.
            ProviderError: the provider that was asked for cannot run it here.
            UsageError: no such provider, or a size that the model does not take.
            MissingExtraError: onnxruntime is not installed.
        """
        if provider.lower() == AUTO:
            return cls._load_automatically(model, size, frame_px)
        (candidate,) = candidates(provider)
        return cls._load_on(candidate, model, size, frame_px, record_graph=record_graph, tell=tell)

    @classmethod
    def _load_automatically(
        cls,
        model: str | Path,
        size_px: tuple[int, int] | None,
        frame_px: tuple[int, int] | None,
    ) -> "Stylizer":
        """The quickest of the providers that run the model, as measured now or at an earlier start.

        A single candidate is not measured.
        """
        found = {candidate.name: candidate for candidate in candidates(AUTO)}

        def open_on(name: str) -> "Stylizer":
            return cls._load_on(found[name], model, size_px, frame_px)

        if len(found) == 1:
            (only,) = found
            return open_on(only)
        trial_px = size_px or frame_px or _USUAL_SIZE_PX
        files = {name: file_sha256(catalog.resolve(model, name)) for name in found}
        stylizer, notes = auto.open_quickest(
            files,
            trial_px,
            open_on=open_on,
            time_on=lambda name: open_on(name)._shortest_ms(trial_px),
            what=str(model),
        )
        stylizer._auto_notes = notes
        return stylizer

    @classmethod
    def _load_on(
        cls,
        candidate: Provider,
        model: str | Path,
        size_px: tuple[int, int] | None,
        frame_px: tuple[int, int] | None = None,
        *,
        record_graph: bool = True,
        tell: Callable[[str], None] | None = None,
    ) -> "Stylizer":
        planned_px = size_px or frame_px
        path = catalog.resolve(model, candidate.name)
        width, height = planned_px or (_TRIAL_SIDE_PX, _TRIAL_SIDE_PX)
        with ExitStack() as stack:
            if candidate.compiles and tell is not None:
                size = "" if planned_px is None else f" at {width}x{height}"
                what = f"{candidate.name} builds its engine for {path.name}{size}, once"
                stack.enter_context(told_while(what, tell))
            session = Session(path, candidate, planned_px, record_graph=record_graph)
            stylizer = cls(session, size_px=size_px)
            if size_px is None and stylizer.spec.contract_version and not stylizer.fixed_size_px:
                stylizer.size_px = frame_px
            if candidate.name != "cpu":
                # Many providers start well and fail at the first frame.
                stylizer.warm_up(height, width)
        return stylizer

    @property
    def name(self) -> str:
        """The style's name: `starry`."""
        return self.spec.name

    @property
    def title(self) -> str:
        """Painting and painter, for people; the style's name where the file names no painting."""
        painting = ", ".join(filter(None, (self.spec.painting, self.spec.artist)))
        return painting or self.name

    @property
    def precision(self) -> Precision:
        """Of the file's weights."""
        return self.spec.precision

    @property
    def fixed_size_px(self) -> tuple[int, int] | None:
        """(width, height), if the model takes no other size."""
        return self._format.fixed_size_px

    @property
    def takes_code(self) -> bool:
        """Whether its `style` is a code that an encoder gives, see `edge_style.any_style`."""
        return self.spec.code_length > 0

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles of a many-style network; empty for others."""
        return self.spec.styles

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of the choice and of how it runs, one line each.

        What `auto` measured and what could not run the model, what was left to the CPU.
        """
        return (*self._auto_notes, *_notes(self._session))

    @property
    def replays_graph(self) -> bool:
        """Whether the run is recorded and replayed (a CUDA graph)."""
        return self._session.replays_graph

    @property
    def left_to_cpu(self) -> Mapping[str, int]:
        """Operator -> how many of them the provider left to the CPU."""
        return self._session.left_to_cpu

    @property
    def description(self) -> str:
        """The file and where it runs, for people: `starry.int8.onnx on cpu`."""
        return f"{self.path.name} on {self.provider}"

    def __call__(self, frame: Frame, style: StyleWeights | None = None) -> Frame:
        """Stylize one frame.

        Args:
            frame: uint8 [H, W, 3], RGB, 16 pixels or more a side.
            style: float [S], weights over the styles of a many-style network; its first style if
                None.

        Returns:
            uint8 [H, W, 3], RGB: the size of `frame`, or the `size` given to `load`.

        Raises:
            ImageError: the frame is too small, or not of that kind.
            ModelError: the network fails on it.
            ProviderError: the provider fails on it.
            UsageError: `style` does not fit the network.
        """
        return self.finish(self.infer(self.prepare(frame), style), frame)

    def prepare(self, frame: Frame) -> npt.NDArray[Any]:
        """A frame as the network wants it: first of the three steps. Raises ImageError."""
        ensure_min_side(frame, "the frame")
        if self.size_px is not None:
            frame = resize_to_cover(frame, *self.size_px)
        return self._format.encode(frame)

    def infer(
        self, prepared: npt.NDArray[Any], style: StyleWeights | None = None
    ) -> npt.NDArray[Any]:
        """Run the network on what `prepare` gave: second of the three steps."""
        feeds: dict[str, npt.NDArray[Any]] = {self._input: prepared}
        if self._style_length is not None or style is not None:
            feeds[STYLE_INPUT_NAME] = self._weights(style)
        return self._session.run(feeds, self._output)

    def finish(self, inferred: npt.NDArray[Any], frame: Frame) -> Frame:
        """The network's output as a frame: last of the three steps."""
        height, width = frame.shape[:2]
        if self.size_px is not None:
            width, height = self.size_px
        return self._format.decode(inferred, width, height)

    def warm_up(self, height_px: int, width_px: int) -> None:
        """Run once on a grey frame, so that the first real one is as quick as the others."""
        self(np.full((height_px, width_px, 3), 128, np.uint8))

    def _shortest_ms(self, frame_px: tuple[int, int]) -> float:
        """Shortest time of the network for a frame of that size."""
        width, height = frame_px
        grain = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        prepared = self.prepare(grain)
        return auto.time_runs(lambda: self.infer(prepared))

    def _weights(self, style: StyleWeights | None) -> npt.NDArray[np.float32]:
        length = self._style_length
        if length is None:
            raise UsageError(f"'{self.name}' has one style only, it takes no style weights")
        if style is None:
            weights = np.zeros(length, np.float32)
            weights[0] = 1
            return weights
        weights = np.asarray(style, np.float32)
        if weights.shape != (length,) or not np.isfinite(weights).all():
            raise UsageError(
                f"'{self.name}' takes {length} finite style weights, got {list(weights.shape)}"
            )
        return weights


def _notes(session: Session) -> tuple[str, ...]:
    left = session.left_to_cpu
    if not left:
        return session.notes
    named = ", ".join(f"{operator} {count}" for operator, count in left.items())
    return (
        *session.notes,
        f"{session.provider} left {sum(left.values())} operations to the CPU: {named}",
    )


def _style_length(session: Session, spec: ModelSpec) -> int | None:
    """Length of the `style` input; None for a network without one."""
    for info in session.inputs:
        if info.name == STYLE_INPUT_NAME:
            length = info.shape[0] if info.shape else None
            if not isinstance(length, int):
                length = len(spec.styles)
            named = spec.code_length or len(spec.styles)
            if length < 1 or (named and length != named):
                raise ModelError(
                    f"'{session.path}' violates the model contract: {info} does not fit its "
                    f"{named} styles"
                )
            return length
    return None
