"""The exact smoothing: a picture is made to change only where the photo does.

With the affinities W of the matting Laplacian (Levin, Lischinski and Weiss 2008, "A Closed-Form
Solution to Natural Image Matting", equation 12) and their sums D, the picture R closest to Y is
that of least energy (Li et al. 2018, equation 5)

    1/2 sum w_ij |r_i - r_j|^2 + lambda sum d_i |r_i - y_i|^2,

and the equation for it is the sparse linear system (D - alpha W) R = (1 - alpha) D Y with
alpha = 1 / (1 + lambda). The paper divides r_i by the root of d_i, which is the same number, 9,
everywhere but along the border, where it would darken the picture; weighted as here, a picture of
one colour stays what it is. The matrix is symmetric and positive definite, and has 25 diagonals,
so that conjugate gradients solve it without ever factorizing it: memory grows with the pixels.

SciPy is imported when it is needed: it is an extra.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.errors import MissingExtraError, UsageError
from edge_style.images import Rgb

if TYPE_CHECKING:
    from scipy.sparse import dia_array

Plane = npt.NDArray[np.float64]

# Of the paper: how much staying close to Y counts.
LAMBDA = 1e-4
# Variance added to the windows' covariances, on the scale 0..1: what counts as flat. The paper's
# 1e-7 is below the steps of 8-bit colours, 1.5e-5 squared apart, and draws them into smooth skies.
EPSILON = 1e-5
_WINDOW_PX = 9
# Residual, relative to the right side of a picture that is grey all over, at which a picture is
# exact to a fiftieth of a level.
_TOLERANCE = 1e-4
_MIDDLE_LEVEL = 128.0
_MAX_ITERATIONS = 5000


def smooth_exact(
    photo: Rgb,
    picture: npt.NDArray[np.generic],
    *,
    fidelity: float = LAMBDA,
    epsilon: float = EPSILON,
    report: Callable[[float], None] | None = None,
) -> npt.NDArray[np.float32]:
    """`picture`, changed as little as needed to change where `photo` changes.

    Args:
        photo: uint8 [H, W, 3], at least 3 pixels a side.
        picture: the same shape, in levels, uint8 or float; differences may be negative.
        fidelity: lambda, above 0.
        epsilon: see `affinities`.
        report: takes the share that is done, 0..1, now and then.

    Returns:
        float32 [H, W, 3].

    Raises:
        MissingExtraError: SciPy is not installed.
        UsageError: the sizes differ or are too small, or the system could not be solved.
    """
    if photo.shape != picture.shape or min(photo.shape[:2]) < 3:
        raise UsageError(
            f"smoothing takes a picture of the photo's size, 3 pixels a side or more: "
            f"{list(picture.shape)} for {list(photo.shape)}"
        )
    linalg, system, weights = _system(photo, 1 / (1 + fidelity), epsilon)
    right = (fidelity / (1 + fidelity)) * weights
    diagonal = system.diagonal()
    scaling = linalg.LinearOperator(system.shape, matvec=lambda x: x / diagonal)
    tolerance = _TOLERANCE * float(np.linalg.norm(right)) * _MIDDLE_LEVEL
    smoothed = np.empty(picture.shape, np.float32)
    for channel in range(3):
        wanted = picture[..., channel].astype(np.float64).ravel()
        steps = _Steps(report, channel / 3, 1 / 3)
        solution, status = linalg.cg(
            system,
            right * wanted,
            x0=wanted,
            rtol=0,
            atol=tolerance,
            maxiter=_MAX_ITERATIONS,
            M=scaling,
            callback=steps,
        )
        if status != 0:
            raise UsageError(
                f"the exact smoothing did not converge in {_MAX_ITERATIONS} steps: "
                "use --smooth fast"
            )
        smoothed[..., channel] = solution.reshape(photo.shape[:2])
    return smoothed


def require_scipy() -> None:
    """Check that the exact smoothing can be done. Raises MissingExtraError."""
    _scipy()


def _scipy() -> tuple[Any, Any]:
    try:
        from scipy.sparse import dia_array, linalg  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError("--smooth exact", "scipy", "photo") from error
    return dia_array, linalg


class _Steps:
    """Turns the number of steps into a share that grows to 1, however many there will be."""

    def __init__(self, report: Callable[[float], None] | None, start: float, length: float) -> None:
        self._report = report
        self._start = start
        self._length = length
        self._count = 0

    def __call__(self, _solution: object) -> None:
        self._count += 1
        if self._report is not None and self._count % 20 == 0:
            self._report(self._start + self._length * self._count / (self._count + 200))


def _system(photo: Rgb, alpha: float, epsilon: float) -> tuple[Any, "dia_array", Plane]:
    """SciPy's solvers, D - alpha W, and D as [H * W]."""
    dia_array, linalg = _scipy()
    height, width = photo.shape[:2]
    bands = affinities(photo, epsilon)
    pixels = height * width
    degree = sum(_both_ways(band, dy, dx) for (dy, dx), band in bands.items())
    weights = np.asarray(degree).ravel()
    diagonals: dict[int, Plane] = {}
    for (dy, dx), band in bands.items():
        offset = dy * width + dx
        values = -alpha * band.ravel()
        # Where rows have 4 pixels or fewer, two ways may share an offset: no pixel has both.
        diagonals[-offset] = values + diagonals.get(-offset, 0)
    for offset in [-lower for lower in diagonals if lower < 0]:
        # SciPy keeps an upper diagonal under its column, a lower one too: entry (i, j) at [j].
        diagonals[offset] = np.zeros(pixels)
        diagonals[offset][offset:] = diagonals[-offset][: pixels - offset]
    diagonals[0] += weights
    system = dia_array((np.array([*diagonals.values()]), [*diagonals]), shape=(pixels, pixels))
    return linalg, system, weights


def _both_ways(band: Plane, dy: int, dx: int) -> Plane:
    """What a band adds to the row sums: at the pixel itself, and at its partner."""
    total: Plane = band.copy()
    if (dy, dx) != (0, 0):
        height, width = band.shape
        if dx >= 0:
            total[dy:, dx:] += band[: height - dy, : width - dx]
        else:
            total[dy:, :dx] += band[: height - dy, -dx:]
    return total


def affinities(photo: Rgb, epsilon: float = EPSILON) -> dict[tuple[int, int], Plane]:
    """The matting Laplacian's affinities, one band for each way from a pixel to another.

    For every 3x3 window with mean m and covariance C, a pair of its pixels i and j gets
    (1 + (I_i - m)^T (C + epsilon / 9)^-1 (I_j - m)) / 9.

    Args:
        photo: uint8 [H, W, 3].
        epsilon: keeps flat windows from dividing by nothing, on the scale 0..1 squared.

    Returns:
        (dy, dx) -> float64 [H, W]: the affinity of each pixel with the one that far away, zero
        where that is outside. Half of the 25 ways only, since the other half is the same.
    """
    colours: Plane = photo.astype(np.float64) / 255
    height, width = photo.shape[:2]
    mean = np.asarray(cv2.blur(colours, (3, 3)), np.float64)[1:-1, 1:-1]
    spread = _window_covariances(colours, mean)
    inverse = np.linalg.inv(spread + np.eye(3) * (epsilon / _WINDOW_PX))
    rows, columns = height - 2, width - 2
    places = [(y, x) for y in range(3) for x in range(3)]
    centred = {(y, x): colours[y : y + rows, x : x + columns] - mean for y, x in places}
    bands = {
        (dy, dx): np.zeros((height, width))
        for dy in range(3)
        for dx in range(-2, 3)
        if dy > 0 or dx >= 0
    }
    for first in places:
        mapped = np.einsum("yxij,yxj->yxi", inverse, centred[first])
        for second in places:
            way = (second[0] - first[0], second[1] - first[1])
            if way not in bands:
                continue
            product = np.einsum("yxi,yxi->yx", mapped, centred[second])
            y, x = first
            bands[way][y : y + rows, x : x + columns] += (1 + product) / _WINDOW_PX
    return bands


def _window_covariances(colours: Plane, mean: Plane) -> Plane:
    """Covariances [H-2, W-2, 3, 3] of all 3x3 windows."""
    spread = np.empty((*mean.shape, 3))
    for i in range(3):
        for j in range(i, 3):
            product = cv2.blur(colours[..., i] * colours[..., j], (3, 3))[1:-1, 1:-1]
            spread[..., i, j] = spread[..., j, i] = product - mean[..., i] * mean[..., j]
    return spread
