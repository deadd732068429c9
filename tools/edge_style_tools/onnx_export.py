"""From a PyTorch network to an ONNX graph that keeps the model contract."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import onnx_ir as ir
import onnxscript
import torch
from onnxscript import opset18 as op
from torch import nn

from edge_style.contract import (
    CHANNELS,
    HEIGHT_DIM,
    INPUT_NAME,
    OUTPUT_NAME,
    STYLE_INPUT_NAME,
    WIDTH_DIM,
    Precision,
)
from edge_style.errors import ModelError
from edge_style_tools.contract_module import ContractModule
from edge_style_tools.folding import fold, halve
from edge_style_tools.graph import name_dimensions, tidy
from edge_style_tools.int8_form import fold_frame_scale, int8_form

# The oldest that torch's exporter writes by itself: an engine that knows a later one takes it too.
OPSET = 18

# torch.export asks that a dynamic size be given a range; it never enters the graph.
_MAX_SIDE_PX = 1 << 14
_MIN_SIDE_PX = 16


def network_to_onnx(
    network: nn.Module,
    *,
    precision: Precision = "fp32",
    size: tuple[int, int] | None = None,
    styles: int = 1,
) -> onnx.ModelProto:
    """`network`, wrapped in the model contract, as an ONNX graph without metadata.

    torch's `torch.export`-based exporter is used: beside the older one, which is deprecated, its
    graph is a third as long, needs no formulas for the sizes and names them right.

    Args:
        network: RGB float frames [1, 3, H, W], 0..255, to stylized frames of the same scale.
        precision: `fp16`: fp16 convolutions (normalization stays fp32). `int8`: still floats, in
            the form that suits `quantize.quantize`.
        size: (height, width) in pixels, to fix it; else it is dynamic.
        styles: that the network knows; with several it takes weights [1, S] over them as well, and
            the graph has the input `style`.

    Raises:
        ModelError: torch cannot export the network.
    """
    ready = fold(network)
    if precision == "fp16":
        ready = halve(ready)
    elif precision == "int8":
        fold_frame_scale(ready)
        ready = int8_form(ready)
    return _export(ContractModule(ready).eval(), size, styles)


def _export(module: nn.Module, size: tuple[int, int] | None, styles: int) -> onnx.ModelProto:
    height_px, width_px = size or (64, 80)
    example: tuple[torch.Tensor, ...] = (
        torch.zeros(1, height_px, width_px, CHANNELS, dtype=torch.uint8),
    )
    input_names = [INPUT_NAME]
    if styles > 1:
        example += (torch.full((styles,), 1 / styles),)
        input_names.append(STYLE_INPUT_NAME)
    dynamic: dict[str, dict[int, Any] | None] | None = None
    if size is None:
        dynamic = {"image": dynamic_sides(), **({"style": None} if styles > 1 else {})}
    model = run_exporter(module, example, (input_names, [OUTPUT_NAME]), dynamic)
    name_dimensions(model)
    return model


def dynamic_sides() -> dict[int, Any]:
    """Height and width of frames [1, H, W, 3] as torch's exporter wants them to be dynamic."""
    names = {1: HEIGHT_DIM, 2: WIDTH_DIM}
    return {
        dimension: torch.export.Dim(name, min=_MIN_SIDE_PX, max=_MAX_SIDE_PX)
        for dimension, name in names.items()
    }


def run_exporter(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    names: tuple[list[str], list[str]],
    dynamic: dict[str, dict[int, Any] | None] | None,
) -> onnx.ModelProto:
    """What torch's exporter makes of `module`, tidied.

    Args:
        module: in evaluation mode.
        example: inputs.
        names: of inputs, and of outputs.
        dynamic: input of the module -> its dynamic dimensions.

    Raises:
        ModelError: torch cannot export it.
    """
    input_names, output_names = names
    try:
        with quiet():
            program = torch.onnx.export(
                module,
                example,
                input_names=input_names,
                output_names=output_names,
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=dynamic,
                custom_translation_table={torch.ops.aten.std_mean.correction: _std_mean},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"torch cannot export this network: {reason}") from error
    if program is None:
        raise ModelError("torch exported nothing")
    tidy(program.model)
    return ir.serde.serialize_model(program.model)


def _std_mean(
    frames: Any, dim: Any = None, correction: float | None = None, keepdim: bool = False
) -> Any:
    """Deviation and mean over the frame; torch's own way sums every pixel once more."""
    if not keepdim or correction != 0:
        raise NotImplementedError("std_mean with keepdim=True and correction=0 only")
    axes: Any = op.Constant(value_ints=list(dim))
    mean = op.ReduceMean(frames, axes, keepdims=1)
    centred = op.Sub(frames, mean)
    deviation = op.Sqrt(op.ReduceMean(op.Mul(centred, centred), axes, keepdims=1))
    return deviation, mean


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' talk about themselves off the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", onnxscript.__name__)]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
