"""Photos to train on: a folder of any shape and size, as a reproducible stream of crops."""

import os
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from edge_style.errors import ContentError, ImageError
from edge_style.images import IMAGE_SUFFIXES, read_image, resize_short_side

# Decoded photos that each loader worker keeps: enough for a few hundred of half a megabyte, so that
# small folders are decoded once, while COCO streams.
_CACHE_BYTES = 256 * 2**20

# Crops of many sizes have sides of whole multiples of this: cuDNN searches once for each size.
_SIDE_STEP_PX = 32

# A photo is scaled so that the crop covers between its whole short side and half of it: objects
# come in the sizes in which a camera shows them, and flat regions too, the hardest to paint.
_MAX_ZOOM = 2.0

# Of what is longer than so many times its width, a piece is taken: brought to the side of a crop, a
# strip of single pixels would take gigabytes.
_LONGEST = 8

# Among numbers of photos.
_NONE = -1


def find_photos(folder: Path) -> list[Path]:
    """All files under `folder` whose suffix is one of a picture, sorted.

    Folders and files that are linked into it count. Hidden ones, and those in hidden folders, are
    left out.

    Raises:
        ContentError: no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise ContentError(f"there is no folder {folder} with content photos")
    photos: list[Path] = []
    seen: set[tuple[int, int]] = set()  # a link may lead back to a folder that it is in
    for parent, folders, files in os.walk(folder, followlinks=True):
        status = Path(parent).stat()
        place = (status.st_dev, status.st_ino)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(parent, name) for name in files if not name.startswith(".")]
        photos += [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    photos.sort()
    if not photos:
        raise ContentError(
            f"{folder} holds no picture ({', '.join(sorted(IMAGE_SUFFIXES))}): "
            "give a folder of a few hundred photos or more"
        )
    return photos


def to_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """RGB [H, W, 3] uint8 -> [3, H, W] float32, 0..255."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float()


def piece_of(picture: NDArray[np.uint8], place: Callable[[], float]) -> NDArray[np.uint8]:
    """`picture`, or of a long one a piece, eight times as long as wide.

    Args:
        picture: [H, W, 3].
        place: asked if there is a choice: 0 for the piece at one end, 1 for that at the other.
    """
    height, width = picture.shape[:2]
    longest = _LONGEST * min(height, width)
    if max(height, width) <= longest:
        return picture
    start = round((max(height, width) - longest) * place())
    whole, piece = slice(None), slice(start, start + longest)
    return picture[piece] if height > width else picture[whole, piece]


def centre_crop(picture: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    """The middle `side_px` square of `picture`, after its short side was brought to that length."""
    picture = resize_short_side(piece_of(picture, lambda: 0.5), side_px)
    top = (picture.shape[0] - side_px) // 2
    left = (picture.shape[1] - side_px) // 2
    return picture[top : top + side_px, left : left + side_px]


class CropDataset(Dataset[tuple[Tensor, int]]):
    """Crop number i of an endless, reproducible stream: the same for every number of workers.

    Items are (crop [3, S, S] uint8 RGB, number of the photo whose turn it was if that is broken, so
    that another was taken; else -1). All crops of a step have one side S.
    """

    def __init__(
        self,
        photos: Sequence[Path],
        crop_px: int,
        seed: int,
        *,
        spread: float = 1.0,
        batch_size: int = 1,
        margin_px: int = 0,
    ) -> None:
        """Set up; no photo is read yet.

        Args:
            photos: to take crops of.
            crop_px: their side, the geometric mean of all if they differ.
            seed: of what is taken of which photo.
            spread: sides lie between `crop_px` divided by this and times this, in the same
                number of steps for each doubling.
            batch_size: crops a step, over all processes.
            margin_px: by which crops are larger than all that.
        """
        self.photos = photos
        self.crop_px = crop_px
        self.seed = seed
        self.spread = spread
        self.batch_size = batch_size
        self.margin_px = margin_px
        self._cache: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()
        self._cached_bytes = 0

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        """Crop `number`.

        Raises:
            ContentError: a hundred photos in a row were broken.
        """
        epoch, place = divmod(number, len(self.photos))
        generator = random.Random(f"{self.seed}/{number}")
        attempts = min(100, len(self.photos))
        for skipped in range(attempts):
            photo = self.photos[self._shuffled(epoch, (place + skipped) % len(self.photos))]
            try:
                side = self.side_of_step(number // self.batch_size)
                crop = self._crop(self._read(photo), side, generator)
                return crop, self._shuffled(epoch, place) if skipped else _NONE
            except ImageError:
                continue
        raise ContentError(f"{attempts} pictures in a row cannot be read, {photo} for one")

    def broken(self, numbers: Tensor) -> set[Path]:
        """The photos that items name as broken."""
        return {self.photos[number] for number in numbers.tolist() if number != _NONE}

    @property
    def typical_sides(self) -> tuple[int, ...]:
        """Sides of crops without their margin: the middle one and, if there are more, the ends."""
        wholes = (self._whole(self.crop_px * self.spread**end) for end in (0, -1, 1))
        return tuple(dict.fromkeys(whole - self.margin_px for whole in wholes))

    def side_of_step(self, step: int) -> int:
        """Side of the crops of `step`, pixels."""
        drawn = random.Random(f"{self.seed}/side of {step}").uniform(-1.0, 1.0)
        return self._whole(self.crop_px * self.spread**drawn)

    def _whole(self, side: float) -> int:
        """`side` as crops have it, with their margin."""
        if self.spread == 1:
            return self.crop_px + self.margin_px
        return max(1, round(side / _SIDE_STEP_PX)) * _SIDE_STEP_PX + self.margin_px

    def _shuffled(self, epoch: int, place: int) -> int:
        """Where `place` goes in the epoch's order: an affine permutation, O(1) also for COCO."""
        n = len(self.photos)
        generator = random.Random(f"{self.seed}/epoch {epoch}")
        while True:
            factor = generator.randrange(1, n + 1)
            if np.gcd(factor, n) == 1:
                return (factor * place + generator.randrange(n)) % n

    def _read(self, photo: Path) -> NDArray[np.uint8]:
        if photo in self._cache:
            self._cache.move_to_end(photo)
            return self._cache[photo]
        picture = read_image(photo)
        # Crops never need more than this; phone photos are far larger.
        longest_short_side = round(self._whole(self.crop_px * self.spread) * _MAX_ZOOM)
        if min(picture.shape[:2]) > longest_short_side:
            picture = resize_short_side(picture, longest_short_side)
        self._cache[photo] = picture
        self._cached_bytes += picture.nbytes
        while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return picture

    @staticmethod
    def _crop(picture: NDArray[np.uint8], side: int, generator: random.Random) -> Tensor:
        picture = piece_of(picture, generator.random)
        picture = resize_short_side(picture, round(side * generator.uniform(1.0, _MAX_ZOOM)))
        top = generator.randrange(picture.shape[0] - side + 1)
        left = generator.randrange(picture.shape[1] - side + 1)
        crop = picture[top : top + side, left : left + side]
        if generator.random() < 0.5:
            crop = crop[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)


class _ShareSampler(Sampler[int]):
    """Numbers of the crops that process `rank` of `world` takes from `start` on."""

    def __init__(self, start: int, stop: int, batch_size: int, rank: int, world: int) -> None:
        self._range = range(start, stop)
        self._batch_size = batch_size
        self._rank = rank
        self._world = world

    def __iter__(self) -> Iterator[int]:
        share = self._batch_size // self._world
        for first in range(self._range.start, self._range.stop, self._batch_size):
            yield from range(first + self._rank * share, first + (self._rank + 1) * share)


def crop_loader(
    dataset: CropDataset,
    *,
    first_step: int,
    last_step: int,
    batch_size: int,
    workers: int,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[tuple[Tensor, int]]:
    """Batches of steps `first_step` to `last_step` (excluded), this process's share of each.

    Batches are (crops [B, 3, S, S] uint8, broken photos [B]). A resumed training sees the very
    crops that an uninterrupted one would have.
    """
    sampler = _ShareSampler(
        first_step * batch_size, last_step * batch_size, batch_size, rank, world
    )
    return DataLoader(
        dataset,
        batch_size=batch_size // world,
        sampler=sampler,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=False,
        prefetch_factor=4 if workers else None,
    )
