"""How steady stylized video is: what changes from frame to frame beyond what the camera did.

A camera is moved over a photo, with sensor noise, or filmed a real clip. Each stylized frame is
moved back onto the one before by the motion of the input, which is known for the photo and
estimated for the clip, and the mean absolute difference of the two is taken, in 8-bit levels.
Strokes that boil are what is left.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb
from edge_style.pipeline import Steadier

Warp: TypeAlias = npt.NDArray[np.float32]  # [H, W, 2]: where in the next frame a pixel went, x y
Mask: TypeAlias = npt.NDArray[np.bool_]

NOISE_LEVELS = 4.0  # standard deviation of a webcam's noise in a room
_MARGIN_PX = 16  # left out at the frame's edge, where something new comes in
_ROUND_TRIP_PX = 1.0  # flow there and back that ends farther away has lost the pixel


@dataclass(frozen=True)
class Step:
    """Two frames that follow each other, and the motion between them.

    Attributes:
        before, after: uint8 [H, W, 3], RGB.
        warp: for each pixel of `before`, where it is in `after`.
        valid: the pixels of `before` that are there in both.
    """

    before: Rgb
    after: Rgb
    warp: Warp
    valid: Mask


@dataclass(frozen=True)
class Flicker:
    """Figures of one network on one clip.

    Attributes:
        change_levels: mean absolute difference of successive stylized frames, motion undone.
        input_change_levels: the same of the input, which has noise.
        deviation_levels: standard deviation of the stylized pixels, so that a paler picture is not
            taken for a steadier one.
    """

    change_levels: float
    input_change_levels: float
    deviation_levels: float

    @property
    def ratio(self) -> float:
        """Of the change in the stylized frames to that in the input."""
        return self.change_levels / self.input_change_levels

    @property
    def relative_ratio(self) -> float:
        """`ratio` for pictures of equal contrast: divided by their deviation, per 64 levels."""
        return self.ratio * 64 / self.deviation_levels


def measure(steps: Iterable[Step], stylize: Callable[[Rgb], Rgb]) -> Flicker:
    """The flicker of what `stylize` makes of a clip.

    Args:
        steps: of a clip, at least one; a frame that the last step ended with is not stylized again.
        stylize: uint8 [H, W, 3], RGB, to the same.
    """
    changes, input_changes, deviations = [], [], []
    last: tuple[Rgb, Rgb] | None = None
    for step in steps:
        before = last[1] if last and last[0] is step.before else stylize(step.before)
        after = stylize(step.after)
        last = (step.after, after)
        changes.append(_change(before, after, step))
        input_changes.append(_change(step.before, step.after, step))
        deviations.append(float(before[step.valid].std()))
    return Flicker(
        float(np.mean(changes)), float(np.mean(input_changes)), float(np.mean(deviations))
    )


def steadied(stylize: Callable[[Rgb], Rgb]) -> Callable[[Rgb], Rgb]:
    """`stylize` with what `--stabilize` puts behind it, for frames of one clip in their order."""
    steadier = Steadier()
    return lambda frame: steadier.steady(stylize(frame), frame)


def moving_camera(
    photo: Rgb,
    *,
    frames: int = 12,
    pan_px: tuple[float, float] = (0.0, 0.0),
    zoom: float = 1.0,
    size_px: tuple[int, int] = (320, 240),
    noise_levels: float = NOISE_LEVELS,
    seed: int = 0,
) -> Iterator[Step]:
    """A camera over a photo: still, panned or zoomed, with noise that is new in every frame.

    Args:
        photo: uint8 [H, W, 3], RGB; scaled to leave room for the motion.
        frames: number of frames.
        pan_px: motion of the view a frame, right and down.
        zoom: enlargement of the view a frame.
        size_px: (width, height) of the frames.
        noise_levels: standard deviation.
        seed: of the noise.
    """
    width, height = size_px
    room = 2 * _MARGIN_PX + frames * int(np.ceil(max(abs(pan_px[0]), abs(pan_px[1]))))
    scale = max((width + 2 * room) / photo.shape[1], (height + 2 * room) / photo.shape[0])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scene = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=interpolation)
    generator = np.random.default_rng(seed)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    start = (np.array([scene.shape[1], scene.shape[0]]) - [width, height]) / 2
    views = []
    for index in range(frames):
        # From a pixel of the frame to one of the scene.
        side = zoom**-index
        offset = start + index * np.array(pan_px) + centre * (1 - side)
        view = np.array([[side, 0, offset[0]], [0, side, offset[1]]], np.float32)
        clean = cv2.warpAffine(
            scene, view, size_px, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        ).astype(np.float32)
        noisy = clean + generator.normal(0, noise_levels, clean.shape)
        views.append((view, np.clip(np.rint(noisy), 0, 255).astype(np.uint8)))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    for (view, before), (view_after, after) in pairwise(views):
        # Through the scene into the next frame.
        scale_x = view[0, 0] / view_after[0, 0]
        warp = np.stack(
            [
                x * scale_x + (view[0, 2] - view_after[0, 2]) / view_after[0, 0],
                y * scale_x + (view[1, 2] - view_after[1, 2]) / view_after[0, 0],
            ],
            axis=-1,
        )
        yield Step(before, after, warp.astype(np.float32), _inside(warp, width, height))


def filmed(frames: Iterable[Rgb]) -> Iterator[Step]:
    """A real clip, its motion estimated by dense optical flow (DIS; Kroeger et al. 2016).

    Pixels whose flow there and back does not return are left out: they were covered or uncovered.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    before: Rgb | None = None
    for after in frames:
        if before is not None:
            grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
            height, width = grey[0].shape
            # The third argument is filled and handed back; its start is not used.
            there = flow.calc(grey[0], grey[1], np.zeros((height, width, 2), np.float32))
            back = flow.calc(grey[1], grey[0], np.zeros((height, width, 2), np.float32))
            x, y = np.meshgrid(
                np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
            )
            warp = np.asarray(np.stack([x, y], axis=-1) + there, np.float32)
            returned = there + cv2.remap(back, warp[..., 0], warp[..., 1], cv2.INTER_LINEAR)
            kept = np.linalg.norm(returned, axis=-1) < _ROUND_TRIP_PX
            yield Step(before, after, warp, kept & _inside(warp, width, height))
        before = after


def _change(before: Rgb, after: Rgb, step: Step) -> float:
    moved = cv2.remap(after, step.warp[..., 0], step.warp[..., 1], cv2.INTER_LINEAR)
    apart = np.abs(before.astype(np.int16) - moved.astype(np.int16))
    return float(apart[step.valid].mean())


def _inside(warp: npt.NDArray[np.floating], width: int, height: int) -> Mask:
    margin = _MARGIN_PX
    inside = np.zeros(warp.shape[:2], np.bool_)
    inside[margin : height - margin, margin : width - margin] = True
    x, y = warp[..., 0], warp[..., 1]
    inside &= (x >= margin) & (x <= width - 1 - margin) & (y >= margin) & (y <= height - 1 - margin)
    return inside
