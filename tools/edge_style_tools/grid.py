"""Does a network's grid show? The power of what repeats with its cells, against strokes beside it.

A network whose coarsest stage has cells of 8 pixels may hang its strokes on them. In the spectrum
of a stylized picture that is a line at 8 pixels across or down; strokes of about that size spread
over the neighbouring wavelengths as well.
"""

import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb

_WINDOW_PX = 64
_STEP_PX = 32
_LUMA = np.array([0.299, 0.587, 0.114])
# So far to either side, in lines of the window's spectrum, is compared.
_BESIDE = 3
# Windows of a photo darker than this on average, in levels, are dark areas.
DARK_LEVELS = 60.0


def grid_ratios(stylized: Rgb, photo: Rgb, period_px: int = 8) -> npt.NDArray[np.float64]:
    """Power at a wavelength of `period_px` over that beside it, in each dark window of the photo.

    1 is no grid: as much as at the wavelengths around it. Windows of 64 pixels, half overlapping.

    Args:
        stylized: uint8 [H, W, 3].
        photo: of the same shape, in which darkness is judged.
        period_px: 8 for the cells of the coarse stage, 4 for those of the head.

    Returns:
        Ratios, one for each dark window; none if the photo has no dark area.
    """
    luma, darkness = stylized @ _LUMA, photo @ _LUMA
    hann = np.outer(np.hanning(_WINDOW_PX), np.hanning(_WINDOW_PX))
    line = _WINDOW_PX // period_px
    height, width = luma.shape
    ratios = []
    for top in range(0, height - _WINDOW_PX + 1, _STEP_PX):
        for left in range(0, width - _WINDOW_PX + 1, _STEP_PX):
            window = np.s_[top : top + _WINDOW_PX, left : left + _WINDOW_PX]
            if darkness[window].mean() >= DARK_LEVELS:
                continue
            patch = (luma[window] - luma[window].mean()) * hann
            power = np.abs(np.fft.fft2(patch)) ** 2
            axes = power[0] + power[:, 0]
            beside = (axes[line - _BESIDE] + axes[line + _BESIDE]) / 2
            # Half a level of noise: a flat window has no grid, however its rounding repeats.
            floor = 0.25 * float((hann**2).sum())
            ratios.append(float((axes[line] + floor) / (beside + floor)))
    return np.array(ratios)
