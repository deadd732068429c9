"""Trains the decoder of the photorealistic transfer, which is shipped; only we run this.

    python training/train_photo_decoder.py --content DIR --vgg vgg16.safetensors \
        --output exported/photo/decoder.pth

An interrupted training goes on with --resume, with the very crops that it would have seen.
"""

import argparse
import sys
from pathlib import Path

import torch

from edge_style.errors import EdgeStyleError
from edge_style.images import ensure_folder, read_image
from edge_style_training.data import find_photos
from edge_style_training.photo.decoder_training import (
    DecoderConfig,
    DecoderTrainer,
    Progress,
    reconstruction_psnr_db,
)
from edge_style_training.photo.least_squares import start_from_least_squares
from edge_style_training.photo.networks import PhotoEncoder
from edge_style_training.validation import hold_out
from edge_style_training.vgg import load_loss_network

# For the least squares that training begins with.
_FIRST_CROPS = 120


def main() -> None:
    options = _parse()
    try:
        _train(options)
    except EdgeStyleError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _train(options: argparse.Namespace) -> None:
    ensure_folder(options.output.absolute().parent)
    torch.set_num_threads(options.threads)
    config = DecoderConfig(
        steps=options.steps,
        batch_size=options.batch_size,
        crop_px=options.crop,
        learning_rate=options.lr,
        pooling=options.pooling,
        precision=options.precision,
    )
    network = load_loss_network(options.vgg, ["relu4_1"])
    encoder = PhotoEncoder.of(network, config.pooling)
    held_out, rest = hold_out(find_photos(options.content), options.held_out)
    trainer = DecoderTrainer(encoder, rest, options.output, config)
    if options.resume:
        trainer.resume()
    else:
        crops = (trainer.dataset[number][0].unsqueeze(0).float() for number in range(_FIRST_CROPS))
        start_from_least_squares(encoder, trainer.decoder, crops)
        trainer.save()
    trainer.run(_report)
    photos = [read_image(path) for path in held_out]
    psnr_db = reconstruction_psnr_db(encoder, trainer.decoder.eval(), photos)
    print(f"{len(photos)} photos held out come back with {psnr_db:.2f} dB", flush=True)


def _report(progress: Progress) -> None:
    errors = "  ".join(f"{value:.5f}" for value in progress.errors)
    print(
        f"{progress.step:5d} of {progress.steps}  {progress.seconds:7.1f} s  {errors}", flush=True
    )


def _parse() -> argparse.Namespace:
    defaults = DecoderConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--content", type=Path, required=True, help="folder of photos")
    parser.add_argument("--vgg", type=Path, help="VGG16 weights; fetched if omitted")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--batch-size", type=int, default=defaults.batch_size)
    parser.add_argument("--crop", type=int, default=defaults.crop_px, help="side of crops, pixels")
    parser.add_argument("--lr", type=float, default=defaults.learning_rate)
    parser.add_argument("--pooling", choices=("haar", "max"), default=defaults.pooling)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default=defaults.precision)
    parser.add_argument("--held-out", type=int, default=16, help="photos for the last figure")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
