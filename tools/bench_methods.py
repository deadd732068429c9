"""Both methods on one photo in one run: optimization (Gatys) beside trained networks (Johnson).

    python tools/bench_methods.py PHOTO PAINTING --vgg vgg16.safetensors \
        --model exported/starry.onnx --checkpoint exported/checkpoints/starry-johnson.pth \
        --output sheet.jpg

Johnson et al. 2016, table 1, compare 500 iterations of the optimization with one pass of the
network. Prints JSON: seconds of the optimization, milliseconds of each network as the median of
single passes after a warm-up, and their ratio. Run it on an idle machine.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from edge_style.images import Rgb, read_image, resize_long_side, write_image
from edge_style.stylizer import Stylizer
from edge_style_tools.export import ExportSettings, export_network
from edge_style_tools.script import at_least, run_script
from edge_style_tools.sources import read_source
from edge_style_training.contact_sheet import contact_sheet
from edge_style_training.paint import PaintConfig, paint
from edge_style_training.vgg import load_loss_network

PASSES = 15


def paint_picture(photo: Rgb, painting: Path, vgg: Path, iterations: int) -> tuple[Rgb, float]:
    """The optimization's picture and the seconds it took, the loss network's loading left out."""
    config = PaintConfig(iterations=iterations, levels=1, long_px=max(photo.shape[:2]))
    network = load_loss_network(vgg, config.objective.layers)
    start = time.perf_counter()
    picture = paint(photo, [read_image(painting)], network, config)
    return picture, time.perf_counter() - start


def stylize(photo: Rgb, model: Path) -> tuple[Rgb, float]:
    """A network's picture, and the median milliseconds of one pass on the CPU."""
    stylizer = Stylizer.load(str(model), provider="cpu")
    stylizer.warm_up(*photo.shape[:2])
    passes_ms = []
    for _ in range(PASSES):
        start = time.perf_counter()
        picture = stylizer(photo)
        passes_ms.append((time.perf_counter() - start) * 1000)
    return picture, median(passes_ms)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, write the sheet, and return the figures."""
    photo = resize_long_side(read_image(options.photo), options.size)
    models = [(model.stem, model) for model in options.model]
    with tempfile.TemporaryDirectory() as folder:
        for checkpoint in options.checkpoint:
            exported = Path(folder) / f"{checkpoint.stem}.onnx"
            export_network(
                read_source(checkpoint), ExportSettings(output=exported, precision="fp32")
            )
            models.append((checkpoint.stem, exported))
        painted, seconds = paint_picture(photo, options.painting, options.vgg, options.iterations)
        size = f"{photo.shape[1]}x{photo.shape[0]}"
        pictures = [photo, painted]
        labels = ["photo", f"optimization, {options.iterations} iterations: {seconds:.0f} s"]
        networks = {}
        for name, model in models:
            picture, pass_ms = stylize(photo, model)
            networks[name] = {"ms": round(pass_ms, 1), "ratio": round(seconds * 1000 / pass_ms)}
            pictures.append(picture)
            labels.append(f"{name}: {pass_ms:.0f} ms")
    write_image(options.output, contact_sheet([pictures], labels, [""], cell_px=400))
    optimization = {"iterations": options.iterations, "seconds": round(seconds, 1)}
    return {"size": size, "optimization": optimization, "networks": networks}


def main() -> None:
    """Read the command line, print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("painting", type=Path)
    parser.add_argument("--vgg", type=Path, required=True)
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument("--checkpoint", type=Path, action="append", default=[])
    parser.add_argument("--iterations", type=at_least(1), default=500)
    parser.add_argument("--size", type=at_least(16), default=512, help="longer side, pixels")
    parser.add_argument("--output", type=Path, required=True)
    print(json.dumps(run(parser.parse_args())))


if __name__ == "__main__":
    run_script(main)
