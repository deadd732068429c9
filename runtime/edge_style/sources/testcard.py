"""A moving picture made by the program, so that everything can be tried without a camera."""

import math
import time
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.errors import SourceError
from edge_style.sources.base import Frame, Image, Source

_FPS = 30.0
_MARGIN_PX = 160  # how far the view wanders over the canvas
_GRAIN_LEVELS = 8
_BALLS = (  # colour, radius as a share of the height, cycles per 1000 frames across and down
    ((214, 68, 52), 0.11, 3.1, 4.7),
    ((245, 205, 80), 0.07, 5.3, 2.9),
    ((38, 84, 150), 0.15, 1.7, 3.7),
)


class TestSource(Source):
    """A landscape under moving clouds of colour, panned, with drifting balls and a little grain.

    Every frame differs from the ones before it; frame number n is the same in every run. It has
    no end. The canvas is painted once, so that a frame of 640x480 costs a fraction of a
    millisecond.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    fps = _FPS

    def __init__(self, size_px: tuple[int, int] = (640, 480)) -> None:
        width, height = size_px
        if width < 1 or height < 1:
            raise SourceError(f"a moving picture of {width}x{height} pixels cannot be made")
        self.size_px = size_px
        self.description = f"test picture, {width}x{height}"
        rng = np.random.default_rng(7)
        canvas_size = (height + _MARGIN_PX, width + _MARGIN_PX)
        self._canvas = _paint_landscape(rng, *canvas_size)
        grain = rng.integers(0, _GRAIN_LEVELS + 1, (*canvas_size, 1), dtype=np.uint8)
        self._grain: Image = np.repeat(grain, 3, axis=2)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            start_s = time.perf_counter()
            image = self._draw(index)
            capture_ms = (time.perf_counter() - start_s) * 1000
            yield Frame(image, index / _FPS, start_s, capture_ms)
            index += 1

    def _draw(self, index: int) -> Image:
        width, height = self.size_px or (0, 0)
        x, y = _wander(index, 2.3, 3.9, _MARGIN_PX, _MARGIN_PX)
        # Another patch of grain for each frame: the steps share no factor with the range.
        grain_x, grain_y = (index * 67) % _MARGIN_PX, (index * 41) % _MARGIN_PX
        view = self._canvas[y : y + height, x : x + width]
        grain = self._grain[grain_y : grain_y + height, grain_x : grain_x + width]
        image = cv2.add(view, grain)
        for colour, radius, across, down in _BALLS:
            centre = _wander(index, across, down, width, height)
            cv2.circle(image, centre, max(1, round(radius * height)), colour, -1, cv2.LINE_AA)
        return np.asarray(image, np.uint8)


def _wander(index: int, across: float, down: float, width: int, height: int) -> tuple[int, int]:
    """A point on a Lissajous figure inside [0, width) x [0, height)."""
    turn = 2 * math.pi * index / 1000
    x = (0.5 + 0.5 * math.sin(across * turn)) * (width - 1)
    y = (0.5 + 0.5 * math.cos(down * turn)) * (height - 1)
    return round(x), round(y)


def _paint_landscape(rng: np.random.Generator, height: int, width: int) -> Image:
    """Sky with clouds above a ridge, textured ground below: uint8 [height, width, 3]."""
    clouds = _fractal(rng, height, width, coarsest=3)
    texture = _fractal(rng, height, width, coarsest=24)
    ridge = height * (0.45 + 0.3 * _fractal(rng, 1, width, coarsest=4)[0])
    rows = np.arange(height, dtype=np.float32)[:, None]
    down = (rows / height)[..., None]
    sky = np.array([84, 132, 190], np.float32) * (1 - down) + np.array([236, 196, 150]) * down
    sky = sky + 90 * (clouds - 0.5)[..., None]
    ground = np.array([118, 128, 64], np.float32) * (0.4 + 0.9 * texture[..., None])
    ground = ground + np.array([30, 10, 40]) * clouds[..., None]
    is_ground = np.clip((rows - ridge[None]) / 2, 0, 1)[..., None]
    picture = sky * (1 - is_ground) + ground * is_ground
    painted: Image = np.clip(picture, 0, 255 - _GRAIN_LEVELS).astype(np.uint8)
    return painted


def _fractal(
    rng: np.random.Generator, height: int, width: int, coarsest: int
) -> npt.NDArray[np.float32]:
    """Smooth noise of five octaves, float32 [height, width] in 0..1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(5):
        cells = coarsest * 2**octave
        grid = rng.random((cells + 1, cells + 1), dtype=np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        total += layer * 0.5**octave
    total -= total.min()
    total /= max(float(total.max()), 1e-6)
    return total
