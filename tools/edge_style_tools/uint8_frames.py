"""In an int8 graph, frames stay uint8 from the input to the first convolution and from the last.

A frame's levels are integers from 0 to 255, so quantizing them with scale 1 and zero point 0 loses
nothing, and a last convolution quantized so gives the picture itself, rounded and clamped. What
moves pixels about before and after (padding, cropping, shuffling) then works on bytes.
"""

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from edge_style.contract import INPUT_NAME, OUTPUT_NAME
from edge_style_tools.graph import PIXEL_MOVES, constant

LEVELS = {"scale": np.array(1, np.float32), "zero_point": np.array(0, np.uint8)}

_BYTE_MOVES = (*PIXEL_MOVES, "Pad")
# What the contract's wrapping does to float pictures, and quantizing with `LEVELS` does as well.
_ROUNDING = ("Clip", "Round", "Cast")


def level_tensors(model: onnx.ModelProto) -> list[str]:
    """Names of the tensors to quantize with `LEVELS`, if nothing but moves parts them from frames.

    They are the first convolution's input and the last one's output.
    """
    graph = ir.serde.deserialize_model(model).graph
    names = []
    first = _next(_cast(graph), _BYTE_MOVES)
    if first is not None and first.op_type == "Conv" and first.inputs[0] is not None:
        names.append(str(first.inputs[0].name))
    last = _before_rounding(graph)
    if last is not None and last.op_type == "Conv":
        names.append(str(last.outputs[0].name))
    return names


def picture_nodes(model: onnx.ModelProto) -> set[str]:
    """Names of the nodes that make a picture of what the last convolution gives."""
    graph = ir.serde.deserialize_model(model).graph
    last = _before_rounding(graph)
    names = set()
    node = graph.outputs[0].producer()
    while node is not None and node is not last:
        names.add(str(node.name))
        before = node.inputs[0]
        node = None if before is None else before.producer()
    return names if last is not None and last.op_type == "Conv" else set()


def keep_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, quantized with `LEVELS` at both ends, without the floats that this leaves idle."""
    loaded = ir.serde.deserialize_model(model)
    graph = loaded.graph
    cast = _cast(graph)
    quantize = _next(cast, _BYTE_MOVES)
    if cast is not None and quantize is not None and _is_levels(quantize, "QuantizeLinear"):
        _pass_by(graph, quantize)
        _pass_by(graph, cast)
    dequantize = _before_rounding(graph)
    if dequantize is not None and _is_levels(dequantize, "DequantizeLinear"):
        node = graph.outputs[0].producer()
        while node is not None and node is not dequantize:
            before = node.inputs[0]
            if node.op_type in _ROUNDING:
                _pass_by(graph, node)
            node = None if before is None else before.producer()
        _pass_by(graph, dequantize)
    for node in graph:
        for value in node.outputs:
            value.type = None  # inference says again which are bytes now
            value.shape = None
    graph.outputs[0].type = ir.TensorType(ir.DataType.UINT8)
    graph.outputs[0].shape = graph.inputs[0].shape
    for clean in (common.RemoveUnusedNodesPass(), common.DeduplicateInitializersPass()):
        clean(loaded)
    return ir.serde.serialize_model(loaded)


def _cast(graph: ir.Graph) -> ir.Node | None:
    """The Cast of the frame to float, if nothing else reads the frame but its size."""
    image = next(value for value in graph.inputs if value.name == INPUT_NAME)
    users = [node for node, _ in image.uses() if node.op_type != "Shape"]
    return users[0] if len(users) == 1 and users[0].op_type == "Cast" else None


def _next(node: ir.Node | None, passed: tuple[str, ...]) -> ir.Node | None:
    """The first node after `node` that is none of `passed`, if the way there has no branches."""
    while node is not None:
        users = [user for user, _ in node.outputs[0].uses() if user.op_type != "Shape"]
        if len(users) != 1:
            return None
        node = users[0]
        if node.op_type not in passed:
            return node
    return None


def _before_rounding(graph: ir.Graph) -> ir.Node | None:
    """What gives the float picture that is then moved, clamped, rounded and cast."""
    stylized = next(value for value in graph.outputs if value.name == OUTPUT_NAME)
    node = stylized.producer()
    seen = set()
    while node is not None and node.op_type in (*PIXEL_MOVES, *_ROUNDING):
        if node.op_type == "Clip" and not _clips_to_levels(node):
            return None
        seen.add(node.op_type)
        before = node.inputs[0]
        if before is None or len(before.uses()) != 1:
            return None
        node = before.producer()
    return node if seen.issuperset(_ROUNDING) else None


def _clips_to_levels(clip: ir.Node) -> bool:
    limits = [constant(value) for value in clip.inputs[1:]]
    return [None if limit is None else float(limit.item()) for limit in limits] == [0.0, 255.0]


def _is_levels(node: ir.Node, op_type: str) -> bool:
    if node.op_type != op_type or len(node.inputs) < 3:
        return False
    scale, zero_point = constant(node.inputs[1]), constant(node.inputs[2])
    return (
        scale is not None
        and zero_point is not None
        and scale.size == 1
        and float(scale.item()) == 1
        and zero_point.dtype == np.uint8
        and int(zero_point.item()) == 0
    )


def _pass_by(graph: ir.Graph, node: ir.Node) -> None:
    """Take `node` out: what read its output reads its first input."""
    source, output = node.inputs[0], node.outputs[0]
    if source is None:
        raise ValueError(f"{node.name} has no input")
    if output in graph.outputs:
        producer = source.producer()
        if producer is None or len(source.uses()) != 1:
            raise ValueError(f"{node.name} cannot be taken out")
        graph.outputs[graph.outputs.index(output)] = source
        name, output.name = output.name, f"{output.name}_before"
        source.name = name
    else:
        ir.convenience.replace_all_uses_with(output, source)
    graph.remove(node, safe=True)
