"""Rules: what of a graph each target does not take, and why. The lists are in `target_tables`."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import onnx
from onnx import TensorProto

from edge_style_tools import target_tables as tables

_SIZE_REMEDY, _PADS_REMEDY, _FLOAT_REMEDY = "--size WxH", "--plain-pads", "--precision fp16"
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_SIZE_TYPES = {TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL}
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")


class Graph:
    """What the rules ask of a model: types, shapes, constants, and what is between convolutions."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.nodes = list(graph.node)
        self.opset = next(
            (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0
        )
        self.ir_version = model.ir_version
        values = [*graph.input, *graph.output, *graph.value_info]
        self.dtypes = {value.name: value.type.tensor_type.elem_type for value in values}
        self.dtypes |= {tensor.name: tensor.data_type for tensor in graph.initializer}
        self.fixed = {
            value.name
            for value in values
            if value.type.tensor_type.HasField("shape")
            and all(side.HasField("dim_value") for side in value.type.tensor_type.shape.dim)
        }
        self.constants = {tensor.name for tensor in graph.initializer}
        self.constants |= {n.output[0] for n in self.nodes if n.op_type == "Constant"}
        self.constants |= {
            node.output[0]
            for node in self.nodes
            if node.op_type == "DequantizeLinear" and node.input[0] in self.constants
        }
        self.inside = self._between_convolutions()

    def _between_convolutions(self) -> set[int]:
        """Positions of the nodes that follow a convolution and precede another."""
        after: set[str] = set()
        followers, inside = set(), set()
        for position, node in enumerate(self.nodes):
            if not after.isdisjoint(node.input):
                followers.add(position)
            if position in followers or node.op_type in _CONVOLUTIONS:
                after.update(node.output)
        before: set[str] = set()
        for position, node in reversed(list(enumerate(self.nodes))):
            precedes = not before.isdisjoint(node.output)
            if precedes and position in followers:
                inside.add(position)
            if precedes or node.op_type in _CONVOLUTIONS:
                before.update(name for name in node.input if name)
        return inside

    def sizes_only(self, node: onnx.NodeProto) -> bool:
        """Whether it computes sizes: onnxruntime leaves those to the CPU on every accelerator."""
        types = {self.dtypes.get(name) for name in node.output}
        return types <= _SIZE_TYPES and node.op_type not in _QUANTIZING

    def constant_inputs(self, node: onnx.NodeProto, start: int) -> bool:
        return all(name in self.constants for name in node.input[start:] if name)


# (why, remedy) of an operator that is not taken; None if it is.
Verdict: TypeAlias = tuple[str, str] | None
Rule: TypeAlias = Callable[[onnx.NodeProto, Graph], Verdict]


def _types(node: onnx.NodeProto, graph: Graph) -> set[int | None]:
    return {graph.dtypes.get(name) for name in (*node.input, *node.output) if name}


def attributes(node: onnx.NodeProto) -> Mapping[str, Any]:
    """Its attributes by name, text as str."""
    values = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in values.items()
    }


def _listed(operators: frozenset[str], node: onnx.NodeProto) -> Verdict:
    if node.domain not in ("", "ai.onnx"):
        return f"it is of the domain {node.domain}", ""
    if node.op_type not in operators:
        return "not in its list of operators", _FLOAT_REMEDY if node.op_type in _QUANTIZING else ""
    return None


def _cuda(node: onnx.NodeProto, graph: Graph) -> Verdict:
    return None if graph.sizes_only(node) else _listed(tables.CUDA, node)


def _web(node: onnx.NodeProto, graph: Graph) -> Verdict:
    if graph.sizes_only(node):
        return None
    if TensorProto.UINT8 in _types(node, graph) and node.op_type != "DequantizeLinear":
        return "WebGPU takes no uint8", ""
    return _listed(tables.WEBGPU, node)


def _tensorrt(node: onnx.NodeProto, graph: Graph) -> Verdict:
    if node.op_type in _QUANTIZING and TensorProto.UINT8 in _types(node, graph):
        return "it quantizes to int8 with zero point 0 only", _FLOAT_REMEDY
    if TensorProto.UINT8 in _types(node, graph) and node.op_type not in ("Cast", "Transpose"):
        return "it takes uint8 as network input and output only", ""
    if node.op_type == "Resize":
        mode = attributes(node).get("mode", "nearest")
        if mode not in tables.TENSORRT_RESIZE_MODES:
            return f"it does not resize by {mode}", ""
    return _listed(tables.TENSORRT, node)


def _coreml(node: onnx.NodeProto, graph: Graph) -> Verdict:
    if graph.sizes_only(node):
        return None
    if TensorProto.UINT8 in _types(node, graph):
        return "it takes no uint8", _FLOAT_REMEDY if node.op_type in _QUANTIZING else ""
    rule = _COREML_RULES.get(node.op_type)
    return _listed(tables.COREML, node) or (rule(node, graph) if rule else None)


def _coreml_pad(node: onnx.NodeProto, graph: Graph) -> Verdict:
    mode = attributes(node).get("mode", "constant")
    if not graph.constant_inputs(node, 1):
        return "its amounts are computed at run time", _SIZE_REMEDY
    if mode not in ("constant", "reflect"):
        return "it pads by a constant or by reflection only", _PADS_REMEDY
    if mode == "reflect" and node.input[0] not in graph.fixed:
        return "it reflects pictures of fixed size only", _SIZE_REMEDY
    return None


def _coreml_slice(node: onnx.NodeProto, graph: Graph) -> Verdict:
    if not graph.constant_inputs(node, 1) or node.input[0] not in graph.fixed:
        return "it slices with constant bounds from a fixed size only", _SIZE_REMEDY
    return None


def _coreml_depth_to_space(node: onnx.NodeProto, graph: Graph) -> Verdict:
    if attributes(node).get("mode") == "CRD" and node.input[0] not in graph.fixed:
        return "it takes this order of channels at a fixed size only", _SIZE_REMEDY
    return None


def _coreml_resize(node: onnx.NodeProto, graph: Graph) -> Verdict:
    given = attributes(node)
    for name, allowed in tables.COREML_RESIZE.items():
        if given.get(name, allowed[0]) not in allowed:
            return f"it resizes with {name} {' or '.join(allowed)} only", ""
    if not graph.constant_inputs(node, 1):
        return "its scale is computed at run time", _SIZE_REMEDY
    return None


def _coreml_convolution(node: onnx.NodeProto, graph: Graph) -> Verdict:
    if not graph.constant_inputs(node, 1):
        return "its weights are computed at run time", ""
    if any(attributes(node).get("output_padding", ())):
        return "it takes no output_padding", ""
    return None


_COREML_RULES: Mapping[str, Rule] = {
    "Pad": _coreml_pad,
    "Slice": _coreml_slice,
    "DepthToSpace": _coreml_depth_to_space,
    "Resize": _coreml_resize,
    "Conv": _coreml_convolution,
    "ConvTranspose": _coreml_convolution,
}
RULES: Mapping[str, Rule] = {
    "cuda": _cuda,
    "tensorrt": _tensorrt,
    "coreml": _coreml,
    "web": _web,
}
