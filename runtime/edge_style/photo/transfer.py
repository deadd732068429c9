"""The whole way: a photo, and a reference for its light, become a picture.

The reference's statistics are measured at four levels of the encoder. The photo is encoded once;
then, from the deepest level up, its features get the reference's statistics and are decoded to the
level before, whose details (what pooling took away) are the photo's own. Last comes the
smoothing, and for photos larger than the networks run at, the step to full size.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.contract import MIN_SIDE_PX
from edge_style.errors import UsageError
from edge_style.images import Rgb, ensure_min_side, resize_long_side
from edge_style.photo.affine import IDENTITY, LocalAffine, fit_local_affine, smooth_fast
from edge_style.photo.colours import match_colours
from edge_style.photo.masks import Labels, shrink
from edge_style.photo.matting import smooth_exact
from edge_style.photo.networks import (
    LEVELS,
    Features,
    PhotoNetworks,
    padded,
    padded_labels,
    unpadded,
)
from edge_style.photo.transform import (
    TRANSFORMS,
    Statistics,
    Transform,
    measure_regions,
    transfer,
)

Smoothing: TypeAlias = Literal["fast", "exact", "none"]
SMOOTHINGS: tuple[Smoothing, ...] = get_args(Smoothing)

# Of the windows that carry an exactly smoothed picture to the photo's full size.
_LIFT_RADIUS_PX = 2
_LIFT_EPSILON = 1e-4
# A reference that varies less than this, a standard deviation, is of one colour.
_ONE_COLOUR_LEVELS = 1.0


@dataclass(frozen=True)
class PhotoOptions:
    """How a photo is changed.

    Attributes:
        smooth: which smoothing.
        transform: which linear map of the features.
        strength: 0 leaves the photo, 1 changes it fully.
        levels: of the encoder that are changed, from the finest on; 4 are all.
        long_side_px: of what the networks see; larger photos are scaled down for them, though to
            no shorter side than a picture has, and the result is carried to their full size by
            the smoothing.
        colours_first: the networks see the photo in the reference's colours, and only what they
            add is smoothed; else, as in the paper, they see the photo itself.
    """

    smooth: Smoothing = "fast"
    transform: Transform = "transport"
    strength: float = 1.0
    levels: int = LEVELS
    long_side_px: int = 1024
    colours_first: bool = True

    def __post_init__(self) -> None:
        """Check what users type. Raises UsageError."""
        if self.smooth not in SMOOTHINGS:
            raise UsageError(f"--smooth should be fast, exact or none, not '{self.smooth}'")
        if self.transform not in TRANSFORMS:
            raise UsageError(
                f"--transform should be {' or '.join(TRANSFORMS)}, not '{self.transform}'"
            )
        if not 1 <= self.levels <= LEVELS:
            raise UsageError(f"--levels should be from 1 to {LEVELS}, not {self.levels}")
        if not 0 <= self.strength <= 1:
            raise UsageError(f"--strength should be from 0 to 1, not {self.strength:g}")


@dataclass
class Stages:
    """What took how long, in seconds, in the order in which it was done."""

    seconds: dict[str, float] = field(default_factory=dict)
    report: Callable[[str, float], None] | None = None

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time of the block to the stage of that name."""
        self.tell(name, 0.0)
        start_s = time.perf_counter()
        try:
            yield
        finally:
            spent_s = time.perf_counter() - start_s
            self.seconds[name] = self.seconds.get(name, 0.0) + spent_s

    def tell(self, name: str, share: float) -> None:
        """Report how much of the stage is done, 0..1."""
        if self.report is not None:
            self.report(name, share)


STAGES = ("colours", "reference", "encoder", "transform", "decoder", "smoothing", "full size")


def transfer_light(
    photo: Rgb,
    reference: Rgb,
    networks: PhotoNetworks,
    options: PhotoOptions,
    *,
    labels: tuple[Labels, Labels] | None = None,
    stages: Stages | None = None,
) -> Rgb:
    """The photo in the reference's light.

    Args:
        photo, reference: uint8 [H, W, 3], 16 pixels a side or more.
        networks: encoder and decoder.
        options: how.
        labels: of the photo and of the reference, of `masks.read_masks`.
        stages: learns what took how long.

    Returns:
        uint8 [H, W, 3], of the photo's size.

    Raises:
        ImageError: a picture is too small.
        MissingExtraError: `smooth` is exact and SciPy is not installed.
        ModelError, ProviderError: the networks cannot be run.
    """
    ensure_min_side(photo, "the photo")
    ensure_min_side(reference, "the reference")
    stages = stages or Stages()
    small = _at_most(photo, options.long_side_px)
    own, others = (None, None) if labels is None else labels
    with stages.timed("colours"):
        start = match_colours(small, reference, labels) if options.colours_first else IDENTITY
    with stages.timed("reference"):
        wanted = reference_statistics(
            _at_most(reference, options.long_side_px), networks, others, options.levels
        )
    raw = _decoded(start.apply(small), networks, wanted, options, own, stages)
    made = _finished(photo, small, raw, start, options, stages)
    # Between the pictures, not the features: the decoder, no exact inverse, would tint the photo
    # at a strength of 0 already.
    return np.asarray(cv2.addWeighted(made, options.strength, photo, 1 - options.strength, 0))


def ensure_many_colours(reference: Rgb, name: object) -> None:
    """Check that a reference has light and shade to take over. Raises UsageError."""
    if float(reference.reshape(-1, 3).std(axis=0).max()) < _ONE_COLOUR_LEVELS:
        raise UsageError(
            f"the reference '{name}' has one colour only: there is no light to take from it"
        )


def reference_statistics(
    reference: Rgb,
    networks: PhotoNetworks,
    labels: Labels | None = None,
    levels: int = LEVELS,
) -> list[dict[int, Statistics]]:
    """The reference's statistics of every label at every level, level 1 first."""
    labels = _fitted(labels, reference)
    features = padded(reference)
    found = []
    for level in range(1, levels + 1):
        features = networks.encode(level, features)
        found.append(measure_regions(features, labels))
    return found


def _decoded(
    photo: Rgb,
    networks: PhotoNetworks,
    wanted: list[dict[int, Statistics]],
    options: PhotoOptions,
    labels: Labels | None,
    stages: Stages,
) -> npt.NDArray[np.float32]:
    """What the networks make of the photo: float32 [H, W, 3], 0..255, not smoothed."""
    labels = _fitted(labels, photo)
    own: list[Features] = []
    with stages.timed("encoder"):
        features = padded(photo)
        for level in range(1, options.levels + 1):
            features = networks.encode(level, features)
            own.append(features)
            stages.tell("encoder", level / options.levels)
    own.pop()
    for level in range(options.levels, 0, -1):
        with stages.timed("transform"):
            features = transfer(features, labels, wanted[level - 1], options.transform)
        with stages.timed("decoder"):
            features = networks.decode(level, features, own.pop() if own else None)
            stages.tell("decoder", 1 - (level - 1) / options.levels)
    return unpadded(features, *photo.shape[:2])


def _finished(
    photo: Rgb,
    small: Rgb,
    raw: npt.NDArray[np.float32],
    start: LocalAffine,
    options: PhotoOptions,
    stages: Stages,
) -> Rgb:
    """The networks' picture smoothed, and at the photo's size.

    Smoothed is what it differs by from the photo in its first colours, `start`.
    """
    if options.smooth == "fast":
        with stages.timed("smoothing"):
            affine = start.plus(smooth_fast(small, raw - start.values(small)))
        with stages.timed("full size"):
            return affine.apply(photo)
    if options.smooth == "exact":
        with stages.timed("smoothing"):
            plain = start.values(small)
            raw = plain + smooth_exact(
                small, raw - plain, report=lambda share: stages.tell("smoothing", share)
            )
    if small is photo:
        return np.asarray(np.rint(np.clip(raw, 0, 255)), np.uint8)
    with stages.timed("full size"):
        if options.smooth == "none":
            size = (photo.shape[1], photo.shape[0])
            large = cv2.resize(raw, size, interpolation=cv2.INTER_CUBIC)
            return np.asarray(np.rint(np.clip(large, 0, 255)), np.uint8)
        lift = fit_local_affine(small, raw, radius_px=_LIFT_RADIUS_PX, epsilon=_LIFT_EPSILON)
        return lift.apply(photo)


def _at_most(picture: Rgb, long_side_px: int) -> Rgb:
    short, long = sorted(picture.shape[:2])
    # A narrow picture would have nothing left across.
    long_side_px = max(long_side_px, -(-MIN_SIDE_PX * long // short))
    return picture if long <= long_side_px else resize_long_side(picture, long_side_px)


def _fitted(labels: Labels | None, picture: Rgb) -> Labels | None:
    """Labels at the size of the picture, with its margin."""
    if labels is None:
        return None
    return padded_labels(shrink(labels, picture.shape[1], picture.shape[0]))
