"""Style transfer by optimizing the picture itself (Gatys et al. 2016, arXiv 1508.06576).

Large pictures are painted coarse to fine (Gatys et al. 2017, arXiv 1611.07865): at small size
first, where strokes are large beside the loss network's receptive field, then enlarged and refined
in fewer iterations.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

from edge_style.errors import ContentError, UsageError
from edge_style.images import Rgb, ensure_min_side, resize, resize_long_side, resize_short_side
from edge_style_training import colour
from edge_style_training.data import to_tensor
from edge_style_training.losses import Objective
from edge_style_training.minimize import Iterate, OptimizerName, minimize
from edge_style_training.picture_loss import (
    DEFAULT_TILE_PX,
    LossValues,
    PictureLoss,
    mean_grams,
)
from edge_style_training.vgg import LossNetwork

Start: TypeAlias = Literal["photo", "noise"]
Colours: TypeAlias = Literal["painting", "luminance", "histogram"]

# A Gram matrix of the deepest layer, whose positions are 16 pixels apart, needs a few of them.
MIN_PAINTING_PX = 64

_COARSEST_LONG_SIDE_PX = 512
_FEWEST_ITERATIONS = 20
# Gatys et al. 2017 take 200 iterations at high resolution after 500 at low.
_FINER_ITERATIONS = 0.4


def gatys_objective(
    content_weight: float = 1.0, style_weight: float = 20.0, tv_weight: float = 0.0
) -> Objective:
    """The layers of Gatys et al.: content at conv4_2, style at conv1_1 to conv5_1, all alike.

    Each after its activation, as in the authors' own program. Their weights (content 1, style 1000)
    are for sums over a VGG rescaled to a mean activation of 1. With means over the published
    weights, as here, jcjohnson/neural-style's ratio of 20 corresponds.
    """
    return Objective(
        content_layers={"relu4_2": 1.0},
        style_layers={f"relu{block}_1": 1.0 for block in range(1, 6)},
        content_weight=content_weight,
        style_weight=style_weight,
        tv_weight=tv_weight,
    )


@dataclass(frozen=True)
class PaintConfig:
    """How to paint.

    Attributes:
        objective: layers and weights of the losses.
        optimizer: `lbfgs` or `adam`.
        iterations: at the coarsest size; each finer one takes 0.4 times as many.
        learning_rate: of Adam, in 8-bit levels.
        start: from the `photo`, or from `noise`.
        seed: of the noise.
        long_px: longer side of the result; the photo's own if None.
        style_scale: longer side of the paintings, as a multiple of the result's: the size of
            strokes.
        colours: those of the `painting`; or of the photo, by painting in `luminance` alone or by
            changing the painting's colours first (`histogram`).
        levels: number of sizes, each twice the one before; None: as many as the size calls for.
        tile_px: longest side that the loss network sees at once; bounds the memory.
    """

    objective: Objective = field(default_factory=gatys_objective)
    optimizer: OptimizerName = "lbfgs"
    iterations: int = 300
    learning_rate: float | None = None
    start: Start = "photo"
    seed: int = 0
    long_px: int | None = None
    style_scale: float = 1.0
    colours: Colours = "painting"
    levels: int | None = None
    tile_px: int = DEFAULT_TILE_PX

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            UsageError: a setting that cannot work; says which, what was expected and what came.
        """
        choices = {
            "optimizer": ("lbfgs", "adam"),
            "start": ("photo", "noise"),
            "colours": ("painting", "luminance", "histogram"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise UsageError(
                    f"{name} should be {' or '.join(known)}, not {getattr(self, name)!r}"
                )
        minima = {"iterations": 1, "long_px": 64, "levels": 1, "tile_px": 64, "seed": -(2**63)}
        for name, minimum in minima.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise UsageError(f"{name} should be at least {minimum}, not {value}")
        maxima = {"levels": 12, "style_scale": 16, "seed": 2**63 - 1}
        for name, maximum in maxima.items():
            value = getattr(self, name)
            if value is not None and value > maximum:
                raise UsageError(f"{name} should be at most {maximum}, not {value:g}")
        for name in ("style_scale", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} should be above 0, not {value:g}")
        if self.learning_rate is not None and self.optimizer == "lbfgs":
            raise UsageError("L-BFGS finds its own steps: a learning rate is for adam")
        o = self.objective
        if min(o.content_weight, o.style_weight, o.tv_weight) < 0:
            raise UsageError("weights should be at least 0")
        if o.content_weight == o.style_weight == 0:
            raise UsageError("the content and the style weight are both 0: nothing to paint")


@dataclass(frozen=True)
class Progress:
    """A glance at a running optimization.

    Attributes:
        iteration, iterations: done and in all, over all levels.
        level, levels: size that is being painted, from 1.
        size_px: its width and height.
        losses: content, style, tv (unweighted) and total.
        seconds: since the start.
        render: makes the picture as it is now, [H, W, 3] RGB, at the level's size.
    """

    iteration: int
    iterations: int
    level: int
    levels: int
    size_px: tuple[int, int]
    losses: LossValues
    seconds: float
    render: Callable[[], Rgb]


def paint(
    photo: Rgb,
    paintings: Sequence[Rgb],
    network: LossNetwork,
    config: PaintConfig | None = None,
    *,
    painting_weights: Sequence[float] | None = None,
    report: Callable[[Progress], None] | None = None,
) -> Rgb:
    """Paint `photo` like `paintings`.

    Args:
        photo: uint8 [H, W, 3] RGB.
        paintings: each uint8 [H, W, 3] RGB, of any size.
        network: VGG with the objective's layers, on the device that is to compute.
        config: how to paint.
        painting_weights: of the paintings in the mean of their Gram matrices; equal if None.
        report: called at each level's start and after each iteration.

    Returns:
        uint8 [H, W, 3] RGB, of the size that `config` asks for.

    Raises:
        ImageError: the photo is under 16 pixels.
        ContentError: a painting is too small.
        UsageError: weights that do not fit.
        TrainingDivergedError: the loss became infinite or NaN.
    """
    config = config or PaintConfig()
    _check_pictures(photo, paintings, painting_weights)
    if config.long_px is not None:
        photo = resize_long_side(photo, config.long_px)
    ensure_min_side(photo, "the photo at this size")
    content, styles = _recoloured(photo, paintings, config.colours)
    plan = plan_levels(photo.shape[1], photo.shape[0], config)
    total_iterations = sum(iterations for _, iterations in plan)
    device = next(network.parameters()).device
    started, done = time.perf_counter(), 0
    picture = _start(config, to_tensor(resize(content, *plan[0][0])).to(device))
    for level, (size_px, iterations) in enumerate(plan, start=1):
        small = to_tensor(resize(content, *size_px)).to(device)
        loss = _picture_loss(network, config, small, styles, painting_weights)
        if level > 1:
            picture = _enlarged(picture, size_px)
        photo_then = resize(photo, *size_px)
        for iterate in minimize(
            loss,
            picture,
            iterations,
            optimizer=config.optimizer,
            learning_rate=config.learning_rate,
        ):
            picture = iterate.picture
            if report is not None:
                progress = Progress(
                    iteration=done + iterate.iteration,
                    iterations=total_iterations,
                    level=level,
                    levels=len(plan),
                    size_px=size_px,
                    losses=iterate.losses,
                    seconds=time.perf_counter() - started,
                    render=_renderer(iterate, photo_then, config.colours),
                )
                report(progress)
        done += iterations
    return _finished(picture, photo, config.colours)


def plan_levels(
    width_px: int, height_px: int, config: PaintConfig
) -> list[tuple[tuple[int, int], int]]:
    """Sizes (width, height) to paint at, coarse to fine, each with its iterations."""
    levels = config.levels
    if levels is None:
        levels = 1
        while max(width_px, height_px) / 2 ** (levels - 1) > 1.5 * _COARSEST_LONG_SIDE_PX:
            levels += 1
    plan = []
    for level in range(levels):
        shrink = 2 ** (levels - 1 - level)
        size_px = (max(16, round(width_px / shrink)), max(16, round(height_px / shrink)))
        fewest = min(config.iterations, _FEWEST_ITERATIONS)
        plan.append((size_px, max(fewest, round(config.iterations * _FINER_ITERATIONS**level))))
    return plan


def _check_pictures(photo: Rgb, paintings: Sequence[Rgb], weights: Sequence[float] | None) -> None:
    ensure_min_side(photo, "the photo")
    if not paintings:
        raise UsageError("no painting was given")
    for painting in paintings:
        height, width = painting.shape[:2]
        if min(height, width) < MIN_PAINTING_PX:
            raise ContentError(
                f"a painting is {width}x{height} pixels: it needs at least {MIN_PAINTING_PX} on "
                "its short side"
            )
    if weights is None:
        return
    if len(weights) != len(paintings):
        raise UsageError(f"{len(paintings)} paintings need as many weights, not {len(weights)}")
    if min(weights) < 0 or sum(weights) <= 0:
        raise UsageError("weights of paintings should be at least 0, and one of them above")


def _recoloured(photo: Rgb, paintings: Sequence[Rgb], colours: Colours) -> tuple[Rgb, list[Rgb]]:
    if colours == "luminance":
        return colour.grey(photo), [colour.grey_like(painting, photo) for painting in paintings]
    if colours == "histogram":
        return photo, [colour.match_colours(painting, photo) for painting in paintings]
    return photo, list(paintings)


def _picture_loss(
    network: LossNetwork,
    config: PaintConfig,
    photo: Tensor,
    paintings: Sequence[Rgb],
    weights: Sequence[float] | None,
) -> PictureLoss:
    long_px = round(config.style_scale * max(photo.shape[1:]))
    styles = []
    for painting in paintings:
        scaled = resize_long_side(painting, long_px)
        if min(scaled.shape[:2]) < MIN_PAINTING_PX:
            scaled = resize_short_side(painting, MIN_PAINTING_PX)
        styles.append(to_tensor(scaled).to(photo.device))
    grams = mean_grams(
        network, list(config.objective.style_layers), styles, weights, tile_px=config.tile_px
    )
    return PictureLoss(network, config.objective, photo, grams, tile_px=config.tile_px)


def _start(config: PaintConfig, photo: Tensor) -> Tensor:
    if config.start == "photo":
        return photo.unsqueeze(0)
    return noise(photo.shape[2], photo.shape[1], config.seed).to(photo.device)


def noise(width_px: int, height_px: int, seed: int) -> Tensor:
    """Uniform noise [1, 3, H, W], 0..255, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    return 255 * torch.rand((1, 3, height_px, width_px), generator=generator)


def _enlarged(picture: Tensor, size_px: tuple[int, int]) -> Tensor:
    width, height = size_px
    larger = F.interpolate(picture, size=(height, width), mode="bicubic", align_corners=False)
    return larger.clamp(0, 255)


def _renderer(iterate: Iterate, photo: Rgb, colours: Colours) -> Callable[[], Rgb]:
    return lambda: _finished(iterate.picture, photo, colours)


def _finished(picture: Tensor, photo: Rgb, colours: Colours) -> Rgb:
    pixels = picture[0].clamp(0, 255).round().byte().permute(1, 2, 0).contiguous().cpu().numpy()
    return colour.with_colours_of(pixels, photo) if colours == "luminance" else pixels
