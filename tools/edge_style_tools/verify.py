"""Does an exported file compute what the network computes? Run both on the same photos and look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edge_style.contract import (
    INPUT_NAME,
    OUTPUT_NAME,
    STYLE_INPUT_NAME,
    TOLERANCE_LEVELS,
    Precision,
)
from edge_style.errors import VerificationError
from edge_style.images import Rgb
from edge_style.providers import provider_named
from edge_style.session import Session

# (height, width): the smallest, an odd one, a photo of the training set, a camera's.
SIZES_PX = ((16, 16), (17, 31), (321, 481), (480, 640))

# int8 rounds every activation, so single pixels tell nothing. 30 dB is where the losses of a JPEG
# begin to be seen in photos, let alone between brush strokes; sound files are at 37 to 43 dB with a
# mean of 1.5 to 2.5 levels, those with a broken layer or wild calibration far below 25.
INT8_MEAN_LEVELS = 5.0
INT8_PSNR_DB = 30.0
# Normalizing over the 4x4 features of a thumbnail magnifies the rounding; such frames show that
# the file runs, and that it does roughly the same. A full-size network with 16 instance
# normalizations was at 21 to 24 dB and 10 to 17 levels there, at 37 dB in whole frames, whichever
# single layer was kept in float.
_THUMBNAIL_PX = 128
_THUMBNAIL_MEAN_LEVELS = 20.0
_THUMBNAIL_PSNR_DB = 18.0

Floats: TypeAlias = npt.NDArray[np.float32]
# A photo and, for a network of several styles, weights [S] over them; the stylized photo.
Reference: TypeAlias = Callable[[Rgb, Floats | None], Rgb]


@dataclass(frozen=True)
class Difference:
    """How far two pictures are apart, in 8-bit levels.

    Attributes:
        provider: that ran the exported file.
        height_px, width_px: of the photo.
        largest_levels, mean_levels: over all pixels and channels.
        psnr_db: peak signal-to-noise ratio; infinite for equal pictures.
    """

    provider: str
    height_px: int
    width_px: int
    largest_levels: int
    mean_levels: float
    psnr_db: float


def network_reference(network: nn.Module) -> Reference:
    """What `network` itself makes of a photo: cropped, clamped and rounded here, not by export."""

    def stylize(photo: Rgb, style: Floats | None) -> Rgb:
        frames = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0).float()
        weights = () if style is None else (torch.from_numpy(style).unsqueeze(0),)
        with torch.inference_mode():
            stylized = network(frames, *weights)[0].permute(1, 2, 0).numpy()
        height, width = photo.shape[:2]
        if stylized.shape[0] < height or stylized.shape[1] < width:
            raise VerificationError(
                f"the network turns {width}x{height} pixels into "
                f"{stylized.shape[1]}x{stylized.shape[0]}, expected at least its input's size"
            )
        return np.asarray(np.rint(np.clip(stylized[:height, :width], 0, 255)), dtype=np.uint8)

    return stylize


def to_try(
    photos: Sequence[Rgb], styles: int, codes: Sequence[Floats] = ()
) -> list[tuple[Rgb, Floats | None]]:
    """Photos with weights [S] over a network's styles: every photo, every style, and a blend.

    Of a network that takes codes, every one of `codes` and a blend of them.
    """
    if styles == 1 and not codes:
        return [(photo, None) for photo in photos]
    blend = np.full(styles, 1 / styles, dtype=np.float32)
    weights = [*np.eye(styles, dtype=np.float32), blend]
    if codes:
        weights = [*codes, np.mean(codes, axis=0)]
    tries = max(len(photos), len(weights))
    return [(photos[n % len(photos)], weights[n % len(weights)]) for n in range(tries)]


def compare(
    model: Path,
    reference: Reference,
    photos: Sequence[Rgb],
    providers: Sequence[str] = ("cpu",),
    styles: int = 1,
    codes: Sequence[Floats] = (),
) -> list[Difference]:
    """Run `model` and `reference` on every photo, in turn, on one session per provider.

    Args:
        model: the exported file.
        reference: see `network_reference`.
        photos: uint8 [H, W, 3], RGB.
        providers: execution providers.
        styles: that the network knows; every one of them is tried.
        codes: of styles, for a network that takes those.

    Raises:
        VerificationError: the file gives another shape or type than it takes.
        ModelError, ProviderError: onnxruntime cannot load or run it.
    """
    tries = to_try(photos, styles, codes)
    wanted = [reference(photo, style) for photo, style in tries]
    differences = []
    for name in providers:
        session = Session(model, provider_named(name))
        for (photo, style), expected in zip(tries, wanted, strict=True):
            got = session.run(_inputs(photo, style), OUTPUT_NAME)
            if got.dtype != np.uint8 or got.shape != (1, *photo.shape):
                raise VerificationError(
                    f"the file gives {got.dtype} {list(got.shape)} for a photo of "
                    f"{photo.shape[1]}x{photo.shape[0]}, expected uint8 {[1, *photo.shape]}"
                )
            differences.append(difference(name, got[0], expected))
    return differences


def side_by_side(
    model: Path,
    reference: Reference,
    photo: Rgb,
    provider: str,
    styles: int = 1,
    codes: Sequence[Floats] = (),
) -> Rgb:
    """The photo, what `reference` and what `model` make of it: uint8 [H, 3 * W, 3].

    Of several styles, the first.
    """
    session = Session(model, provider_named(provider))
    _, style = to_try([photo], styles, codes)[0]
    got = session.run(_inputs(photo, style), OUTPUT_NAME)[0]
    return np.concatenate([photo, reference(photo, style), got], axis=1)


def _inputs(photo: Rgb, style: Floats | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {INPUT_NAME: photo[None]}
    return inputs if style is None else {**inputs, STYLE_INPUT_NAME: style}


def difference(provider: str, got: Rgb, expected: Rgb) -> Difference:
    """The figures for two pictures, uint8 [H, W, 3]."""
    apart = np.abs(got.astype(np.int16) - expected.astype(np.int16))
    squared = float(np.mean(np.square(apart, dtype=np.int32)))
    psnr_db = float("inf") if squared == 0 else float(10 * np.log10(255**2 / squared))
    return Difference(
        provider, got.shape[0], got.shape[1], int(apart.max()), float(apart.mean()), psnr_db
    )


def require_agreement(differences: Sequence[Difference], precision: Precision) -> None:
    """Let only files pass that differ no more than they may.

    fp32 and fp16: `contract.TOLERANCE_LEVELS`; int8: `INT8_MEAN_LEVELS` and `INT8_PSNR_DB`, of
    thumbnails less.

    Raises:
        VerificationError: one differs more; the message says where and by how much.
    """
    for found in differences:
        if precision == "int8":
            thumbnail = min(found.height_px, found.width_px) < _THUMBNAIL_PX
            mean = _THUMBNAIL_MEAN_LEVELS if thumbnail else INT8_MEAN_LEVELS
            least_db = _THUMBNAIL_PSNR_DB if thumbnail else INT8_PSNR_DB
            agrees = found.mean_levels <= mean and found.psnr_db >= least_db
            allowed = f"a mean of {mean:g}, {least_db:g} dB"
        else:
            largest, mean = TOLERANCE_LEVELS[precision]
            agrees = found.largest_levels <= largest and found.mean_levels <= mean
            allowed = f"{largest:g}, a mean of {mean:g}"
        if not agrees:
            raise VerificationError(
                f"the {precision} file differs from the network on {found.provider} at "
                f"{found.width_px}x{found.height_px} by {found.largest_levels} levels, "
                f"{found.mean_levels:.2f} on average, {found.psnr_db:.1f} dB "
                f"(allowed: {allowed}); nothing was written"
            )
