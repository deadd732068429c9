"""What is shown of the network's picture and of the camera's: colours, strength, split view."""

import cv2
import numpy as np

from edge_style.controls import Controls
from edge_style.stages import Image

_EDGE_PX = 2


class Mixer:
    """Mixes two pictures of one size as the controls say. Belongs to one thread.

    Whatever is switched off costs nothing; what is on runs in OpenCV on uint8, into buffers that
    are kept. Results are fresh arrays, since outputs hold on to them.
    """

    def __init__(self) -> None:
        self._light: Image | None = None
        self._frame_light: Image | None = None
        self._one_channel: Image | None = None
        self._three_channels: Image | None = None

    def mix(self, picture: Image, frame: Image, controls: Controls) -> Image:
        """The picture to show.

        Args:
            picture: what the network made, uint8 [H, W, 3], RGB; not written to.
            frame: what the camera saw, the same shape; not written to.
            controls: strength, colours and split view.
        """
        shown = self._in_colours_of(frame, picture) if controls.keeps_colours else picture
        if controls.strength < 1:
            share = controls.strength
            shown = np.asarray(cv2.addWeighted(shown, share, frame, 1 - share, 0), np.uint8)
        if controls.is_split:
            if shown is picture:
                shown = picture.copy()
            _split(shown, frame, controls.edge)
        return shown

    def _in_colours_of(self, frame: Image, picture: Image) -> Image:
        """The picture's light with the frame's colours: fresh uint8 [H, W, 3].

        Chroma is what is left of a colour beside its luma, so that swapping the luma of the frame
        in Y'CbCr (ITU-R BT.601) adds the same number to its red, green and blue. One way up, one
        way down, because uint8 has no negative numbers.
        """
        gray, spread = cv2.COLOR_RGB2GRAY, cv2.COLOR_GRAY2RGB
        self._light = light = _buffer(cv2.cvtColor(picture, gray, dst=self._light))
        self._frame_light = old = _buffer(cv2.cvtColor(frame, gray, dst=self._frame_light))
        self._one_channel = step = _buffer(cv2.subtract(light, old, dst=self._one_channel))
        self._three_channels = _buffer(cv2.cvtColor(step, spread, dst=self._three_channels))
        shown = cv2.add(frame, self._three_channels)
        step = _buffer(cv2.subtract(old, light, dst=step))
        self._three_channels = _buffer(cv2.cvtColor(step, spread, dst=self._three_channels))
        return np.asarray(cv2.subtract(shown, self._three_channels, dst=shown), np.uint8)


def _buffer(made: object) -> Image:
    """What OpenCV gave, which is the old buffer where that fitted."""
    return np.asarray(made, np.uint8)


def _split(shown: Image, frame: Image, edge: float) -> None:
    """The frame left of the edge, and a white line along it."""
    width = shown.shape[1]
    column = round(edge * width)
    shown[:, :column] = frame[:, :column]
    left = min(max(0, column - _EDGE_PX // 2), max(0, width - _EDGE_PX))
    shown[:, left : left + _EDGE_PX] = 255


def mirrored(image: Image) -> Image:
    """Left and right changed: a fresh uint8 [H, W, 3]."""
    return np.asarray(cv2.flip(image, 1), np.uint8)
