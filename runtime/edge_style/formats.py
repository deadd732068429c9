"""How a model wants its frames: those of the contract, and what can be recognized beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.contract import (
    CHANNELS,
    INPUT_NAME,
    OUTPUT_NAME,
    STYLE_INPUT_NAME,
    ModelSpec,
    Precision,
)
from edge_style.errors import ModelError, ProviderError
from edge_style.images import resize
from edge_style.session import Session
from edge_style.session_options import TensorInfo

Frame: TypeAlias = npt.NDArray[np.uint8]

# Foreign networks halve their input five times, or eight, and say nowhere how often.
_FOREIGN_MULTIPLES_PX = (32, 64, 128, 256)
_PROBE_MULTIPLES = 3  # an odd number, or a side would be a larger multiple by chance
_FLOATS = ("float32", "float16")

_EXPECTED = (
    "expected an image network: one input and one output, both [1, 3, H, W] or [1, H, W, 3], "
    "float or uint8"
)


@dataclass(frozen=True)
class FrameFormat:
    """How frames go into a network and come out of it.

    Attributes:
        dtype: `uint8`, `float32` or `float16`.
        channels_first: [1, 3, H, W] instead of [1, H, W, 3].
        black, white: the values that stand for 0 and 255.
        fixed_size_px: (width, height), if the network takes no other.
        multiple_px: sides are padded to a multiple of this, and cropped afterwards.
    """

    dtype: str = "uint8"
    channels_first: bool = False
    black: float = 0
    white: float = 255
    fixed_size_px: tuple[int, int] | None = None
    multiple_px: int = 1

    def encode(self, frame: Frame) -> npt.NDArray[Any]:
        """A frame, uint8 [H, W, 3], as the network's input."""
        if self.fixed_size_px is not None:
            frame = resize(frame, *self.fixed_size_px)
        below = -frame.shape[0] % self.multiple_px
        right = -frame.shape[1] % self.multiple_px
        if below or right:
            frame = np.asarray(
                cv2.copyMakeBorder(frame, 0, below, 0, right, cv2.BORDER_REFLECT_101), np.uint8
            )
        values: npt.NDArray[Any] = frame
        if self.dtype != "uint8":
            scale = (self.white - self.black) / 255
            values = (frame * np.float32(scale) + np.float32(self.black)).astype(self.dtype)
        if self.channels_first:
            values = values.transpose(2, 0, 1)
        return np.ascontiguousarray(values[np.newaxis])

    def decode(self, values: npt.NDArray[Any], width_px: int, height_px: int) -> Frame:
        """The network's output as a frame, uint8 [height_px, width_px, 3]."""
        picture = values[0].transpose(1, 2, 0) if self.channels_first else values[0]
        if self.dtype != "uint8":
            scale = 255 / (self.white - self.black)
            levels = (picture.astype(np.float32) - np.float32(self.black)) * np.float32(scale)
            picture = np.rint(np.clip(np.nan_to_num(levels), 0, 255)).astype(np.uint8)
        if self.fixed_size_px is not None:
            return resize(np.ascontiguousarray(picture), width_px, height_px)
        padded_width = width_px + -width_px % self.multiple_px
        padded_height = height_px + -height_px % self.multiple_px
        if picture.shape[:2] != (padded_height, padded_width):
            picture = resize(np.ascontiguousarray(picture), padded_width, padded_height)
        return np.ascontiguousarray(picture[:height_px, :width_px])


def recognize(session: Session) -> tuple[FrameFormat, ModelSpec]:
    """How a loaded model wants its frames, and what it says of itself.

    A model that claims to follow the contract must do so. Others get a spec with
    `contract_version` 0 and the file's name.

    Raises:
        ModelError: the contract is violated, or it is no image network.
    """
    try:
        spec = ModelSpec.from_metadata(session.metadata)
    except ValueError as error:
        raise ModelError(f"'{session.path}' cannot be used: {error}") from error
    if spec is not None:
        _check_contract(session, spec)
        (image,) = (info for info in session.inputs if info.name == INPUT_NAME)
        size_px = _fixed_size_px(image.shape[1:3])
        # What was planned for is no property of the file.
        return FrameFormat(fixed_size_px=None if size_px == session.planned_px else size_px), spec
    frame_format = _recognize_foreign(session)
    precision: Precision = "fp16" if frame_format.dtype == "float16" else "fp32"
    name = Path(session.path).name.removesuffix(".onnx")
    return frame_format, ModelSpec(name, "foreign", precision, contract_version=0)


def _check_contract(session: Session, spec: ModelSpec) -> None:
    if spec.role != "transformer":
        raise ModelError(
            f"'{session.path}' has the role '{spec.role}', expected a 'transformer': "
            "it does not turn frames into stylized frames by itself"
        )
    problems = [
        *_contract_problems(session.inputs, INPUT_NAME),
        *_contract_problems(session.outputs, OUTPUT_NAME),
    ]
    for info in session.inputs:
        if info.name == STYLE_INPUT_NAME:
            if info.dtype != "float32" or len(info.shape) != 1:
                problems.append(f"expected {STYLE_INPUT_NAME} float32 [S], got {info}")
        elif info.name != INPUT_NAME:
            problems.append(f"unknown input {info}")
    if problems:
        raise ModelError(f"'{session.path}' violates the model contract: {'; '.join(problems)}")


def _contract_problems(infos: tuple[TensorInfo, ...], name: str) -> list[str]:
    expected = f"{name} uint8 [1, H, W, {CHANNELS}]"
    by_name = {info.name: info for info in infos}
    if name not in by_name:
        return [f"expected {expected}, got {', '.join(str(info) for info in infos)}"]
    info = by_name[name]
    right = info.dtype == "uint8" and len(info.shape) == 4
    if not right or info.shape[0] != 1 or info.shape[3] != CHANNELS:
        return [f"expected {expected}, got {info}"]
    return []


def _recognize_foreign(session: Session) -> FrameFormat:
    tensors = [*session.inputs, *session.outputs]
    seen = (
        f"got input {', '.join(map(str, session.inputs)) or 'none'}, "
        f"output {', '.join(map(str, session.outputs)) or 'none'}"
    )
    problem = ModelError(f"'{session.path}' cannot be used: {_EXPECTED}; {seen}")
    if len(session.inputs) != 1 or len(session.outputs) != 1:
        raise problem
    source, result = tensors
    same_kind = source.dtype == result.dtype and source.dtype in ("uint8", *_FLOATS)
    if not same_kind or len(source.shape) != 4 or len(result.shape) != 4:
        raise problem
    channel_axes = [axis for axis in (1, 3) if source.shape[axis] == CHANNELS]
    # Exporters often leave the output's sides unnamed, so only a wrong number rules it out.
    channel_axes = [
        axis
        for axis in channel_axes
        if result.shape[axis] in (CHANNELS, None) or _named(result, axis)
    ]
    if not channel_axes or not (source.shape[0] in (1, None) or _named(source, 0)):
        raise problem
    channels_first = channel_axes[0] == 1
    sides = source.shape[2:] if channels_first else source.shape[1:3]
    if len({isinstance(side, int) for side in sides}) > 1:
        raise problem
    fixed = _fixed_size_px(sides)
    plain = FrameFormat(source.dtype, channels_first, fixed_size_px=fixed)
    if fixed is None:
        plain, output = _probe_multiples(session, plain)
    else:
        output = _probe(session, plain)
    _check_output(session, plain, output)
    return _with_range(plain, output)


def _fixed_size_px(sides: Sequence[object]) -> tuple[int, int] | None:
    """(width, height) of a height and a width that are numbers."""
    height, width = sides
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _named(info: TensorInfo, axis: int) -> bool:
    return isinstance(info.shape[axis], str)


def _probe_multiples(session: Session, plain: FrameFormat) -> tuple[FrameFormat, npt.NDArray[Any]]:
    """The format with the least multiple at which the network runs, and what came out."""
    errors: list[ModelError | ProviderError] = []
    for multiple_px in _FOREIGN_MULTIPLES_PX:
        padded = replace(plain, multiple_px=multiple_px)
        try:
            return padded, _probe(session, padded)
        except (ModelError, ProviderError) as error:
            errors.append(error)
    raise errors[0]  # which is of the smallest picture


def _probe(session: Session, plain: FrameFormat) -> npt.NDArray[Any]:
    """What comes out for a made picture with values in 0..1."""
    side = _PROBE_MULTIPLES * plain.multiple_px
    picture = _probe_picture(*(plain.fixed_size_px or (side, side)))
    feeds = {session.inputs[0].name: replace(plain, black=0, white=1).encode(picture)}
    return session.run(feeds, session.outputs[0].name)


def _with_range(plain: FrameFormat, output: npt.NDArray[Any]) -> FrameFormat:
    """Tell 0..255, 0..1 and -1..1 apart by what comes out for a picture with values in 0..1.

    A network for 0..255 answers with values far above 1, thanks to its normalization layers and
    biases. One without either scales with its input, and either range gives the same picture. One
    that ends in tanh stays within -1..1 and uses both halves.
    """
    if plain.dtype == "uint8":
        return plain
    values = np.nan_to_num(output.astype(np.float32))
    low, high = np.percentile(values, [1, 99])
    if max(-low, high) > 4:
        return plain
    bounded = float(np.abs(values).max()) <= 1.001
    if bounded and float(np.mean(values < -0.1)) > 0.05:
        return replace(plain, black=-1, white=1)
    return replace(plain, black=0, white=1)


def _check_output(session: Session, plain: FrameFormat, output: npt.NDArray[Any]) -> None:
    axis = 1 if plain.channels_first else 3
    if output.ndim != 4 or output.shape[axis] != CHANNELS:
        raise ModelError(
            f"'{session.path}' cannot be used: {_EXPECTED}; its output has the shape "
            f"{list(output.shape)}"
        )


def _probe_picture(width_px: int, height_px: int) -> Frame:
    """Smooth gradients of every colour with some grain: all levels occur, edges too."""
    x = np.linspace(0, 1, width_px, dtype=np.float32)[np.newaxis, :]
    y = np.linspace(0, 1, height_px, dtype=np.float32)[:, np.newaxis]
    waves = np.stack([x + 0 * y, y + 0 * x, 0.5 + 0.5 * np.sin(9 * (x + y))], axis=-1)
    grain = np.random.default_rng(0).uniform(-0.1, 0.1, waves.shape)
    return np.rint(np.clip(waves + grain, 0, 1) * 255).astype(np.uint8)
