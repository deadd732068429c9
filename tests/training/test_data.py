"""The stream of crops: any folder, reproducible, whatever is broken skipped."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_style.errors import ContentError
from edge_style.images import read_image
from edge_style_training.data import CropDataset, centre_crop, crop_loader, find_photos

from .conftest import textured


def test_finds_pictures_of_all_kinds_in_nested_folders(photo_folder: Path) -> None:
    names = {path.name for path in find_photos(photo_folder)}
    assert names >= {"a.jpg", "b.png", "c.jpeg", "d.bmp", "e.JPG", "f.webp"}
    assert "notes.txt" not in names


def test_hidden_pictures_and_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", ".b.jpg", ".thumbs/c.jpg", "d/.e/f.jpg", "d/g.jpg"):
        path = tmp_path / ".config" / name  # where the folder itself lies is the user's affair
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    found = find_photos(tmp_path / ".config")
    assert [path.name for path in found] == ["a.jpg", "g.jpg"]


def test_linked_folders_count_and_end(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "content"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "deep" / "a.jpg").write_bytes(b"picture")
    folder.mkdir()
    (folder / "photos").symlink_to(elsewhere)
    (elsewhere / "deep" / "back").symlink_to(folder)
    (folder / "b.jpg").symlink_to(elsewhere / "deep" / "a.jpg")
    assert [path.name for path in find_photos(folder)] == ["b.jpg", "a.jpg"]


def test_empty_and_missing_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="no picture"):
        find_photos(tmp_path)
    with pytest.raises(ContentError, match="no folder"):
        find_photos(tmp_path / "nowhere")


def test_crops_depend_on_their_number_alone(photo_folder: Path) -> None:
    photos = find_photos(photo_folder)
    first, second = (CropDataset(photos, 48, seed=5) for _ in range(2))
    for number in (0, 3, 20):
        assert torch.equal(first[number][0], second[number][0])
    assert not torch.equal(first[0][0], CropDataset(photos, 48, seed=6)[0][0])


def test_workers_and_resuming_do_not_change_the_stream(photo_folder: Path) -> None:
    dataset = CropDataset(find_photos(photo_folder), 32, seed=1)
    options = {"last_step": 4, "batch_size": 2}
    alone = [crops for crops, _ in crop_loader(dataset, first_step=0, workers=0, **options)]
    helped = [crops for crops, _ in crop_loader(dataset, first_step=0, workers=2, **options)]
    resumed = [crops for crops, _ in crop_loader(dataset, first_step=2, workers=0, **options)]
    assert all(torch.equal(a, b) for a, b in zip(alone, helped, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(alone[2:], resumed, strict=True))


def test_two_processes_share_a_batch_without_overlap(photo_folder: Path) -> None:
    dataset = CropDataset(find_photos(photo_folder), 32, seed=1)
    options = {"first_step": 1, "last_step": 3, "batch_size": 4, "workers": 0}
    whole = [crops for crops, _ in crop_loader(dataset, **options)]
    shares = [
        [crops for crops, _ in crop_loader(dataset, **options, rank=rank, world=2)]
        for rank in (0, 1)
    ]
    for batch, left, right in zip(whole, *shares, strict=True):
        assert torch.equal(batch, torch.cat([left, right]))


def test_every_photo_comes_once_an_epoch(tmp_path: Path) -> None:
    for shade in range(10):
        cv2.imwrite(str(tmp_path / f"{shade}.png"), textured(40, 40, 0) // 100 + 20 * shade)
    dataset = CropDataset(find_photos(tmp_path), 40, seed=3)
    for epoch in (0, 1):
        shades = {int(dataset[10 * epoch + i][0].float().mean()) // 20 for i in range(10)}
        assert shades == set(range(10))


def test_broken_photos_are_skipped_and_named(photo_folder: Path) -> None:
    dataset = CropDataset(find_photos(photo_folder), 32, seed=1)
    places = torch.tensor([dataset[number][1] for number in range(2 * len(dataset.photos))])
    assert {path.name for path in dataset.broken(places)} == {"broken.jpg", "truncated.png"}
    assert dataset.broken(torch.tensor([-1])) == set()


@pytest.mark.parametrize("shape", [(1, 9000), (9000, 1)])
def test_a_strip_of_single_pixels_takes_no_memory(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = tmp_path / "strip.png"
    cv2.imwrite(str(path), textured(*shape, 0))
    (path,) = find_photos(tmp_path)
    tracemalloc.start()
    crop, _ = CropDataset([path], 64, seed=1)[0]
    middle = centre_crop(read_image(path), 64)
    peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert crop.shape == (3, 64, 64)
    assert middle.shape == (64, 64, 3)
    assert peak_mb < 5  # 220 where all of it is enlarged


def test_a_folder_of_broken_photos_ends_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_text("not a picture")
    with pytest.raises(ContentError, match=r"broken\.jpg"):
        CropDataset(find_photos(tmp_path), 32, seed=1)[0]


def test_pictures_smaller_than_the_crop_are_enlarged(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "small.png"), textured(20, 50, 0))
    crop, _ = CropDataset(find_photos(tmp_path), 64, seed=1)[0]
    assert crop.shape == (3, 64, 64)
    assert crop.dtype == torch.uint8


def test_crops_of_a_step_have_one_size_and_steps_have_many(photo_folder: Path) -> None:
    photos = find_photos(photo_folder)
    dataset = CropDataset(photos, 128, seed=1, spread=1.5, batch_size=2, margin_px=8)
    options = {"first_step": 0, "last_step": 30, "batch_size": 2}
    batches = [crops for crops, _ in crop_loader(dataset, workers=0, **options)]
    sides = [crops.shape[2] - 8 for crops in batches]
    # 128 / 1.5 is 85 and 128 * 1.5 is 192, in steps of 32.
    assert set(sides) == {96, 128, 160, 192}
    assert dataset.typical_sides == (128, 96, 192)
    assert CropDataset(photos, 100, seed=1, margin_px=8).typical_sides == (100,)
    resumed = crop_loader(dataset, workers=0, **{**options, "first_step": 9})
    later = [crops for crops, _ in resumed]
    assert all(torch.equal(a, b) for a, b in zip(batches[9:], later, strict=True))


def test_a_crop_covers_as_much_of_its_photo_at_all_sizes(tmp_path: Path) -> None:
    # How much darker the top is than the bottom tells how much of the photo is in the crop.
    ramp = np.broadcast_to(np.linspace(0, 255, 256, dtype=np.uint8)[:, None, None], (256, 256, 3))
    cv2.imwrite(str(tmp_path / "ramp.png"), np.ascontiguousarray(ramp))
    dataset = CropDataset(find_photos(tmp_path), 96, seed=2, spread=1.8)
    for number in range(12):
        crop, _ = dataset[number]
        covered = float(crop[0, -1].float().mean() - crop[0, 0].float().mean()) / 255
        assert 0.45 < covered <= 1


def test_centre_crop_takes_the_middle() -> None:
    picture = textured(60, 121, 0)
    assert (centre_crop(picture, 60) == picture[:, 30:90]).all()
