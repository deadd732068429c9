"""Encoder, decoder and the decoder's training of the photorealistic transfer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edge_style.errors import CheckpointError
from edge_style_training.data import find_photos
from edge_style_training.photo.decoder_training import (
    DecoderConfig,
    DecoderTrainer,
    load_decoder,
    reconstruction_psnr_db,
)
from edge_style_training.photo.least_squares import start_from_least_squares
from edge_style_training.photo.networks import (
    SCALE,
    PhotoDecoder,
    PhotoEncoder,
    low_band,
    unpool,
    unpool_max,
)
from edge_style_training.vgg import LossNetwork

TINY = DecoderConfig(
    steps=4, batch_size=1, crop_px=32, warmup_steps=1, precision="fp32", save_every=2
)


@pytest.fixture(scope="module")
def encoder() -> PhotoEncoder:
    torch.manual_seed(7)
    return PhotoEncoder.of(LossNetwork(["relu4_1"]))


def test_the_low_band_and_its_unpooling_are_haars():
    x = torch.randn(1, 2, 4, 6)
    a, b, c, d = x[..., ::2, ::2], x[..., ::2, 1::2], x[..., 1::2, ::2], x[..., 1::2, 1::2]
    torch.testing.assert_close(low_band(x), (a + b + c + d) / 2)
    torch.testing.assert_close(unpool(low_band(x), x), x)
    other = torch.randn(1, 2, 2, 3)
    changed = unpool(other, x)
    torch.testing.assert_close(low_band(changed), other)
    # The other bands are the photo's own.
    e, f = changed[..., ::2, ::2], changed[..., ::2, 1::2]
    torch.testing.assert_close(e - f, a - b)


def test_masks_put_values_back_where_they_came_from():
    x = torch.tensor([[[[1.0, 5.0], [2.0, 3.0]]]])
    torch.testing.assert_close(
        unpool_max(torch.tensor([[[[9.0]]]]), x), torch.tensor([[[[0, 9.0], [0, 0]]]])
    )


def test_the_first_level_is_vggs_scaled():
    torch.manual_seed(7)
    network = LossNetwork(["relu1_2", "relu4_1"])
    image = torch.rand(1, 3, 16, 24) * 255
    found = PhotoEncoder.of(network)(image)
    torch.testing.assert_close(found[0] * SCALE, network(image)["relu1_2"], rtol=1e-3, atol=1e-2)
    assert [tuple(level.shape[1:]) for level in found] == [
        (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3),
    ]  # fmt: skip


def test_the_decoder_takes_three_levels_too(encoder):
    features = encoder(torch.rand(1, 3, 16, 16) * 255)
    decoder = PhotoDecoder()
    assert [made.shape[1] for made in decoder(features)] == [256, 128, 64, 3]
    assert [made.shape[1] for made in decoder(features[:3])] == [128, 64, 3]


def test_least_squares_begin_near_the_photo(encoder):
    torch.manual_seed(0)
    crops = [
        torch.nn.functional.interpolate(torch.rand(1, 3, 6, 6) * 255, size=48, mode="bicubic")
        for _ in range(3)
    ]
    decoder = PhotoDecoder()
    pictures = [crop[0].permute(1, 2, 0).clamp(0, 255).byte().numpy() for crop in crops]
    before = reconstruction_psnr_db(encoder, decoder, pictures, 48)
    start_from_least_squares(encoder, decoder, crops)
    assert reconstruction_psnr_db(encoder, decoder, pictures, 48) > before + 3


def test_a_resumed_training_ends_as_one_in_one_go(encoder, photo_folder, tmp_path: Path):
    photos = find_photos(photo_folder)
    whole = DecoderTrainer(encoder, photos, tmp_path / "whole.pth", TINY)
    whole.run(lambda _: None)
    cut = DecoderTrainer(encoder, photos, tmp_path / "cut.pth", TINY)
    cut._train_step = _fails_after(cut, 3)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        cut.run(lambda _: None)
    assert not cut.output.exists()
    again = DecoderTrainer(encoder, photos, tmp_path / "cut.pth", TINY)
    again.resume()
    assert again.step == 2
    again.run(lambda _: None)
    assert not again.state_path.exists()
    for mine, other in zip(
        load_decoder(again.output).parameters(),
        load_decoder(whole.output).parameters(),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def _fails_after(trainer: DecoderTrainer, steps: int):
    original = trainer._train_step

    def step(crops):
        if trainer.step >= steps:
            raise KeyboardInterrupt
        return original(crops)

    return step


def test_another_training_is_not_resumed(encoder, photo_folder, tmp_path: Path):
    photos = find_photos(photo_folder)
    DecoderTrainer(encoder, photos, tmp_path / "a.pth", TINY).save()
    other = DecoderTrainer(encoder, photos, tmp_path / "a.pth", replace(TINY, steps=9))
    with pytest.raises(CheckpointError, match="other settings"):
        other.resume()


def test_another_kind_of_file_is_refused(tmp_path: Path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="no decoder"):
        load_decoder(tmp_path / "x.pth")
