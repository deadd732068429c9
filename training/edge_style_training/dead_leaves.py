"""Pictures of dead leaves: nobody's photos, but with what photos have.

Things of all sizes that hide one another have the statistics of photos, edges and flat areas at
every scale (Lee, Mumford and Huang 2001, "Occlusion models for natural images").
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_style.images import write_image

# As many and as large as a refinement of minutes can use.
_IN_PLACE_OF_PHOTOS = 40
_SIDE_PX = 400

_LEAVES = 260
# Of the picture's side, in which radii have densities as in photos, by their inverse cube.
_SMALLEST, _LARGEST = 0.02, 0.30
# Large things that are left out, so that ground is seen.
_LEFT_OUT = 0.35
_GRAIN_PX = 4
_WARMER = np.array([1, 0.1, -1])


def write_in_place_of_photos(folder: Path) -> None:
    """Fill `folder` with pictures to learn on, the same always."""
    names = [folder / f"leaves-{number:02}.png" for number in range(1, _IN_PLACE_OF_PHOTOS + 1)]

    def write(number: int) -> None:
        write_image(names[number], dead_leaves(_SIDE_PX, number + 1, finer=1))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(len(names))))


def dead_leaves(side_px: int, seed: int, *, finer: int = 2) -> NDArray[np.uint8]:
    """Shaded discs and boards over a ground in light, uint8 [side_px, side_px, 3], RGB.

    Args:
        side_px: of the picture.
        seed: tells pictures apart.
        finer: painted at so many times the size; 1 is quicker by four, and rougher.
    """
    draw = np.random.default_rng(seed)
    side = finer * side_px
    y, x = np.mgrid[0:side, 0:side] / side
    above, below = draw.uniform(70, 220, (2, 1)) + draw.normal(0, 14, (2, 3))
    picture = (above + (below - above) * y[..., None]).astype(np.float32)
    largest, smallest = (1 / share**2 for share in (_LARGEST, _SMALLEST))
    radii = side / np.sqrt(draw.uniform(largest, smallest, _LEAVES))
    # Small ones last, or they would be hidden.
    for radius in np.sort(radii)[::-1]:
        if draw.uniform() < _LEFT_OUT and radius > 0.05 * side:
            continue
        centre = draw.uniform(-0.1 * side, 1.1 * side, 2)
        colour = draw.normal(112, 55) + draw.normal(0, 14, 3)
        colour = np.clip(colour + draw.normal(0, 12) * _WARMER, 0, 255)
        mask = _mask(side, centre, radius, draw)
        light, steepness = draw.uniform(0, 2 * np.pi), draw.uniform(5, 40)
        grain = draw.normal(0, 1, (side // _GRAIN_PX,) * 2).astype(np.float32)
        roughness = draw.choice([0, 0, 6, 14])
        left, top, width, height = cv2.boundingRect(mask)
        here = np.s_[top : top + height, left : left + width]
        shape = (mask[here][..., None] / 255).astype(np.float32)
        off_x, off_y = x[here] * side - centre[0], y[here] * side - centre[1]
        shade = off_x * np.cos(light) + off_y * np.sin(light)
        leaf = colour + (shade / radius)[..., None] * steepness
        if roughness:
            rough = cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC)
            leaf = leaf + rough[here][..., None] * roughness
        picture[here] = picture[here] * (1 - shape) + leaf.astype(np.float32) * shape
    soft = cv2.GaussianBlur(picture, (0, 0), 0.5 * finer)
    small = cv2.resize(soft, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(np.rint(small), 0, 255), np.uint8)


def _mask(
    side: int, centre: NDArray[np.float64], radius: float, draw: np.random.Generator
) -> NDArray[np.uint8]:
    """Where an ellipse or a board is, [side, side], 255 there."""
    across, along = (radius * draw.uniform(0.5, 1.4) for _ in range(2))
    angle = draw.uniform(0, 180)
    mask = np.zeros((side, side), np.uint8)
    if draw.uniform() < 0.3:
        board = ((float(centre[0]), float(centre[1])), (2 * across, 2 * along), angle)
        cv2.fillConvexPoly(mask, cv2.boxPoints(board).astype(np.int32), 255, cv2.LINE_AA)
    else:
        axes = (max(1, int(across)), max(1, int(along)))
        middle = (int(centre[0]), int(centre[1]))
        cv2.ellipse(mask, middle, axes, angle, 0, 360, 255, -1, cv2.LINE_AA)
    return mask
