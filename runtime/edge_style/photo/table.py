"""A look as a table of colours: 33 x 33 x 33 nodes, quick enough for every frame of a camera.

The table is fitted to a photo and what became of it, and may be read and written as a .cube file,
which video editors and OBS take too. For frames it is unrolled to 7 bits a channel, four bytes an
entry: a pixel is then one look-up, and 8 megabytes stay in the processor's cache.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.errors import ImageError, ImageNotFoundError, UsageError
from edge_style.images import Rgb, ensure_folder

Nodes = npt.NDArray[np.float32]

NODES = 33
CUBE_SUFFIX = ".cube"
_STEP = 255 / (NODES - 1)
_BITS = 7
_ENTRIES = 1 << _BITS
_SPREAD_NODES = 1.5  # how far a pixel speaks for colours near its own
_DOUBT = 2.0  # so many pixels' weight has the plain affine map at a colour that was hardly seen
_MAX_CUBE_NODES = 129
_DITHER_SIDE_PX = 64


def identity_nodes() -> Nodes:
    """The table that changes nothing: float32 [R, G, B, 3], 0..255."""
    axis = np.linspace(0, 255, NODES, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def fit_nodes(before: Rgb, after: npt.NDArray[np.generic]) -> Nodes:
    """The table that best takes `before` to `after`.

    An affine map is fitted first; what it leaves over is averaged in the cells of the table and
    spread to their neighbours, so that colours nobody saw follow the affine map.

    Args:
        before: uint8 [..., 3].
        after: the same shape, 0..255.
    """
    x = before.reshape(-1, 3).astype(np.float64)
    y = after.reshape(-1, 3).astype(np.float64)
    affine = _ridge_affine(x, y)
    left = y - (x @ affine[:3] + affine[3])
    cells = np.rint(x / _STEP).astype(np.intp)
    flat = (cells[:, 0] * NODES + cells[:, 1]) * NODES + cells[:, 2]
    sums = np.empty((NODES, NODES, NODES, 4))
    for channel in range(3):
        sums[..., channel] = np.bincount(flat, left[:, channel], NODES**3).reshape((NODES,) * 3)
    sums[..., 3] = np.bincount(flat, minlength=NODES**3).reshape((NODES,) * 3)
    sums = _blurred(sums * (1000 * NODES / max(1, len(x))))
    nodes = identity_nodes().astype(np.float64) @ affine[:3] + affine[3]
    nodes += sums[..., :3] / (sums[..., 3:] + _DOUBT)
    return np.asarray(np.clip(nodes, 0, 255), np.float32)


def _ridge_affine(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """[4, 3]: the affine map of least squares, drawn to a shift where x hardly varies."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    centred = x - mean_x
    spread = centred.T @ centred / len(x) + 25 * np.eye(3)
    factors = np.linalg.solve(spread, centred.T @ (y - mean_y) / len(x) + 25 * np.eye(3))
    return np.vstack([factors, mean_y - mean_x @ factors])


def _blurred(grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Gaussian blur of [N, N, N, C] along its first three axes."""
    at = np.arange(NODES)
    kernel = np.exp(-0.5 * ((at[:, np.newaxis] - at) / _SPREAD_NODES) ** 2)
    for axis in range(3):
        grid = np.moveaxis(np.tensordot(kernel, grid, axes=(1, axis)), 0, axis)
    return grid


@dataclass(frozen=True)
class ColourTable:
    """Nodes unrolled for frames.

    Attributes:
        nodes: float32 [R, G, B, 3], 0..255.
        entries: uint32 [2^21]: red, green and blue of each colour of 7 bits a channel, packed.
    """

    nodes: Nodes
    entries: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, nodes: Nodes) -> "ColourTable":
        """Unroll nodes."""
        # An entry stands for two neighbouring values, so it is taken half-way between them.
        at = (np.arange(_ENTRIES) * 2 + 0.5) / _STEP * (len(nodes) - 1) / (NODES - 1)
        below = np.minimum(at.astype(np.intp), len(nodes) - 2)
        weights = np.zeros((_ENTRIES, len(nodes)), np.float32)
        weights[np.arange(_ENTRIES), below] = 1 - (at - below)
        weights[np.arange(_ENTRIES), below + 1] = at - below
        full = nodes
        for axis in range(3):
            full = np.moveaxis(np.tensordot(weights, full, axes=(1, axis)), 0, axis)
        packed = np.full((_ENTRIES**3, 4), 255, np.uint8)
        # Index bits from high to low are blue, green, red, as a little-endian pixel has them.
        ordered = full.transpose(2, 1, 0, 3).reshape(-1, 3)
        packed[:, :3] = np.clip(np.rint(ordered), 0, 255)
        return cls(nodes, packed.view("<u4").ravel())

    def apply(self, frame: Rgb) -> Rgb:
        """The frame in other colours: a fresh uint8 [H, W, 3]."""
        packed = cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).view("<u4")[..., 0]
        index = (packed >> 1) & 0x7F
        index |= (packed >> 2) & (0x7F << 7)
        index |= (packed >> 3) & (0x7F << 14)
        found = self.entries.take(index, mode="wrap")
        shown = cv2.cvtColor(found.view(np.uint8).reshape(*found.shape, 4), cv2.COLOR_RGBA2RGB)
        return np.asarray(shown, np.uint8)


def ensure_cube_writable(path: Path) -> None:
    """Check, before the work is done, that `write_cube` can write to `path`.

    Raises:
        UsageError: the name is no table's.
        ImageError: there is no such folder, or it cannot be written to.
    """
    if path.suffix.lower() != CUBE_SUFFIX:
        raise UsageError(f"--table writes a name that ends in {CUBE_SUFFIX}, not '{path}'")
    if path.is_dir():
        raise ImageError(f"'{path}' is a folder, expected the name of a table to write")
    ensure_folder(path.absolute().parent)
    partial = _partial(path)
    try:
        partial.touch()  # permissions alone do not tell: disks may be read-only, names too long
        partial.unlink()
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {error.strerror or error}") from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def write_cube(path: Path, nodes: Nodes, title: str) -> None:
    """Write nodes as a .cube file (Adobe's "Cube LUT Specification" 1.0).

    Raises:
        ImageError: the file cannot be written.
    """
    lines = [f'TITLE "{title}"', f"LUT_3D_SIZE {len(nodes)}"]
    # Red changes fastest.
    for red, green, blue in nodes.transpose(2, 1, 0, 3).reshape(-1, 3) / 255:
        lines.append(f"{red:.6f} {green:.6f} {blue:.6f}")
    partial = _partial(path)
    try:
        partial.write_text("\n".join(lines) + "\n", "ascii", errors="replace")
        partial.replace(path)
    except OSError as error:
        raise ImageError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def read_cube(path: Path) -> Nodes:
    """Read a .cube file with a table of three dimensions over 0..1.

    Raises:
        ImageNotFoundError: there is no such file.
        ImageError: it is no such table.
    """
    if not path.is_file():
        raise ImageNotFoundError(f"there is no colour table '{path}'")
    size, rows = 0, []
    try:
        for line in path.read_text("utf-8", errors="strict").splitlines():
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if words[0] == "LUT_3D_SIZE":
                size = int(words[1])
                if not 2 <= size <= _MAX_CUBE_NODES:
                    raise ValueError("size")
            elif words[0][0] in "-.0123456789":
                rows.append([float(word) for word in words])
                if len(rows) > size**3:
                    raise ValueError("too many rows")
        values = np.array(rows, np.float32).reshape(size, size, size, 3)
    except (OSError, ValueError, IndexError) as error:
        raise ImageError(
            f"'{path}' is no colour table: expected a .cube file with LUT_3D_SIZE and as many rows"
        ) from error
    if not np.isfinite(values).all() or size < 2:
        raise ImageError(f"'{path}' is no colour table: it holds no numbers")
    return np.ascontiguousarray(np.clip(values, 0, 1).transpose(2, 1, 0, 3) * 255)
