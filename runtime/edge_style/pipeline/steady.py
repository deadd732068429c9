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
5. After a cut, where next to nothing agrees, all begins anew.
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
# Of the trust of a scene without change; below it is another scene. Photos of a folder come to
# 0.11 at most, every frame of a clip of a moving animal to 0.48 at least, every tenth to 0.21.
_CUT = 0.15
_STILL_LEVELS = 1.5  # a mean change below this is noise, and no flow is looked for
# OpenCV's flow crashes on strips: it chooses its scales by the width alone. Small frames up to the
# second number are safe in any form, larger ones from the first.
_FLOW_MIN_PX, _FLOW_SMALL_PX = 32, 64
_NEIGHBOURHOOD = np.ones((5, 5), np.uint8)
_BESIDE = np.ones((3, 3), np.uint8)
_NO_MAP = np.empty(0, np.float32)  # x and y are in one map
_SLACK = np.full((4, 1), 4.0)  # levels by which the past may exceed the neighbourhood, a channel


class Steadier:
    """Steadies the pictures of one stream, uint8 [H, W, 3]. Belongs to one thread."""

    def __init__(self) -> None:
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._past: Image | None = None
        self._past_gray: Image | None = None
        self._room: _Room | None = None

    @property
    def last(self) -> Image | None:
        """What `steady` gave last; None where there is no past."""
        return self._past

    def reset(self) -> None:
        """What comes next has nothing to do with what was."""
        self._past = self._past_gray = None

    def steady(self, picture: Image, frame: Image) -> Image:
        """The next picture of the stream, steadied.

        Args:
            picture: what the network made of the frame.
            frame: the camera's frame, of the same size.

        Returns:
            A fresh picture, or `picture` itself where there is no past to go by: at first, and
            after a cut.
        """
        gray = _small_gray(frame)
        past, past_gray = self._past, self._past_gray
        self._past_gray = gray
        if past is None or past_gray is None or past.shape != picture.shape:
            self._past = picture
            return picture
        if self._room is None or self._room.shape != picture.shape:
            self._room = _Room(picture.shape, gray.shape)
        room, hold = self._room, _HOLD_STILL
        is_moving = cv2.norm(gray, past_gray, cv2.NORM_L1) > _STILL_LEVELS * gray.size
        if is_moving and _has_flow(gray):
            hold = _HOLD_MOVING
            past, past_gray = self._warp(past, past_gray, gray, room)
        small_trust = _trust(gray, past_gray, hold)
        if float(small_trust.mean()) < _CUT * hold * 255:
            self._past = picture
            return picture
        trust = cv2.resize(
            small_trust,
            (picture.shape[1], picture.shape[0]),
            dst=room.trust_gray,
            interpolation=cv2.INTER_LINEAR,
        )
        trust = cv2.cvtColor(trust, cv2.COLOR_GRAY2RGB, dst=room.trust)
        past = _clamp(past, picture, room)
        old = cv2.multiply(past, trust, dst=past, scale=1 / 255)
        # The only one that is not made in a place that is there already: others may keep it.
        new = cv2.multiply(picture, cv2.bitwise_not(trust, dst=trust), scale=1 / 255)
        self._past = np.asarray(cv2.add(old, new, dst=new), np.uint8)
        return self._past

    def _warp(
        self, past: Image, past_gray: Image, gray: Image, room: "_Room"
    ) -> tuple[Image, Image]:
        """Past picture and frame as the scene has moved since."""
        room.flow.fill(0)
        flow = self._flow.calc(gray, past_gray, room.flow)
        small_places = flow + room.small_grid
        warped_gray = cv2.remap(
            past_gray,
            small_places[..., 0],
            small_places[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(255,),  # nothing is known of what comes in from outside
        )
        size_px = (room.shape[1], room.shape[0])
        full = cv2.resize(flow * room.scale, size_px, dst=room.full, interpolation=cv2.INTER_LINEAR)
        # In fixed point, which remap is quicker with.
        places, fractions = cv2.convertMaps(
            cv2.add(full, room.grid, dst=full), _NO_MAP, cv2.CV_16SC2, room.places, room.fractions
        )
        warped = cv2.remap(
            past,
            places,
            fractions,
            cv2.INTER_LINEAR,
            dst=room.warped,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(warped, np.uint8), np.asarray(warped_gray, np.uint8)


class _Room:
    """Where pictures of one size are worked on, frame after frame.

    Fresh memory of that size costs more than most of what is done in it: with it a frame of
    640x480 took 1.4 to 1.6 times as long.
    """

    def __init__(self, shape: tuple[int, ...], small: tuple[int, ...]) -> None:
        height, width = shape[:2]
        self.shape = shape
        self.flow = np.empty((*small, 2), np.float32)
        self.small_grid = _grid(small[1], small[0])
        # A pixel of the small frame spans so many of the picture's.
        self.scale = np.array([width / small[1], height / small[0]], np.float32)
        self.grid = _grid(width, height)
        self.full = np.empty_like(self.grid)
        self.places = np.empty((height, width, 2), np.int16)
        self.fractions = np.empty((height, width), np.uint16)
        self.trust_gray = np.empty((height, width), np.uint8)
        self.warped, self.low, self.high, self.trust = (np.empty(shape, np.uint8) for _ in range(4))


def _has_flow(gray: Image) -> bool:
    height, width = gray.shape[:2]
    return bool(min(height, width) >= _FLOW_MIN_PX or max(height, width) <= _FLOW_SMALL_PX)


def _small_gray(frame: Image) -> Image:
    height, width = frame.shape[:2]
    size = (max(16, width // _SHRINK), max(16, height // _SHRINK))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def _clamp(past: Image, picture: Image, room: _Room) -> Image:
    low = cv2.erode(picture, _NEIGHBOURHOOD, dst=room.low)
    low = cv2.subtract(low, _SLACK, dst=low)
    high = cv2.dilate(picture, _NEIGHBOURHOOD, dst=room.high)
    high = cv2.add(high, _SLACK, dst=high)
    return np.asarray(cv2.min(cv2.max(past, low, dst=low), high, dst=low), np.uint8)


def _trust(gray: Image, past_gray: Image, hold: float) -> Image:
    """How much the past counts, of the small frames' size, 0..255 * hold."""
    contrast = cv2.min(
        cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, _BESIDE),
        cv2.morphologyEx(past_gray, cv2.MORPH_GRADIENT, _BESIDE),
    )
    # In whole levels, and no less than zero.
    change = cv2.subtract(
        cv2.absdiff(gray, past_gray), cv2.convertScaleAbs(contrast, alpha=_FORGIVEN)
    )
    # A little wider than what was seen to change, for the flow is coarse at its edges.
    change = cv2.dilate(cv2.GaussianBlur(change, (5, 5), 0), _BESIDE)
    return np.asarray(cv2.LUT(change, _TRUST_BY_CHANGE[hold]), np.uint8)


def _trust_by_change(hold: float) -> Image:
    """Of every change in levels, uint8 [256]."""
    change = np.arange(256, dtype=np.float32)
    trust = 255 * hold * np.exp(-np.square(change / _DISAGREEMENT_LEVELS))
    return np.asarray(trust.round(), np.uint8)


_TRUST_BY_CHANGE = {hold: _trust_by_change(hold) for hold in (_HOLD_STILL, _HOLD_MOVING)}


def _grid(width: int, height: int) -> Field:
    """Where each pixel is: float32 [height, width, 2], x and y."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack((x, y))
