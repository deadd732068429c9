"""int8 files for CPUs: onnxruntime's static quantizer on the part of the graph that gains by it.

The quantized part is the convolutions and what stands between them; normalizations stay float. So
does what stands before the first convolution and after the last one, unless it only moves pixels:
then frames stay bytes all the way, see `uint8_frames`. Activations are U8 and weights S8 with a
scale for each output channel, the pair for which onnxruntime's x86 and Arm kernels are written.
"""

import contextlib
import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (  # type: ignore[import-untyped] # it ships no types
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edge_style.contract import INPUT_NAME, OUTPUT_NAME, STYLE_INPUT_NAME
from edge_style.errors import ModelError
from edge_style.images import Rgb
from edge_style_tools.graph import PIXEL_MOVES, name_dimensions
from edge_style_tools.photos import fit, made_photo, read_photos
from edge_style_tools.uint8_frames import LEVELS, keep_bytes, level_tensors, picture_nodes
from edge_style_tools.verify import Floats, to_try

FRAMES = 24
_SIZE_PX = (640, 480)
_STRETCHING = {"InstanceNormalization", "Tanh", "Sigmoid"}
# DepthToSpace knows floats only in onnxruntime.
_BETWEEN = (
    "Relu",
    "MaxPool",
    "Clip",
    "Add",
    *(kind for kind in PIXEL_MOVES if kind != "DepthToSpace"),
)
_QUANTIZED_OPERATIONS = ("Conv", *_BETWEEN)


@dataclass(frozen=True)
class QuantizationSettings:
    """How to quantize.

    Attributes:
        calibration: folder of photos whose activations set the ranges; None: the program's own.
        weight_bits: 8, or 7. x86 CPUs without VNNI (before about 2020, and smaller ones since) add
            two products in 16 bits, which saturates when weights use all 8: in the first layer of
            a trained lean network every fifth output met such a pair, at 7 bits none in any layer.
            The bit costs less than 1 dB, so 7 is the default, and computes the same everywhere.
        percentile: of each activation's values within its range. Without rare peaks the steps are
            finer: 99.99 was 2 to 3 dB better than the extremes. See `percentile_for`.
    """

    calibration: Path | None = None
    weight_bits: int = 7
    percentile: float = 99.99

    def __post_init__(self) -> None:
        if self.weight_bits not in (7, 8):
            raise ValueError(f"weight_bits should be 7 or 8, not {self.weight_bits}")


def percentile_for(architecture: str) -> float:
    """`QuantizationSettings.percentile` that suits networks of an architecture.

    The peaks are what a lean network's strokes are made of: at 99.99 the int8 pictures of three had
    up to 14% more style loss than the float ones, at 99.999 1% at most. Other networks lose by it,
    fast-style-transfer's 1 dB; that for any style, whose peaks are of other styles than the one
    that is painted, 2% of the total loss.
    """
    return 99.999 if architecture == "lean" else QuantizationSettings.percentile


def calibration_frames(
    settings: QuantizationSettings, size_px: tuple[int, int] | None = None
) -> list[Rgb]:
    """Frames whose activations set the ranges: of the user's folder, or made by the program.

    Args:
        settings: where they come from.
        size_px: (width, height) of a model of fixed size.

    Raises:
        ContentError: no such folder, or no picture in it.
        ImageError: a picture cannot be read.
    """
    width_px, height_px = size_px or _SIZE_PX
    if settings.calibration is None:
        return [made_photo(seed, height_px, width_px) for seed in range(FRAMES)]
    photos = read_photos(settings.calibration, limit=FRAMES)
    return [fit(photo, height_px, width_px) for photo in photos]


def quantize(
    model: onnx.ModelProto,
    frames: Sequence[Rgb],
    settings: QuantizationSettings,
    styles: int = 1,
    codes: Sequence[Floats] = (),
    is_wanted: Callable[[str], bool] = lambda _: True,
) -> onnx.ModelProto:
    """`model`, an fp32 file of the contract, with its convolutions in int8 (QDQ).

    A network of several styles has one range for an activation, wide enough for every style and for
    a blend of all. Nine styles of a trained lean network were at 37 to 40 dB with it.

    Args:
        model: the file.
        frames: uint8 [H, W, 3], RGB, of the model's own size if that is fixed.
        settings: how to quantize.
        styles: that the network knows.
        codes: [S] of styles, for a network that takes those.
        is_wanted: whether to quantize the convolution with the weight of that name.

    Raises:
        ModelError: there is no convolution to quantize, or onnxruntime cannot.
    """
    nodes = quantizable(model, is_wanted)
    if not nodes:
        raise ModelError("the network has no convolution to quantize")
    # Of all nodes of these kinds the quantizer notes ranges, wanted or not; those of an encoder's
    # scalars may be too narrow for its histograms.
    names = set(nodes)
    wanted = {node.op_type for node in model.graph.node if node.name in names}
    kinds = [kind for kind in _QUANTIZED_OPERATIONS if kind in wanted]
    # An encoder's graph begins with a frame too, but does not end with one.
    has_picture = [value.name for value in model.graph.output] == [OUTPUT_NAME]
    ends = level_tensors(model) if has_picture else []
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, source)
        try:
            quantize_static(
                source,
                target,
                _Frames(to_try(frames, styles, codes)),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=settings.weight_bits == 7,
                op_types_to_quantize=kinds,
                nodes_to_quantize=nodes,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "TensorQuantOverrides": {name: [dict(LEVELS)] for name in ends},
                    "CalibPercentile": settings.percentile,
                    # Frame by frame: else all activations of all frames are kept until the end.
                    "CalibStridedMinMax": 1,
                },
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"onnxruntime cannot quantize this network: {reason}") from error
        quantized = onnx.load(target)
    if has_picture:
        quantized = keep_bytes(quantized)
        name_dimensions(quantized)
    return quantized


def quantizable(
    model: onnx.ModelProto, is_wanted: Callable[[str], bool] = lambda _: True
) -> list[str]:
    """Names of the nodes to quantize: convolutions, and what sums, clips or moves their outputs.

    Of convolutions with those weights only that are wanted. A sum of what a float layer
    (InstanceNorm) gives would pay for a conversion and gain nothing.
    """
    names: list[str] = []
    int8_values: set[str] = set()
    has_picture = [value.name for value in model.graph.output] == [OUTPUT_NAME]
    kept_float = {_stretched_convolution(model), *picture_nodes(model)} if has_picture else set()
    for node in model.graph.node:
        if node.name in kept_float:
            continue
        data = node.input if node.op_type == "Add" else node.input[:1]
        between = node.op_type in _BETWEEN and int8_values.issuperset(data)
        if (node.op_type == "Conv" and is_wanted(node.input[1])) or between:
            names.append(node.name)
            int8_values.update(node.output)
    return names


def _stretched_convolution(model: onnx.ModelProto) -> str:
    """Name of the last convolution if its output is normalized or bent before it is a picture.

    That magnifies the 8-bit steps just where they are seen: with this layer in float, the
    fast-style-transfer network (InstanceNorm and tanh at its end) went from 26 to 37 dB.
    """
    nodes = list(model.graph.node)
    last = max((i for i, node in enumerate(nodes) if node.op_type == "Conv"), default=-1)
    after = {node.op_type for node in nodes[last + 1 :]}
    return nodes[last].name if after & _STRETCHING else ""


class _Frames(CalibrationDataReader):  # type: ignore[misc] # onnxruntime is not typed
    """Hands frames, with styles or codes, to the calibrator: all or a range of them."""

    def __init__(self, frames: Sequence[tuple[Rgb, Floats | None]]) -> None:
        self._frames = frames
        self._left = iter(frames)

    def __len__(self) -> int:
        return len(self._frames)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._frames[start_index:end_index])

    def get_next(self) -> dict[str, Any] | None:
        following = next(self._left, None)
        if following is None:
            return None
        frame, style = following
        inputs: dict[str, Any] = {INPUT_NAME: frame[None]}
        return inputs if style is None else {**inputs, STYLE_INPUT_NAME: style}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer prints its progress and advice for other graphs than ours."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
