"""Whether the grid of a network's cells shows in dark areas, where strokes hide it least.

    python tools/bench_grid.py exported/starry.onnx exported/starry.int8.onnx --content photos/

For each model, the median over all dark windows (64 pixels) of all photos of the power at 8 and at
4 pixels over that beside it: 1 is no grid. See `edge_style_tools.grid`.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from edge_style.catalog import is_encoder
from edge_style.images import read_image
from edge_style.stylizer import Stylizer
from edge_style_tools.grid import grid_ratios
from edge_style_tools.script import at_least, run_script
from edge_style_training.data import find_photos

PERIODS_PX = (8, 4)


def main() -> None:
    """Print a JSON object: model -> period -> median ratio, and how many windows there were."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--content", type=Path, required=True, help="folder of photos")
    parser.add_argument("--photos", type=at_least(1), default=40, help="at most so many")
    options = parser.parse_args()
    photos = [read_image(path) for path in find_photos(options.content)[: options.photos]]
    for model in options.models:
        if is_encoder(Path(model)):
            continue
        stylizer = Stylizer.load(model, provider="cpu")
        if stylizer.spec.code_length:  # without a picture it has no style
            continue
        pictures = [stylizer(photo) for photo in photos]
        result = {}
        for period in PERIODS_PX:
            found = [
                grid_ratios(picture, photo, period)
                for picture, photo in zip(pictures, photos, strict=True)
            ]
            ratios = np.concatenate(found)
            median = round(float(np.median(ratios)), 2) if len(ratios) else None
            result[f"{period} px"] = median
        print(json.dumps({"model": model, "windows": len(ratios), **result}))


if __name__ == "__main__":
    run_script(main)
