"""Rewrites of an exported graph that torch's exporter leaves undone, and figures about it.

They work on `onnx_ir` models, the form that torch's exporter and onnxscript's optimizer use.
"""

from collections import Counter
from itertools import count
from math import prod

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnxscript.optimizer
from onnx_ir.passes import common

from edge_style.contract import HEIGHT_DIM, INPUT_NAME, OUTPUT_NAME, WIDTH_DIM

FloatArray = npt.NDArray[np.floating]

# Each pixel goes somewhere else or nowhere: scaling may as well come before.
PIXEL_MOVES = ("Slice", "DepthToSpace", "Transpose", "Reshape", "Identity")


def tidy(model: ir.Model) -> None:
    """Fold, merge and clean `model` in place; it computes the same as before, for every size."""
    fold_scalars(model.graph)
    merge_crops(model.graph)
    measure_floats(model.graph)
    measure_activations(model.graph)
    for clean in (
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.DeduplicateInitializersPass(),
        common.RemoveUnusedOpsetsPass(),
        # The exporter notes source files and stack traces of this machine on every node.
        common.ClearMetadataAndDocStringPass(),
    ):
        clean(model)
    name_nodes(model.graph)
    model.graph.sort()
    model.graph.name = "edge_style"
    model.ir_version = onnx.helper.find_min_ir_version_for(
        [onnx.helper.make_opsetid("", model.opset_imports[""])]
    )


def fold_scalars(graph: ir.Graph) -> None:
    """Move multiplications and additions of a constant scalar into the convolution before them."""
    for node in list(graph):
        if node.op_type not in ("Mul", "Add"):
            continue
        for index in (0, 1):
            data, value = node.inputs[index], constant(node.inputs[1 - index])
            if value is None or value.size != 1 or data is None:
                continue
            convolution = _convolution_before(data)
            if convolution is not None:
                _scale_convolution(graph, convolution, node.op_type, float(value.item()))
                # Not `data`: where nothing stands between, that was the former convolution's.
                scaled = node.inputs[index]
                if scaled is not None:
                    replace(graph, node.outputs[0], scaled)
                break


def name_nodes(graph: ir.Graph) -> None:
    """Give every node a name: onnxruntime's quantizer picks nodes by theirs."""
    taken = {node.name for node in graph}
    for node in graph:
        if not node.name:
            node.name = next(
                name
                for name in (f"{node.op_type}_{number}" for number in count())
                if name not in taken
            )
            taken.add(node.name)


def measure_floats(graph: ir.Graph) -> None:
    """Let the frame's size be asked of the floats that it is cast to.

    TensorRT's Shape takes no uint8, and the cast keeps the shape.
    """
    image = next(value for value in graph.inputs if value.name == INPUT_NAME)
    users = [node for node, _ in image.uses()]
    cast = next((node for node in users if node.op_type == "Cast"), None)
    for node in users:
        if node.op_type == "Shape" and cast is not None:
            node.replace_input_with(0, cast.outputs[0])


def measure_activations(graph: ir.Graph) -> None:
    """Let the size of what goes into a Relu be asked of what comes out of it.

    The quantizer merges a Relu with the convolution before it only if nothing else uses what is
    between; else a half of the 256 steps would be spent on what the Relu takes away.
    """
    for relu in graph:
        if relu.op_type != "Relu" or relu.inputs[0] is None:
            continue
        for node, index in tuple(relu.inputs[0].uses()):
            if node.op_type == "Shape":
                node.replace_input_with(index, relu.outputs[0])


def halve_convolutions(graph: ir.Graph) -> None:
    """Let the convolutions of a float graph compute in fp16; everything else stays fp32."""
    for node in list(graph):
        if node.op_type not in ("Conv", "ConvTranspose"):
            continue
        weights = [constant(value) for value in node.inputs[1:]]
        if node.inputs[0] is None or any(weight is None for weight in weights):
            continue
        name = node.outputs[0].name
        narrow = ir.node("Cast", [node.inputs[0]], attributes={"to": ir.DataType.FLOAT16})
        narrow.outputs[0].name = f"{name}_fp16_in"
        constants = [
            new_constant(graph, f"{name}_fp16_{index}", np.asarray(weight, dtype=np.float16))
            for index, weight in enumerate(weights)
        ]
        convolution = ir.Node(
            "",
            node.op_type,
            [narrow.outputs[0], *constants],
            list(node.attributes.values()),
            name=node.name,
        )
        convolution.outputs[0].name = f"{name}_fp16_out"
        widen = ir.node("Cast", [convolution.outputs[0]], attributes={"to": ir.DataType.FLOAT})
        widen.outputs[0].name = f"{name}_fp32"
        graph.insert_before(node, [narrow, convolution, widen])
        replace(graph, node.outputs[0], widen.outputs[0])


def merge_crops(graph: ir.Graph) -> None:
    """Merge the crops at the end (the network's own border, then the frame's size) into one.

    The network gives at least the frame's size (see `edge_style_training.networks`), so the last
    crop decides where the picture ends, and the sum of all where it begins. An encoder, which may
    paint on its way to a code, is left as it is.
    """
    if [output.name for output in graph.outputs] != [OUTPUT_NAME]:
        return
    crops: list[ir.Node] = []
    node = _last(graph, "Slice")
    while node is not None and node.op_type == "Slice":
        crops.append(node)
        data = node.inputs[0]
        alone = data is not None and len(data.uses()) == 1
        node = data.producer() if data is not None and alone else None
    starts = {2: 0, 3: 0}
    for crop in crops:
        if len(crop.inputs) < 4:
            return
        begin, axes = constant(crop.inputs[1]), constant(crop.inputs[3])
        steps = constant(crop.inputs[4]) if len(crop.inputs) > 4 else np.ones(1)
        if begin is None or axes is None or steps is None or not set(axes.tolist()) <= {2, 3}:
            return
        if min(begin.tolist()) < 0 or set(steps.tolist()) != {1}:
            return
        for axis, start in zip(axes.tolist(), begin.tolist(), strict=True):
            starts[axis] += start
    if crops:
        _crop_once(graph, crops, np.array([starts[2], starts[3]], dtype=np.int64))


def name_dimensions(model: onnx.ModelProto) -> None:
    """Call the dynamic sizes of `image` and `stylized` H and W, and forget what exporters note.

    The dimensions that exporters and shape inference note for inner values are formulas at best,
    wrong at worst, and onnxruntime warns where they disagree with what it sees.
    """
    del model.graph.value_info[:]
    for noted in (model, model.graph, *model.graph.input, *model.graph.output):
        del noted.metadata_props[:]
    (image,) = [value for value in model.graph.input if value.name == INPUT_NAME]
    (stylized,) = [value for value in model.graph.output if value.name == OUTPUT_NAME]
    sides = image.type.tensor_type.shape.dim[1:3]
    for side, name in zip(sides, (HEIGHT_DIM, WIDTH_DIM), strict=True):
        if not side.HasField("dim_value"):
            side.dim_param = name
    stylized.type.tensor_type.shape.CopyFrom(image.type.tensor_type.shape)


def count_operations(model: onnx.ModelProto) -> dict[str, int]:
    """How often each operator occurs, most frequent first."""
    return dict(Counter(node.op_type for node in model.graph.node).most_common())


def count_macs_per_pixel(
    model: onnx.ModelProto, height_px: int = 480, width_px: int = 640
) -> float:
    """Multiply-accumulates of the convolutions per pixel of a frame of that size; 0 if unknown.

    A border that the network adds weighs more on small frames, hence the size. A fixed size of the
    model's own goes first.
    """
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    del sized.graph.value_info[:]
    del sized.graph.output[0].type.tensor_type.shape.dim[:]
    sides = sized.graph.input[0].type.tensor_type.shape.dim[1:3]
    for side, side_px in zip(sides, (height_px, width_px), strict=True):
        if not side.HasField("dim_value"):
            side.dim_value = side_px
    # Folds what is computed from the size, such as paddings; inference alone stops there.
    sized = onnxscript.optimizer.optimize(sized)
    inferred = onnx.shape_inference.infer_shapes(sized, data_prop=True).graph.value_info
    grids = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim[2:]]
        for value in inferred
    }
    kernels = {tensor.name: prod(tensor.dims) for tensor in sized.graph.initializer}
    macs = 0
    for node in sized.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            # The kernel is applied once per output of a convolution, per input of a transposed one.
            grid = grids.get(node.output[0] if node.op_type == "Conv" else node.input[0])
            if not grid or 0 in grid or node.input[1] not in kernels:
                return 0.0
            macs += kernels[node.input[1]] * prod(grid)
    pixels = prod(int(side.dim_value) for side in sides)
    return float(macs / pixels)


def constant(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    return None if value is None or value.const_value is None else value.const_value.numpy()


def new_constant(graph: ir.Graph, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
    value = ir.Value(name=name, const_value=ir.tensor(array, name=name))
    value.shape = ir.Shape(array.shape)
    value.dtype = ir.DataType.from_numpy(array.dtype)
    graph.register_initializer(value)
    return value


def replace(graph: ir.Graph, old: ir.Value, new: ir.Value) -> None:
    ir.convenience.replace_all_uses_with(old, new)
    node = old.producer()
    if node is not None:
        graph.remove(node, safe=True)


def _convolution_before(data: ir.Value) -> ir.Node | None:
    """The convolution whose output only moves its pixels about on the way to `data`."""
    node = data.producer()
    while node is not None and len(node.outputs[0].uses()) == 1:
        if node.op_type == "Conv":
            return None if constant(node.inputs[1]) is None else node
        if node.op_type not in PIXEL_MOVES or node.inputs[0] is None:
            return None
        node = node.inputs[0].producer()
    return None


def _scale_convolution(graph: ir.Graph, node: ir.Node, operation: str, scalar: float) -> None:
    """Let `node` do the multiplication by, or the addition of, `scalar`."""
    weight = constant(node.inputs[1])
    if weight is None:
        raise ValueError(f"the weights of {node.name} are not constant")
    bias = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    bias = np.zeros(weight.shape[0], weight.dtype) if bias is None else bias
    weight64, bias64 = weight.astype(np.float64), bias.astype(np.float64)
    if operation == "Mul":
        weight64, bias64 = weight64 * scalar, bias64 * scalar
    else:
        bias64 = bias64 + scalar
    name = node.outputs[0].name
    inputs = [
        node.inputs[0],
        new_constant(graph, f"{name}_{operation}_weight", weight64.astype(weight.dtype)),
        new_constant(graph, f"{name}_{operation}_bias", bias64.astype(bias.dtype)),
    ]
    convolution = ir.Node("", "Conv", inputs, list(node.attributes.values()), name=node.name)
    convolution.outputs[0].name = name
    graph.insert_before(node, convolution)
    replace(graph, node.outputs[0], convolution.outputs[0])


def _last(graph: ir.Graph, op_type: str) -> ir.Node | None:
    return next((node for node in reversed(graph) if node.op_type == op_type), None)


def _crop_once(graph: ir.Graph, crops: list[ir.Node], starts: npt.NDArray[np.int64]) -> None:
    """Put one Slice of the frame's size in the place of `crops`, which come last one first."""
    image = next(value for value in graph.inputs if value.name == INPUT_NAME)
    last, first = crops[0], crops[-1]
    if image.shape is None or first.inputs[0] is None:
        return
    sides = image.shape[1:3]
    new_nodes: list[ir.Node] = []
    if all(isinstance(side, int) for side in sides):
        ends = new_constant(graph, "crop_ends", starts + np.array(sides, dtype=np.int64))
    else:
        size = ir.node("Shape", [image], attributes={"start": 1, "end": 3})
        size.outputs[0].name = "frame_size"
        new_nodes.append(size)
        ends = size.outputs[0]
        if starts.any():
            end = ir.node("Add", [ends, new_constant(graph, "crop_border", starts)])
            end.outputs[0].name = "crop_ends"
            new_nodes.append(end)
            ends = end.outputs[0]
    begin = new_constant(graph, "crop_starts", starts)
    axes = new_constant(graph, "crop_axes", np.array([2, 3], dtype=np.int64))
    crop = ir.node("Slice", [first.inputs[0], begin, ends, axes])
    crop.outputs[0].name = "cropped"
    crop.outputs[0].type = last.outputs[0].type
    graph.insert_before(last, [*new_nodes, crop])
    ir.convenience.replace_all_uses_with(last.outputs[0], crop.outputs[0])
