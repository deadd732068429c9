"""Foreign ONNX files (the model zoo's, other exporters'): float NCHW networks, given the contract.

The graph in the middle stays as it is; uint8 frames, padding, clamping and a dynamic size are put
around it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxruntime  # type: ignore[import-untyped] # it ships no types
from onnx import TensorProto, compose, helper, numpy_helper
from onnx_ir.passes import common

from edge_style.contract import (
    CHANNELS,
    INPUT_NAME,
    MAX_OPSET,
    MIN_SIDE_PX,
    OUTPUT_NAME,
    ModelSpec,
    Precision,
)
from edge_style.errors import ModelError, ModelNotFoundError
from edge_style.formats import FrameFormat, recognize
from edge_style.images import Rgb
from edge_style.onnx_file import summarize
from edge_style.providers import provider_named
from edge_style.session import Session
from edge_style_tools.graph import halve_convolutions, name_dimensions, tidy
from edge_style_tools.photos import made_photo
from edge_style_tools.verify import Floats, Reference

ARCHITECTURE = "foreign"
_OPSET = 18
_LARGEST_FILE_BYTES = 1 << 30
# The last is of networks that halve their frames until one pixel is left.
_MULTIPLES_PX = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PROBE_SIZES_PX = ((16, 16), (17, 31), (50, 35))
_MOST_OWN_PADDING_PX = 32

# Operator, further inputs, attributes.
Step: TypeAlias = tuple[str, list[str], dict[str, Any]]


@dataclass(frozen=True)
class OnnxSource:
    """A foreign network.

    Attributes:
        model: its graph with a dynamic size, float [1, 3, H, W] in and out.
        path: the untouched file.
        frames: the range of its values, and the fixed size that it had, if any.
        spec, found, parameters, codes: as for other sources.
    """

    model: onnx.ModelProto
    path: Path
    frames: FrameFormat
    spec: ModelSpec
    found: str
    parameters: int
    codes: tuple[()] = ()

    def to_onnx(self, *, precision: Precision, size: tuple[int, int] | None) -> onnx.ModelProto:
        """The network inside the contract, see `onnx_export.network_to_onnx`."""
        wrapped = _wrap(self.model, self.frames, self.spec.stride_px, size)
        graph = ir.serde.deserialize_model(wrapped)
        # Weights that are nodes would be taken for something that is computed.
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(graph)
        if precision == "fp16":
            halve_convolutions(graph.graph)
        tidy(graph)
        model = ir.serde.serialize_model(graph)
        name_dimensions(model)
        return model

    def reference(self) -> Reference:
        """What the graph makes of a photo; at the file's own fixed size, the untouched file."""
        return _Reference(self)


def read(path: Path) -> OnnxSource:
    """Recognize a foreign `.onnx` file and make its size dynamic.

    Raises:
        ModelNotFoundError: there is no such file.
        ModelError: damaged, hostile, no image network, one of this project's own, or one whose
            size cannot be made dynamic.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"there is no model {path}")
    if path.stat().st_size > _LARGEST_FILE_BYTES:
        raise ModelError(
            f"{path} has {path.stat().st_size / 1e9:.1f} GB, too much for a style network"
        )
    summary = summarize(path)
    frames, known = recognize(Session(path, provider_named("cpu")))
    if known.contract_version:
        raise ModelError(
            f"{path} follows the model contract already: export its checkpoint instead"
        )
    if not frames.channels_first or frames.dtype != "float32":
        raise ModelError(
            f"{path} should take float32 [1, {CHANNELS}, H, W]: others are not converted"
        )
    model = _dynamic(_modern(path))
    spec = ModelSpec(
        name=path.stem,
        architecture=ARCHITECTURE,
        precision="fp32",
        checkpoint_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    stride_px = _least_multiple(model, frames)
    spec = ModelSpec(**{**vars(spec), "stride_px": stride_px})
    size = frames.fixed_size_px
    found = "an ONNX network for " + (f"{size[0]}x{size[1]}" if size else "any size")
    return OnnxSource(model, path, frames, spec, found, summary.parameters)


class _Reference:
    def __init__(self, source: OnnxSource) -> None:
        self._source = source
        self._dynamic = _session(source.model)
        self._untouched = Session(source.path, provider_named("cpu"))

    def __call__(self, photo: Rgb, style: Floats | None) -> Rgb:  # noqa: ARG002 - it has but one
        frames, multiple = self._source.frames, self._source.spec.stride_px
        height, width = photo.shape[:2]
        values = _padded(photo, multiple).astype(np.float32).transpose(2, 0, 1)[None]
        values = values * np.float32((frames.white - frames.black) / 255) + np.float32(frames.black)
        name = self._untouched.inputs[0].name
        if frames.fixed_size_px == (width, height):
            stylized = self._untouched.run({name: values}, self._untouched.outputs[0].name)
        else:
            stylized = self._dynamic.run(None, {name: values})[0]
        levels = (stylized[0] - frames.black) * (255 / (frames.white - frames.black))
        picture = levels.transpose(1, 2, 0)[:height, :width]
        return np.asarray(np.rint(np.clip(picture, 0, 255)), dtype=np.uint8)


def _session(model: onnx.ModelProto) -> "onnxruntime.InferenceSession":
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _modern(path: Path) -> onnx.ModelProto:
    """The model in an opset that the contract allows."""
    try:
        model = onnx.load(path)
        version = next(
            entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")
        )
        if version > MAX_OPSET:
            raise ModelError(f"{path} has opset {version}, expected {MAX_OPSET} at most")
        # Files of IR 3, and later ones on request, list their weights among the inputs.
        weights = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in weights]
        if version < _OPSET:
            model = onnx.version_converter.convert_version(model, _OPSET)
        del model.graph.input[:]
        model.graph.input.extend(inputs)
    except ModelError:
        raise
    except Exception as error:  # the converter's errors derive from nothing narrower
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"{path} cannot be brought to opset {_OPSET}: {reason}") from error
    return model


def _dynamic(model: onnx.ModelProto) -> onnx.ModelProto:
    (source,) = model.graph.input
    (result,) = model.graph.output
    for value in (source, result):
        kind = helper.make_tensor_value_info(
            value.name, TensorProto.FLOAT, [1, CHANNELS, f"{value.name}_H", f"{value.name}_W"]
        )
        value.CopyFrom(kind)
    del model.graph.value_info[:]
    return model


def _least_multiple(model: onnx.ModelProto, frames: FrameFormat) -> int:
    """The least multiple to which frames must be padded for the output to cover them.

    Raises:
        ModelError: there is none: the size is written into the graph.
    """
    session = _session(model)
    (name,) = [value.name for value in session.get_inputs()]
    for multiple in _MULTIPLES_PX:
        # A size that is written into the graph may be that to which all the others are padded.
        sizes = (*_PROBE_SIZES_PX, (multiple + MIN_SIDE_PX, MIN_SIDE_PX))
        if all(_covers(session, name, multiple, size) for size in sizes):
            return multiple
    size = frames.fixed_size_px
    where = f"{size[0]}x{size[1]} " if size else ""
    raise ModelError(
        f"the network's size {where}is written into its graph and cannot be made dynamic: export "
        "it again from its source, with dynamic axes; networks that enlarge are not converted"
    )


def _covers(
    session: "onnxruntime.InferenceSession", name: str, multiple: int, size: tuple[int, int]
) -> bool:
    photo = _padded(made_photo(0, *size), multiple).astype(np.float32)
    try:
        (output,) = session.run(None, {name: photo.transpose(2, 0, 1)[None]})
    except Exception:  # onnxruntime's errors derive from nothing narrower
        return False
    # Larger than the frame by more than a network's own padding is enlarged, not to be cut.
    return all(
        side <= covered < padded + _MOST_OWN_PADDING_PX
        for side, padded, covered in zip(size, photo.shape[:2], output.shape[2:], strict=True)
    )


def _padded(photo: Rgb, multiple: int) -> npt.NDArray[np.uint8]:
    below, right = -photo.shape[0] % multiple, -photo.shape[1] % multiple
    return np.pad(photo, ((0, below), (0, right), (0, 0)), mode="reflect")


def _wrap(
    model: onnx.ModelProto, frames: FrameFormat, multiple: int, size: tuple[int, int] | None
) -> onnx.ModelProto:
    """`model` with the contract's nodes before and after it."""
    wrapped = onnx.ModelProto()
    wrapped.CopyFrom(model)
    given = {name for node in model.graph.node for name in (*node.input, *node.output)}
    if given & {INPUT_NAME, OUTPUT_NAME}:
        wrapped = compose.add_prefix(wrapped, "network_")  # the contract's names are taken
    graph = wrapped.graph
    scale, offset = (frames.white - frames.black) / 255, frames.black
    before = list(_before(graph, scale, offset, multiple, min(size or (MIN_SIDE_PX,))))
    after = list(_after(graph, scale, offset))
    inner = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend([*before, *inner, *after])
    sides: list[int | str] = list(size or ("H", "W"))
    for values, name in ((graph.input, INPUT_NAME), (graph.output, OUTPUT_NAME)):
        values.append(helper.make_tensor_value_info(name, TensorProto.UINT8, [1, *sides, CHANNELS]))
    for tensor in _constants(scale, offset, multiple):
        graph.initializer.append(tensor)
    return wrapped


def _constants(scale: float, offset: float, multiple: int) -> Iterator[TensorProto]:
    floats = {"scale": scale, "inverse": 1 / scale, "offset": offset, "inverse_offset": -offset}
    floats |= {"black": 0.0, "white": 255.0}
    integers = {
        "multiple": [multiple],
        "one": [1],
        "no_pads": [0] * 6,
        "zeros": [0, 0],
        "sides": [2, 3],
    }
    for name, value in floats.items():
        yield numpy_helper.from_array(np.array(value, np.float32), f"contract_{name}")
    for name, values in integers.items():
        yield numpy_helper.from_array(np.array(values, np.int64), f"contract_{name}")


def _before(
    graph: onnx.GraphProto, scale: float, offset: float, multiple: int, least_px: int
) -> Iterator[onnx.NodeProto]:
    steps: list[Step] = [
        ("Cast", [], {"to": TensorProto.FLOAT}),
        ("Transpose", [], {"perm": [0, 3, 1, 2]}),
    ]
    if multiple > 1:
        yield helper.make_node("Shape", [INPUT_NAME], ["contract_size"], start=1, end=3)
        yield helper.make_node("Neg", ["contract_size"], ["contract_negative"])
        # The remainder takes the sign of the divisor: what is missing to the next multiple.
        yield helper.make_node("Mod", ["contract_negative", "contract_multiple"], ["contract_rest"])
        side, rest = "contract_size", "contract_rest"
        # A reflection adds less than the side: far ones take several, each of the one before.
        for turn in range(1, _reflections(least_px, multiple)):
            now, sum_, left = (f"contract_{what}_{turn}" for what in ("now", "size", "rest"))
            yield helper.make_node("Sub", [side, "contract_one"], [f"{now}_most"])
            yield helper.make_node("Min", [rest, f"{now}_most"], [now])
            yield helper.make_node("Add", [side, now], [sum_])
            yield helper.make_node("Sub", [rest, now], [left])
            yield from _pad(steps, now)
            side, rest = sum_, left
        yield from _pad(steps, rest)
    if scale != 1:
        steps.append(("Mul", ["contract_scale"], {}))
    if offset != 0:
        steps.append(("Add", ["contract_offset"], {}))
    yield from _chain(INPUT_NAME, steps, graph.input[0].name, "contract_in")


def _reflections(side_px: int, multiple: int) -> int:
    """How many it takes to bring sides of `side_px` and more to `multiple`."""
    missing, count = multiple - 1 if side_px >= multiple else multiple - side_px, 1
    while missing > side_px - 1:
        missing -= side_px - 1
        side_px += side_px - 1
        count += 1
    return count


def _pad(steps: list[Step], rest: str) -> Iterator[onnx.NodeProto]:
    """Add to `steps` a reflection of `rest` pixels below and on the right."""
    pads = f"{rest}_pads"
    yield helper.make_node("Concat", ["contract_no_pads", rest], [pads], axis=0)
    steps.append(("Pad", [pads], {"mode": "reflect"}))


def _after(graph: onnx.GraphProto, scale: float, offset: float) -> Iterator[onnx.NodeProto]:
    yield helper.make_node("Shape", [INPUT_NAME], ["contract_ends"], start=1, end=3)
    steps: list[Step] = []
    if offset != 0:
        steps.append(("Add", ["contract_inverse_offset"], {}))
    if scale != 1:
        steps.append(("Mul", ["contract_inverse"], {}))
    steps += [
        ("Slice", ["contract_zeros", "contract_ends", "contract_sides"], {}),
        ("Clip", ["contract_black", "contract_white"], {}),
        ("Round", [], {}),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("Cast", [], {"to": TensorProto.UINT8}),
    ]
    yield from _chain(graph.output[0].name, steps, OUTPUT_NAME, "contract_out")


def _chain(first: str, steps: list[Step], last: str, prefix: str) -> Iterator[onnx.NodeProto]:
    value = first
    for index, (operation, constants, attributes) in enumerate(steps):
        output = last if index == len(steps) - 1 else f"{prefix}_{index}"
        yield helper.make_node(
            operation,
            [value, *constants],
            [output],
            name=f"{prefix}_{index}_{operation}",
            **attributes,
        )
        value = output
