"""Takes the boiling out of stylized video: what did not change in the scene should not change.

A network paints each frame anew, and strokes jump where the camera's noise or a small motion tips
them over. The picture is therefore averaged over time along the motion of the scene:

1. Optical flow between the camera's frames (DIS, Kroeger et al. 2016) at a quarter of their size
   says where each place was a moment ago; where nothing moves it is left out.
2. The last steadied picture is warped along it.
3. Where the warped old frame and the new one disagree - something was uncovered, or the flow is
   wrong - the new picture counts alone. Beside edges a flow that is a fraction of a pixel off looks
   like disagreement, so a part of the contrast around a pixel is forgiven.
4. Elsewhere the old picture is first clamped to what its new neighbourhood shows, as temporal
   anti-aliasing of games does (Karis 2014, "High Quality Temporal Supersampling"): colours that are
   no longer there cannot stay as ghosts.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.stages import Image

Field = npt.NDArray[np.float32]

_SHRINK = 4
# Weight of the past where all agrees. While the view moves strokes do not move with it as if they
# were on a canvas, and averaging many of them would leave a blur.
_HOLD_STILL = 0.85
_HOLD_MOVING = 0.7
_DISAGREEMENT_LEVELS = 9.0  # of blurred grey; camera noise stays below, edges of moving things not
# Of the range of grey within a pixel of the small frame: what a flow that is so far off makes. With
# none forgiven, a panned photo flickered 1.6 times as much. What moves pays for it with more blur:
# see `tools/bench_steady.py`.
_FORGIVEN = 0.25
_STILL_LEVELS = 1.5  # a mean change below this is noise, and no flow is looked for
_NEIGHBOURHOOD_PX = 5
_NO_MAP = np.empty(0, np.float32)  # x and y are in one map
_SLACK = np.full((4, 1), 4.0)  # levels by which the past may exceed the neighbourhood, a channel


class Steadier:
    """Steadies the pictures of one stream, uint8 [H, W, 3]. Belongs to one thread."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._kernel = np.ones((_NEIGHBOURHOOD_PX, _NEIGHBOURHOOD_PX), np.uint8)
        self._past: Image | None = None
        self._past_gray: Image | None = None
        self._grid: Field | None = None

    def reset(self) -> None:
        """What comes next has nothing to do with what was."""
        self._past = self._past_gray = None

    def steady(self, picture: Image, frame: Image) -> Image:
        """The next picture of the stream, steadied.

        Args:
            picture: what the network made of the frame.
            frame: the camera's frame, of the same size.

        Returns:
            A fresh picture, or `picture` itself where there is no past to go by.
        """
        gray = _small_gray(frame)
        past, past_gray = self._past, self._past_gray
        self._past_gray = gray
        if past is None or past_gray is None or past.shape != picture.shape:
            self._past = picture
            return picture
        hold = _HOLD_STILL
        if float(cv2.absdiff(gray, past_gray).mean()) > _STILL_LEVELS:
            hold = _HOLD_MOVING
            past, past_gray = self._warp(past, past_gray, gray)
        trust = _trust(gray, past_gray, picture.shape[:2], hold)
        past = self._clamp(past, picture)
        old = cv2.multiply(past, trust, scale=1 / 255)
        new = cv2.multiply(picture, cv2.bitwise_not(trust), scale=1 / 255)
        self._past = np.asarray(cv2.add(old, new), np.uint8)
        return self._past

    def _warp(self, past: Image, past_gray: Image, gray: Image) -> tuple[Image, Image]:
        """Past picture and frame as the scene has moved since."""
        flow = np.asarray(
            self._flow.calc(gray, past_gray, np.zeros((*gray.shape, 2), np.float32)), np.float32
        )
        height, width = past.shape[:2]
        small_x, small_y = _grid(flow.shape[1], flow.shape[0])
        warped_gray = cv2.remap(
            past_gray,
            small_x + flow[..., 0],
            small_y + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(255,),  # nothing is known of what comes in from outside
        )
        if self._grid is None or self._grid.shape[:2] != (height, width):
            self._grid = np.dstack(_grid(width, height))
        # A pixel of the small frame spans so many of the picture's.
        scale = np.array([width / flow.shape[1], height / flow.shape[0]], np.float32)
        full = cv2.resize(flow * scale, (width, height), interpolation=cv2.INTER_LINEAR)
        # In fixed point, which remap is quicker with.
        places, fractions = cv2.convertMaps(cv2.add(full, self._grid), _NO_MAP, cv2.CV_16SC2)
        warped = cv2.remap(
            past, places, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(warped, np.uint8), np.asarray(warped_gray, np.uint8)

    def _clamp(self, past: Image, picture: Image) -> Image:
        low = cv2.subtract(cv2.erode(picture, self._kernel), _SLACK)
        high = cv2.add(cv2.dilate(picture, self._kernel), _SLACK)
        return np.asarray(cv2.min(cv2.max(past, low), high), np.uint8)


def _small_gray(frame: Image) -> Image:
    height, width = frame.shape[:2]
    size = (max(16, width // _SHRINK), max(16, height // _SHRINK))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _trust(gray: Image, past_gray: Image, shape: tuple[int, ...], hold: float) -> Image:
    """How much the past counts, uint8 [H, W, 3], 0..255 * hold."""
    kernel = np.ones((3, 3), np.uint8)
    contrast = cv2.min(
        cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, kernel),
        cv2.morphologyEx(past_gray, cv2.MORPH_GRADIENT, kernel),
    )
    # In whole levels, and no less than zero.
    change = cv2.subtract(
        cv2.absdiff(gray, past_gray), cv2.convertScaleAbs(contrast, alpha=_FORGIVEN)
    )
    # A little wider than what was seen to change, for the flow is coarse at its edges.
    change = cv2.dilate(cv2.GaussianBlur(change, (5, 5), 0), kernel).astype(np.float32)
    trust = 255 * hold * np.exp(-np.square(change / _DISAGREEMENT_LEVELS))
    small = trust.round().astype(np.uint8)
    full = cv2.resize(small, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(full, cv2.COLOR_GRAY2RGB), np.uint8)


def _grid(width: int, height: int) -> tuple[Field, Field]:
    """Where each pixel is: x and y, float32 [height, width]."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y
