"""Pictures as a source: one file, a folder or a glob."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from edge_style.errors import SourceError
from edge_style.images import read_image
from edge_style.sources.base import Frame, Source


class PicturesSource(Source):
    """Pictures in the order of their names (`2.png` before `10.png`), each shown for a second."""

    fps = 1.0

    def __init__(self, paths: list[Path], name: str) -> None:
        if not paths:
            raise SourceError(f"no pictures in '{name}'")
        self.pictures = tuple(sorted(paths, key=_natural_order))
        self.frame_count = len(paths)
        count = "1 picture" if len(paths) == 1 else f"{len(paths)} pictures"
        self.description = f"{name}, {count}"

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.pictures):
            start_s = time.perf_counter()
            image = read_image(path)
            capture_ms = (time.perf_counter() - start_s) * 1000
            yield Frame(image, index / self.fps, start_s, capture_ms)


def _natural_order(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", str(path).lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
