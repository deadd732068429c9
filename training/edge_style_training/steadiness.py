"""What keeps live video steady: a photo that moved a little should be painted as it was before."""

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

# Up to twice the stride of the lean network's stem, so that no multiple of it is favoured.
MAX_SHIFT_PX = 8
# How far in an edge is an edge, in cells of the grid.
_EDGE_CELLS = 2


def two_views(
    photos: Tensor, noise_levels: float, seed: int
) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Two windows of `photos`, a few pixels apart, the second with a camera's noise.

    What is the edge of one window lies inside the other, at two sides each: a network that paints
    otherwise at the edge of a frame is seen to do so.

    Args:
        photos: [N, 3, H + 8, W + 8], 0..255.
        noise_levels: mean over many seeds of the noise's standard deviation, in 8-bit levels.
        seed: of shift and noise.

    Returns:
        The first and the second view [N, 3, H, W], and by how much (down, right) the second lies
        further in the photos, in pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    down, right = torch.randint(0, MAX_SHIFT_PX + 1, (2,), generator=generator).tolist()
    strength = torch.rand((), generator=generator).item()
    height, width = (side - MAX_SHIFT_PX for side in photos.shape[2:])
    still = photos[:, :, :height, :width]
    moved = photos[:, :, down : down + height, right : right + width]
    # Drawn where it is needed: a GPU would wait for a processor's.
    own = torch.Generator(photos.device).manual_seed(seed)
    noise = torch.randn(moved.shape, generator=own, device=photos.device)
    moved = (moved + 2 * strength * noise_levels * noise).clamp(0, 255)
    return still, moved, (down, right)


def difference(stylized: Tensor, stylized_moved: Tensor, shift: tuple[int, int]) -> Tensor:
    """The first stylized view less the second, where both show the same.

    Args:
        stylized, stylized_moved: [N, 3, H, W], in levels.
        shift: (down, right) in pixels, of `two_views`.

    Returns:
        [N, 3, H - down, W - right].
    """
    down, right = shift
    height, width = stylized.shape[2:]
    return stylized[:, :, down:, right:] - stylized_moved[:, :, : height - down, : width - right]


def steadiness_losses(
    stylized: Tensor, stylized_moved: Tensor, shift: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """What two views of `two_views` should have in common and have not, levels squared.

    Args:
        stylized, stylized_moved: [N, 3, H, W], in levels.
        shift: (down, right) in pixels.

    Returns:
        Mean square of their difference, and of the part of it that is a grid; see `grid_loss`.
    """
    apart = difference(stylized, stylized_moved, shift)
    return apart.square().mean(), grid_loss(apart)


def grid_loss(apart: Tensor, cell_px: int = 8, window_cells: int = 8) -> Tensor:
    """What a network draws at fixed places of its cells, whatever the picture shows there.

    A network that paints strokes in flat areas may hang them on its own grid. When the photo moves,
    its strokes move and the grid stays: in the difference of the two pictures, the mean of many
    cells, pixel by pixel, leaves the grid alone. Where the consistency loss sees a faint grid as
    next to nothing, this loss sees nothing else.

    Args:
        apart: [N, 3, H, W] levels, of a stylized picture and the stylized shifted photo, moved
            back by a shift that is no multiple of `cell_px`.
        cell_px: period of the grid: the largest stride of the network.
        window_cells: cells at each side of the windows over which means are taken.

    Returns:
        Mean square of those means, of windows and of edges, levels squared.
    """
    height, width = (side // cell_px * cell_px for side in apart.shape[2:])
    cells = F.pixel_unshuffle(apart[:, :, :height, :width], cell_px)
    window = min(window_cells, *cells.shape[2:])
    inside = F.avg_pool2d(cells, window, stride=max(1, window // 2)).square().mean()
    edges = [
        _along_edge(towards, cell_px)
        for across in (apart, apart.transpose(2, 3))
        for towards in (across, across.flip(2))
    ]
    return inside + torch.stack(edges).mean()


def _along_edge(apart: Tensor, cell_px: int) -> Tensor:
    """Mean square of the mean of all cells along the first rows of `apart`."""
    width = apart.shape[3] // cell_px * cell_px
    strip = apart[:, :, : _EDGE_CELLS * cell_px, :width]
    cells = strip.reshape(*strip.shape[:3], width // cell_px, cell_px)
    return cells.mean(dim=3).square().mean()
