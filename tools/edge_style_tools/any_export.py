"""The second file of a network for any style: the encoder, from a picture to a `style`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from edge_style.catalog import encoder_files
from edge_style.contract import (
    CHANNELS,
    HEIGHT_DIM,
    INPUT_NAME,
    STYLE_INPUT_NAME,
    WIDTH_DIM,
    ModelSpec,
    Precision,
)
from edge_style.errors import UsageError
from edge_style.images import ensure_writable
from edge_style.providers import provider_named
from edge_style.session import Session
from edge_style_tools import verify
from edge_style_tools.export import (
    ExportReport,
    ExportSettings,
    beside,
    check,
    choose_output,
    describe_calibration,
    difference_scores,
    export_network,
    require_taken,
    tool_versions,
    write_preview,
)
from edge_style_tools.folding import fold, halve
from edge_style_tools.graph import count_operations
from edge_style_tools.onnx_export import dynamic_sides, run_exporter
from edge_style_tools.pads import plain_pads
from edge_style_tools.photos import made_photo
from edge_style_tools.quantize import quantize
from edge_style_tools.sources import NetworkSource
from edge_style_tools.style_codes import bold_pictures, code_of, pictures_to_try
from edge_style_training.networks.any_style import AnyEncoder
from edge_style_training.networks.feedback import TryingEncoder

_PHOTO_PX = (240, 320)
_PART_PX = 64
_FLOAT = ("feedback.vgg.features.0.", "feedback.vgg.features.2.")
# Those that set the ranges, and others that show whether the ranges suffice.
_BOLD_PX, _OTHER_BOLD_PX = (4, 8), (3, 6)


class _EncoderModule(nn.Module):
    """The encoder inside the contract: uint8 [1, H, W, 3] to float32 [S]."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        code: Tensor = self.encoder(image.to(torch.float32).permute(0, 3, 1, 2))
        return code[0].float()


def export_both(
    source: NetworkSource,
    settings: ExportSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[ExportReport, ExportReport]:
    """Write the transformer and, beside it, the encoder of a network for any style.

    Both are written, or neither: one alone, or one beside another training's, is of no use.

    Raises:
        UsageError: one of the files exists and `force` is not set.
        EdgeStyleError: as `export.export_network`.
    """
    name = settings.credits.name or source.spec.name
    target = choose_output(settings, name)
    encoder_target = encoder_files(target)[0]
    choose_output(replace(settings, output=encoder_target), name)
    if settings.preview is not None:
        ensure_writable(settings.preview)
    with beside(target) as partial, beside(encoder_target) as encoder_partial:
        transformer = export_network(
            source, replace(settings, output=partial, force=True, preview=None), progress
        )
        progress("exporting the encoder")
        encoder = _export_encoder(
            source, replace(settings, output=encoder_partial), transformer.spec
        )
        if settings.preview is not None:
            write_preview(settings.preview, partial, source, settings)
    return replace(transformer, path=target), replace(encoder, path=encoder_target)


def encoder_to_onnx(encoder: AnyEncoder, precision: Precision) -> onnx.ModelProto:
    """`encoder` inside the contract, as an ONNX graph without metadata.

    Raises:
        ModelError: torch cannot export it.
    """
    ready: nn.Module = encoder
    if isinstance(encoder, TryingEncoder):
        ready = TryingEncoder(encoder.encoder, fold(encoder.transformer), encoder.feedback)
    ready = halve(ready) if precision == "fp16" else ready
    model = run_exporter(
        _EncoderModule(ready).eval(),
        (torch.zeros(1, 64, 80, CHANNELS, dtype=torch.uint8),),
        ([INPUT_NAME], [STYLE_INPUT_NAME]),
        {"image": dynamic_sides()},
    )
    # What shape inference notes of inner values are formulas at best; see `name_dimensions`.
    del model.graph.value_info[:]
    for side, side_name in zip(
        model.graph.input[0].type.tensor_type.shape.dim[1:3], (HEIGHT_DIM, WIDTH_DIM), strict=True
    ):
        side.dim_param = side_name
    return model


def _export_encoder(
    source: NetworkSource, settings: ExportSettings, transformer: ModelSpec
) -> ExportReport:
    encoder = source.encoder
    if encoder is None or settings.output is None:
        raise UsageError("this network has no style encoder")
    model = encoder_to_onnx(encoder, settings.precision)
    if settings.plain_pads:
        model = plain_pads(model)
    calibration: dict[str, object] = {}
    if settings.precision == "int8":
        model, calibration = _quantize(model, settings)
    spec = ModelSpec(
        name=transformer.name,
        architecture=transformer.architecture,
        precision=settings.precision,
        role="encoder",
        licence=transformer.licence,
        code_length=encoder.code,
        picture_px=encoder.picture_px,
        parameters=_count_parameters(encoder),
        operations=count_operations(model),
        training=transformer.training,
        calibration=calibration,
        checkpoint_sha256=transformer.checkpoint_sha256,
        tool_versions=tool_versions(),
    )
    with beside(settings.output) as partial:
        onnx.save(model, partial)
        check(partial)
        differences = compare_codes(partial, source, settings.providers)
        verify.require_agreement(differences, settings.precision)
        spec = replace(
            spec,
            scores=difference_scores(differences),
            verified_providers=tuple(dict.fromkeys(found.provider for found in differences)),
        )
        onnx.helper.set_model_props(model, spec.to_metadata())
        onnx.save(model, partial)
        check(partial)
        checks = require_taken(partial, settings.targets, "the style encoder")
    size = settings.output.stat().st_size
    return ExportReport(
        settings.output, "its style encoder", spec, tuple(differences), size, checks
    )


def _count_parameters(encoder: AnyEncoder) -> int:
    """Of what the file holds: what tries codes has a VGG of its own."""
    unused = "encoder.vgg." if isinstance(encoder, TryingEncoder) else None
    named = encoder.named_parameters()
    return sum(weight.numel() for name, weight in named if not (unused and unused in name))


def _quantize(
    model: onnx.ModelProto, settings: ExportSettings
) -> tuple[onnx.ModelProto, dict[str, object]]:
    """`model` with an int8 VGG, and how it was calibrated, for the file's metadata."""
    # The ranges of activations show in parts of pictures as well, in an eighth of the time.
    pictures = pictures_to_try()[::2] + bold_pictures(*_BOLD_PX)
    parts = [picture[:_PART_PX, :_PART_PX] for picture in pictures]
    # Deviations are made of the peaks, so none is clipped. By pictures of ordinary contrast alone
    # those of others were: pure colours in squares, stripes and dots painted 6.7 levels off on
    # average and 16 at worst. With some of their kind it is 1.1 and 4.7, for photos and paintings
    # 0.5 as before.
    unclipped = replace(settings.quantization, percentile=100.0)
    quantized = quantize(model, parts, unclipped, is_wanted=_is_quantized)
    calibration = describe_calibration(unclipped, len(parts))
    return quantized, {**calibration, "photos": "made by the program"}


def _is_quantized(weight: str) -> bool:
    """Whether the convolution with the weight of that name is, in an int8 encoder.

    What is tried out is painted in float: by small differences codes are corrected. And it is
    looked at in float by the convolutions at the picture's own resolution, which have few channels:
    int8 ones took as long on CPUs without VNNI, and patterns of pure colours were painted up to 8.6
    levels off in place of 2.8.
    """
    return ".vgg." in weight and not any(name in weight for name in _FLOAT)


def compare_codes(
    model: Path, source: NetworkSource, providers: tuple[str, ...] = ("cpu",)
) -> list[verify.Difference]:
    """What the file's codes and PyTorch's make of a photo: of `pictures_to_try` and bold ones.

    A code has no levels, and not all of its numbers matter alike: pictures tell.
    """
    encoder, paint = source.encoder, source.reference()
    if encoder is None:
        raise UsageError("this network has no style encoder")
    photo = made_photo(0, *_PHOTO_PX)
    pictures = pictures_to_try() + bold_pictures(*_OTHER_BOLD_PX)
    found = []
    for name in providers:
        session = Session(model, provider_named(name))
        for picture in pictures:
            code = session.run({INPUT_NAME: picture[None]}, STYLE_INPUT_NAME)
            expected = paint(photo, code_of(encoder, picture))
            got = paint(photo, np.asarray(code, np.float32))
            found.append(verify.difference(name, got, expected))
    return found
