"""`pan:PHOTO`: a photo as a moving picture."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_style.errors import ImageNotFoundError, SourceError
from edge_style.images import read_image, write_image
from edge_style.sources import open_source


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A smooth picture whose red says how far right and whose green says how far down one is."""
    down, right = np.mgrid[0:300, 0:500]
    rgb = np.stack([right / 499 * 255, down / 299 * 255, 0 * down + 40], axis=2)
    write_image(tmp_path / "photo.png", rgb.round().astype(np.uint8))
    return tmp_path / "photo.png"


def test_the_view_glides_across_the_photo_and_comes_back(photo: Path) -> None:
    frames = [frame.image for frame in open_source(f"pan:{photo}", size_px=(80, 60))]
    assert len(frames) == 150
    assert all(frame.shape == (60, 80, 3) and frame.dtype == np.uint8 for frame in frames)
    where = np.array([frame.mean(axis=(0, 1))[:2] for frame in frames])
    steps = np.abs(np.diff(where, axis=0, append=where[:1])).max(axis=1)
    assert 0 < steps.max() < 6  # glides, also from the last frame to the first
    assert np.ptp(where[:, 0]) > 40
    assert all((a != b).any() for a, b in pairwise(frames))


def test_the_view_shows_the_photo_undistorted(photo: Path) -> None:
    first = next(iter(open_source(f"pan:{photo}", size_px=(320, 240)))).image
    # 300 rows at three quarters are 225 photo pixels over 240 rows: the slopes tell the scale.
    green = np.diff(first[:, 100, 1].astype(float)).mean() / (255 / 299)
    red = np.diff(first[100, :, 0].astype(float)).mean() / (255 / 499)
    assert green == pytest.approx(0.9375, rel=0.02)
    assert red == pytest.approx(0.9375, rel=0.02)
    assert (read_image(photo)[40:260, 1, 1] != 0).all()


def test_mistakes_are_named(tmp_path: Path, photo: Path) -> None:
    with pytest.raises(ImageNotFoundError, match=r"nowhere\.jpg"):
        open_source(f"pan:{tmp_path / 'nowhere.jpg'}")
    with pytest.raises(SourceError, match="0x60"):
        open_source(f"pan:{photo}", size_px=(0, 60))
