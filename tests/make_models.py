"""Writes the tiny models in tests/data/models: `python tests/make_models.py`.

The runtime's tests run on them, so that these need neither torch nor onnx.
"""

from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from edge_style.contract import (
    INPUT_NAME,
    MAX_IR_VERSION,
    MAX_OPSET,
    OUTPUT_NAME,
    STYLE_INPUT_NAME,
    ModelSpec,
)

FOLDER = Path(__file__).parent / "data" / "models"
CONTRACT_SHAPE = [1, "H", "W", 3]
INVERT = -np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)


def model(nodes, inputs, outputs, tensors=(), metadata=None) -> ModelProto:
    """A checked model; inputs and outputs are (name, type, shape), tensors name -> array."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*value) for value in inputs],
        [helper.make_tensor_value_info(*value) for value in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(tensors).items()],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", MAX_OPSET)], ir_version=MAX_IR_VERSION
    )
    helper.set_model_props(made, metadata or {})
    checker.check_model(made, full_check=True)
    return made


def contract_metadata(name: str, **more) -> dict[str, str]:
    """Metadata as export writes it."""
    settings = {
        "name": name,
        "architecture": "test",
        "precision": "fp32",
        "painting": "Negative",
        "artist": "Nobody",
        "parameters": 12,
        "macs_per_pixel": 9.0,
        "operations": {"Conv": 1, "Cast": 2, "Transpose": 2},
    }
    return ModelSpec(**(settings | more)).to_metadata()


def invert_nodes(float_type: int) -> list[NodeProto]:
    """uint8 NHWC -> 255 - image, by a 1x1 convolution in the given float type."""
    return [
        helper.make_node("Cast", [INPUT_NAME], ["cast"], to=float_type),
        helper.make_node("Transpose", ["cast"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight", "bias"], ["inverted"]),
        helper.make_node("Transpose", ["inverted"], ["pixels"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["pixels"], [OUTPUT_NAME], to=TensorProto.UINT8),
    ]


def invert(float_type: int, dtype, metadata, **changed) -> ModelProto:
    """A model that inverts colours and follows the contract, but for what is changed."""
    return model(
        invert_nodes(float_type),
        [(INPUT_NAME, TensorProto.UINT8, changed.get("shape", CONTRACT_SHAPE))],
        [(OUTPUT_NAME, TensorProto.UINT8, changed.get("shape", CONTRACT_SHAPE))],
        {"weight": INVERT.astype(dtype), "bias": np.full(3, 255, dtype)},
        metadata,
    )


def many() -> ModelProto:
    """Three styles: as it is, inverted, black; the weights blend them."""
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["white", "x"], ["inverted"]),
        helper.make_node("Split", [STYLE_INPUT_NAME], ["a", "b", "c"], num_outputs=3),
        helper.make_node("Mul", ["x", "a"], ["x_weighted"]),
        helper.make_node("Mul", ["inverted", "b"], ["inverted_weighted"]),
        helper.make_node("Add", ["x_weighted", "inverted_weighted"], ["sum"]),
        helper.make_node("Cast", ["sum"], [OUTPUT_NAME], to=TensorProto.UINT8),
    ]
    return model(
        nodes,
        [
            (INPUT_NAME, TensorProto.UINT8, CONTRACT_SHAPE),
            (STYLE_INPUT_NAME, TensorProto.FLOAT, [3]),
        ],
        [(OUTPUT_NAME, TensorProto.UINT8, CONTRACT_SHAPE)],
        {"white": np.float32(255)},
        contract_metadata("many", styles=("plain", "negative", "night")),
    )


def any_style() -> ModelProto:
    """Paints a code: the picture times the code's second number plus its other three, as RGB."""
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Split", [STYLE_INPUT_NAME, "parts"], ["one", "share", "colour"]),
        helper.make_node("Mul", ["x", "share"], ["scaled"]),
        helper.make_node("Add", ["scaled", "colour"], ["sum"]),
        helper.make_node("Clip", ["sum", "black", "white"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], [OUTPUT_NAME], to=TensorProto.UINT8),
    ]
    return model(
        nodes,
        [
            (INPUT_NAME, TensorProto.UINT8, CONTRACT_SHAPE),
            (STYLE_INPUT_NAME, TensorProto.FLOAT, [5]),
        ],
        [(OUTPUT_NAME, TensorProto.UINT8, CONTRACT_SHAPE)],
        {
            "parts": np.array([1, 1, 3]),
            "black": np.float32(0),
            "white": np.float32(255),
        },
        contract_metadata("any", code_length=5, checkpoint_sha256="a" * 64),
    )


def any_encoder(training: str = "a") -> ModelProto:
    """The picture's mean colour as a code: 1, 0, and its red, green and blue."""
    nodes = [
        helper.make_node("Cast", [INPUT_NAME], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["colour"], keepdims=0),
        helper.make_node("Concat", ["start", "colour"], [STYLE_INPUT_NAME], axis=0),
    ]
    return model(
        nodes,
        [(INPUT_NAME, TensorProto.UINT8, CONTRACT_SHAPE)],
        [(STYLE_INPUT_NAME, TensorProto.FLOAT, [5])],
        {"axes": np.array([0, 1, 2]), "start": np.array([1, 0], np.float32)},
        contract_metadata("any", role="encoder", code_length=5, checkpoint_sha256=training * 64),
    )


def foreign(shape, white: float) -> ModelProto:
    """A float network that inverts colours, for 0..white."""
    return model(
        [helper.make_node("Sub", ["white", "x"], ["y"])],
        [("x", TensorProto.FLOAT, shape)],
        [("y", TensorProto.FLOAT, shape)],
        {"white": np.float32(white)},
    )


def foreign_signed() -> ModelProto:
    """NHWC, -1..1, inverts colours: -tanh(8x), so nearly black and white."""
    shape = ["N", "h", "w", 3]
    return model(
        [
            helper.make_node("Mul", ["x", "steep"], ["steeper"]),
            helper.make_node("Tanh", ["steeper"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, shape)],
        [("y", TensorProto.FLOAT, shape)],
        {"steep": np.float32(-8)},
    )


def foreign_strided() -> ModelProto:
    """Halves and doubles the picture, and adds it to the input: sides must be even."""
    shape = [1, 3, "h", "w"]
    return model(
        [
            helper.make_node("AveragePool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Resize", ["half", "", "scales"], ["full"], mode="nearest"),
            helper.make_node("Add", ["x", "full"], ["sum"]),
            helper.make_node("Mul", ["sum", "minus_half"], ["negative"]),
            helper.make_node("Add", ["negative", "white"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, shape)],
        [("y", TensorProto.FLOAT, shape)],
        {
            "scales": np.array([1, 1, 2, 2], np.float32),
            "minus_half": np.float32(-0.5),
            "white": np.float32(255),
        },
    )


def classifier() -> ModelProto:
    """Not a network for pictures: four numbers in, two out."""
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        [("x", TensorProto.FLOAT, [1, 4])],
        [("scores", TensorProto.FLOAT, [1, 2])],
        {"w": np.ones((4, 2), np.float32)},
    )


def violating() -> ModelProto:
    """Claims to follow the contract, but takes floats."""
    shape = [1, 3, "H", "W"]
    return model(
        [helper.make_node("Neg", [INPUT_NAME], [OUTPUT_NAME])],
        [(INPUT_NAME, TensorProto.FLOAT, shape)],
        [(OUTPUT_NAME, TensorProto.FLOAT, shape)],
        metadata=contract_metadata("violating"),
    )


def main() -> None:
    fp16 = contract_metadata("negative16", precision="fp16")
    models = {
        "negative": invert(TensorProto.FLOAT, np.float32, contract_metadata("negative")),
        "negative16": invert(TensorProto.FLOAT16, np.float16, fp16),
        "many": many(),
        "any": any_style(),
        "any.encoder": any_encoder(),
        # Its encoder is of another training.
        "torn": any_style(),
        "torn.encoder": any_encoder("b"),
        "foreign_255": foreign([1, 3, "height", "width"], 255),
        "foreign_1": foreign([1, 3, "height", "width"], 1),
        "foreign_fixed": foreign([1, 3, 48, 64], 255),
        "foreign_signed": foreign_signed(),
        "foreign_strided": foreign_strided(),
        "classifier": classifier(),
        "violating": violating(),
        "fixed": invert(
            TensorProto.FLOAT, np.float32, contract_metadata("fixed"), shape=[1, 48, 64, 3]
        ),
        "encoder": invert(
            TensorProto.FLOAT, np.float32, contract_metadata("encoder", role="encoder")
        ),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, made in models.items():
        (FOLDER / f"{name}.onnx").write_bytes(made.SerializeToString())


if __name__ == "__main__":
    main()
