"""A contact sheet: what models make of photos, one model a row, one photo a column.

    python tools/sheet.py exported/*.int8.onnx --photo a.jpg --photo b.jpg --output sheet.jpg

Models are shipped names, files, checkpoints of any kind that `export` takes, or folders of
deeplearn.js. `--with-photos` puts the photos themselves in the first row.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edge_style.errors import EdgeStyleError
from edge_style.images import Rgb, parse_size, read_image, resize_to_cover, write_image
from edge_style_tools.subjects import Subject, open_subject, photo_itself
from edge_style_training.contact_sheet import contact_sheet


def main() -> int:
    """Read the command line, stylize, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--photo", action="append", type=Path, required=True, help="repeatable")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", default="640x480", help="of the frames: photos are cut to it")
    parser.add_argument("--cell", type=int, default=400, help="longer side of a picture, pixels")
    parser.add_argument("--with-photos", action="store_true", help="as the first row")
    parser.add_argument("--across", action="store_true", help="models across, photos down")
    options = parser.parse_args()
    try:
        size_px = parse_size(options.size)
        photos = [resize_to_cover(read_image(path), *size_px) for path in options.photo]
        device = torch.device("cpu")
        subjects = [open_subject(model, options.photo, device) for model in options.models]
        if options.with_photos:
            subjects.insert(0, photo_itself())
        rows = [[picture(subject.stylize, photo) for photo in photos] for subject in subjects]
        labels = [_label(subject) for subject in subjects]
        names = [path.stem for path in options.photo]
        if options.across:
            rows, names, labels = (
                list(map(list, zip(*rows, strict=True))),
                labels,
                [""] * len(names),
            )
        write_image(options.output, contact_sheet(rows, names, labels, cell_px=options.cell))
    except EdgeStyleError as error:
        parser.error(str(error))
    return 0


def picture(stylize: Callable[[Rgb], Tensor], photo: Rgb) -> Rgb:
    """A subject's picture of `photo` [H, W, 3]."""
    levels = stylize(photo)[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(np.rint(levels).astype(np.uint8))


def _label(subject: Subject) -> str:
    folder = subject.path is not None and subject.path.is_dir()
    return f"{subject.name} (folder)" if folder else subject.name.removesuffix(".onnx")


if __name__ == "__main__":
    sys.exit(main())
