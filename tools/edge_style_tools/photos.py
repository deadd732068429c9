"""Pictures to verify and calibrate with: the user's photos, or some that the program makes."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.errors import ContentError, ImageError
from edge_style.images import IMAGE_SUFFIXES, Rgb, read_image

FloatArray = npt.NDArray[np.float32]


def read_photos(folder: Path, limit: int = 64) -> list[Rgb]:
    """The photos of `folder`, uint8 [H, W, 3], RGB; evenly chosen if more than `limit`.

    Raises:
        ContentError: no such folder, or no picture in it.
        ImageError: a picture cannot be read.
    """
    if not folder.is_dir():
        raise ContentError(f"there is no folder {folder}")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise ContentError(f"{folder} holds no picture ({', '.join(IMAGE_SUFFIXES)})")
    chosen = np.linspace(0, len(paths) - 1, min(limit, len(paths))).round().astype(int)
    return [read_image(paths[index]) for index in chosen]


def fit(photo: Rgb, height_px: int, width_px: int) -> Rgb:
    """The middle of `photo`, scaled to cover [`height_px`, `width_px`, 3]."""
    height, width = photo.shape[:2]
    if min(height, width) < 1:
        raise ImageError("the photo has no pixels")
    scale = max(height_px / height, width_px / width)
    size = (max(width_px, round(width * scale)), max(height_px, round(height * scale)))
    scaled = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (scaled.shape[0] - height_px) // 2, (scaled.shape[1] - width_px) // 2
    return np.ascontiguousarray(
        scaled[top : top + height_px, left : left + width_px], dtype=np.uint8
    )


def made_photo(seed: int, height_px: int = 480, width_px: int = 640) -> Rgb:
    """A picture with the statistics of a photo, uint8 [H, W, 3], RGB; the same for the same `seed`.

    A sky with a gradient, hills of cloud-like texture (power falling with frequency, as in natural
    images: Field 1987), things with sharp edges, sensor noise; exposure and tint differ by seed.
    """
    random = np.random.default_rng(seed)
    rows = np.linspace(0, 1, height_px, dtype=np.float32)[:, None, None]
    grey = random.uniform(0.1, 0.9, (5, 1))
    colours = (grey + random.uniform(-0.2, 0.2, (5, 3))).astype(np.float32)
    sky = (1 - rows) * colours[0] + rows * colours[1] + 0.06 * _clouds(random, height_px, width_px)
    ridge = cv2.blur(_clouds(random, height_px, width_px), (31, 31))[:1, :, None]
    ground = colours[2] + 0.12 * _clouds(random, height_px, width_px)
    picture = np.where(rows > random.uniform(0.3, 0.7) + 0.1 * ridge, ground, sky)
    picture = np.ascontiguousarray(picture, dtype=np.float32)
    for thing in range(6):
        centre = (int(random.integers(width_px)), int(random.integers(height_px)))
        reach = float(random.uniform(0.05, 0.25)) * min(height_px, width_px)
        shade = colours[3 + thing % 2] * random.uniform(0.2, 1.2)
        shape = _outline(random, centre, reach)
        cv2.fillPoly(picture, [shape], [float(c) for c in shade], lineType=cv2.LINE_AA)
    exposed = picture * random.uniform(0.6, 1.2) + random.uniform(-0.1, 0.1)
    noise = random.normal(0, random.uniform(0, 0.03), exposed.shape)
    return np.clip((exposed + noise) * 255, 0, 255).astype(np.uint8)


def photos_for(sizes: Sequence[tuple[int, int]], folder: Path | None = None) -> list[Rgb]:
    """One picture for each (height, width): from `folder` in turn, or made by the program.

    Raises:
        ContentError: no such folder, or no picture in it.
        ImageError: a picture cannot be read.
    """
    if folder is None:
        return [made_photo(seed, *size) for seed, size in enumerate(sizes)]
    photos = read_photos(folder, limit=len(sizes))
    return [fit(photos[index % len(photos)], *size) for index, size in enumerate(sizes)]


def _clouds(random: np.random.Generator, height_px: int, width_px: int) -> FloatArray:
    """Noise [H, W, 1] of mean 0 and deviation 1; power falls with the square of the frequency."""
    vertical = np.fft.fftfreq(height_px)[:, None]
    horizontal = np.fft.rfftfreq(width_px)[None, :]
    frequency = np.hypot(vertical, horizontal)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(random.normal(size=(height_px, width_px))) / frequency
    clouds = np.fft.irfft2(spectrum, s=(height_px, width_px))
    return np.asarray(clouds / clouds.std(), dtype=np.float32)[..., None]


def _outline(
    random: np.random.Generator, centre: tuple[int, int], reach_px: float
) -> npt.NDArray[np.int32]:
    """Corners [N, 2] of a star-shaped polygon."""
    angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 9))))
    reach = reach_px * random.uniform(0.4, 1, angles.shape)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    return np.asarray(np.rint(around + np.array(centre)), dtype=np.int32)
