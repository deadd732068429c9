"""What keeps live video steady: a photo that moved a little should be painted as it was before."""

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere in the field
from torch import Tensor

# Up to twice the stride of the lean network's stem, so that no multiple of it is favoured.
_MAX_SHIFT_PX = 8
# What the shift tears at the border is left out of the comparison.
_MARGIN_PX = 16


def disturbed(photos: Tensor, noise_levels: float, seed: int) -> tuple[Tensor, tuple[int, int]]:
    """`photos` [N, 3, H, W], 0..255, shifted by a few pixels and with a camera's noise.

    Args:
        photos: the photos.
        noise_levels: mean over many seeds of the noise's standard deviation, in 8-bit levels.
        seed: of shift and noise.

    Returns:
        The disturbed photos, and their shift (down, right) in pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    down, right = torch.randint(0, _MAX_SHIFT_PX + 1, (2,), generator=generator).tolist()
    strength = torch.rand((), generator=generator).item()
    noise = torch.randn(photos.shape, generator=generator).to(photos.device)
    moved = torch.roll(photos, [down, right], dims=(2, 3))
    moved = moved + 2 * strength * noise_levels * noise
    return moved.clamp(0, 255), (down, right)


def difference(stylized: Tensor, stylized_moved: Tensor, shift: tuple[int, int]) -> Tensor:
    """The stylized photos less the stylized disturbed ones moved back, without the border.

    Args:
        stylized, stylized_moved: [N, 3, H, W], in levels.
        shift: (down, right) in pixels, of `disturbed`.
    """
    back = torch.roll(stylized_moved, [-shift[0], -shift[1]], dims=(2, 3))
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return stylized[..., inner, inner] - back[..., inner, inner]


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
        Mean square of those means, levels squared.
    """
    height, width = (side // cell_px * cell_px for side in apart.shape[2:])
    cells = F.pixel_unshuffle(apart[:, :, :height, :width], cell_px)
    window = min(window_cells, *cells.shape[2:])
    return F.avg_pool2d(cells, window, stride=max(1, window // 2)).square().mean()
