"""The photorealistic transfer beside plain colour transfers: structure, style, seconds, pictures.

    python tools/bench_photo.py PAIRS --vgg vgg16.safetensors --sheet sheet.jpg

PAIRS holds inN.png (photo) and tarN.png (reference), as the pairs of Deep Photo Style Transfer.
Structure is the similarity of the edges to the photo's (1: all of it), style the distance of Gram
matrices on VGG16 to the reference's, relu1_2 to relu4_3 (0: the reference). Prints JSON. With
--seconds 803x538 it measures the stages at that size instead: run that on an idle machine.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

import torch

from edge_style.errors import SourceError
from edge_style.images import Rgb, parse_size, read_image, resize, resize_long_side, write_image
from edge_style.photo.look import Look, LookChoice
from edge_style.photo.networks import Features, PhotoNetworks, default_folder
from edge_style.photo.transfer import PhotoOptions, Smoothing, Stages, transfer_light
from edge_style_tools.photo_scores import (
    edge_similarity,
    match_histogram,
    match_mean_and_deviation,
)
from edge_style_tools.script import at_least, run_script
from edge_style_training.contact_sheet import contact_sheet
from edge_style_training.data import to_tensor
from edge_style_training.losses import Objective, PerceptualLoss
from edge_style_training.vgg import LossNetwork, load_loss_network

_LIVE_RUNS = 60
_FAST_RUNS = 5
_SHEET = ("photo", "reference", "exact", "fast", "live")


class RememberingNetworks:
    """Networks that compute nothing twice: the methods differ only in what comes after them."""

    def __init__(self, networks: PhotoNetworks) -> None:
        self._networks = networks
        self._known: dict[tuple[str, int, bytes], Features] = {}

    def encode(self, level: int, features: Features) -> Features:
        return self._remembered("encode", level, features)

    def decode(self, level: int, features: Features, details: Features | None) -> Features:
        return self._remembered("decode", level, features, details)

    def _remembered(self, name: str, level: int, features: Features, *more: Any) -> Features:
        key = (name, level, hashlib.blake2b(features).digest())
        if key not in self._known:
            self._known[key] = getattr(self._networks, name)(level, features, *more)
        return self._known[key]


def find_pairs(folder: Path) -> list[tuple[Path, Path]]:
    """(photo, reference) of inN and tarN, by number."""
    pairs = [
        (photo, photo.with_name(photo.name.replace("in", "tar", 1)))
        for photo in folder.glob("in*.png")
    ]
    found = [pair for pair in pairs if pair[1].is_file()]
    if not found:
        raise SourceError(f"'{folder}' holds no inN.png with tarN.png")
    return sorted(found, key=lambda pair: int(pair[0].stem.removeprefix("in")))


def make_all(
    photo: Rgb, reference: Rgb, path: Path, networks: PhotoNetworks, plain: PhotoOptions
) -> dict[str, Rgb]:
    """The pictures of all methods."""
    remembering = RememberingNetworks(networks)

    def full(smooth: Smoothing) -> Rgb:
        return transfer_light(
            photo,
            reference,
            remembering,  # type: ignore[arg-type] # has what is asked of it
            replace(plain, smooth=smooth),
        )

    return {
        "photo": photo,
        "mean and deviation": match_mean_and_deviation(photo, reference),
        "histogram": match_histogram(photo, reference),
        "full, not smoothed": full("none"),
        "exact": full("exact"),
        "fast": full("fast"),
        "live": Look(LookChoice.read(path), in_background=False).apply(photo),
    }


def style_distance(network: LossNetwork, reference: Rgb) -> Callable[[Rgb], float]:
    """Distance of a picture's Gram matrices to the reference's."""
    loss = PerceptualLoss(network, [to_tensor(reference)], Objective(content_layers={}))

    def distance(picture: Rgb) -> float:
        with torch.no_grad():
            return float(loss(to_tensor(picture).unsqueeze(0), {}).style)

    return distance


def score(options: argparse.Namespace, networks: PhotoNetworks) -> dict[str, object]:
    """Structure and style of every method on every pair; also writes the sheet."""
    pairs = find_pairs(options.pairs)
    network = load_loss_network(options.vgg, Objective().layers)
    results: dict[str, dict[str, list[float]]] = {}
    rows, labels = [], []
    for photo_path, reference_path in pairs:
        photo, reference = (
            _at_most(read_image(path), options.size) for path in (photo_path, reference_path)
        )
        distance = style_distance(network, reference)
        made = make_all(photo, reference, reference_path, networks, _how(options))
        for name, picture in made.items():
            found = results.setdefault(name, {"structure": [], "style": []})
            found["structure"].append(round(edge_similarity(photo, picture), 4))
            found["style"].append(round(distance(picture)))
        rows.append([{**made, "reference": reference}[name] for name in _SHEET])
        labels.append(photo_path.stem)
        if options.pictures:
            for name, picture in made.items():
                write_image(options.pictures / f"{photo_path.stem}-{name}.png", picture)
        shown = {
            name: (found["structure"][-1], found["style"][-1]) for name, found in results.items()
        }
        print(f"{photo_path.name}: {shown}", file=sys.stderr)
    if options.sheet:
        columns = _SHEET[2:] if options.ours_only else _SHEET
        rows = [row[-len(columns) :] for row in rows]
        sheet = contact_sheet(rows, columns, labels, cell_px=options.cell)
        write_image(options.sheet, sheet, quality=85)
    plain = results["mean and deviation"]
    means = {
        name: {
            "structure": round(fmean(found["structure"]), 4),
            "style": round(fmean(found["style"])),
            # Of the means, which the hardest pair rules, and of the pairs, which all have a say in.
            "style_beside_mean_and_deviation": round(
                fmean(found["style"]) / fmean(plain["style"]), 3
            ),
            "style_beside_it_in_a_typical_pair": round(
                geometric_mean(
                    own / other for own, other in zip(found["style"], plain["style"], strict=True)
                ),
                3,
            ),
        }
        for name, found in results.items()
    }
    return {"pairs": labels, "means": means, "each": results}


def measure(options: argparse.Namespace, networks: PhotoNetworks) -> dict[str, object]:
    """Seconds of every stage at one size, and milliseconds of the live look at 640x480."""
    photo_path, reference_path = find_pairs(options.pairs)[0]
    width, height = parse_size(options.seconds)
    photo, reference = (
        resize(read_image(path), width, height) for path in (photo_path, reference_path)
    )
    # The networks run once, in the first transfer; later ones measure the fast smoothing.
    remembering, seconds, fast = RememberingNetworks(networks), {}, []
    smoothings: tuple[Smoothing, ...] = ("exact",) + ("fast",) * _FAST_RUNS
    for smooth in smoothings:
        stages = Stages()
        how = replace(_how(options), smooth=smooth)
        transfer_light(photo, reference, remembering, how, stages=stages)  # type: ignore[arg-type] # as above
        if smooth == "exact":
            seconds = stages.seconds | {"exact smoothing": stages.seconds["smoothing"]}
        else:
            fast.append((stages.seconds["smoothing"], stages.seconds["full size"]))
    del seconds["smoothing"]
    seconds["fast smoothing"], seconds["fast, full size"] = map(median, zip(*fast, strict=True))
    seconds = {name: round(value, 3) for name, value in seconds.items()}
    frame = resize(read_image(photo_path), 640, 480)
    start_s = time.perf_counter()
    look = Look(LookChoice.read(reference_path), in_background=True)
    look.apply(frame)
    first_ms = (time.perf_counter() - start_s) * 1000
    spent_ms = []
    for _ in range(_LIVE_RUNS):
        start_s = time.perf_counter()
        look.apply(frame)
        spent_ms.append((time.perf_counter() - start_s) * 1000)
    return {
        "size": options.seconds,
        "seconds": seconds,
        "live_ms": round(median(spent_ms), 2),
        "live_first_frame_ms": round(first_ms),
    }


def _how(options: argparse.Namespace) -> PhotoOptions:
    return PhotoOptions(transform=options.transform, colours_first=options.colours_first)


def _at_most(picture: Rgb, side_px: int | None) -> Rgb:
    if side_px is None or max(picture.shape[:2]) <= side_px:
        return picture
    return resize_long_side(picture, side_px)


def main() -> None:
    options = _parse()
    networks = PhotoNetworks(options.networks)
    found = (measure if options.seconds else score)(options, networks)
    print(json.dumps(found, indent=1))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--vgg", type=Path, help="VGG16 weights; fetched if omitted")
    parser.add_argument("--networks", type=Path, default=default_folder())
    parser.add_argument("--transform", default=PhotoOptions().transform)
    parser.add_argument("--colours-first", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--size", type=at_least(16), help="longer side, to be quick; the pairs' own if not"
    )
    parser.add_argument("--sheet", type=Path, help="contact sheet to write")
    parser.add_argument("--ours-only", action="store_true", help="no photo and reference on it")
    parser.add_argument(
        "--cell", type=at_least(16), default=300, help="longer side of its pictures"
    )
    parser.add_argument("--pictures", type=Path, help="folder for all pictures")
    parser.add_argument("--seconds", metavar="WIDTHxHEIGHT", help="measure time at this size")
    return parser.parse_args()


if __name__ == "__main__":
    run_script(main)
