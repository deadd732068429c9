"""What a photorealistic transfer is worth: structure kept, style reached, and plain yardsticks.

Structure is measured as Yoo et al. 2019 do, by the structural similarity (Wang et al. 2004) of edge
maps; theirs come from a network, ours from Sobel's operator. Style is this project's own: Gram
matrices of VGG16 against the reference's.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge_style.images import Rgb
from edge_style.photo.transport import quantiles

Plane = npt.NDArray[np.float64]

# Constants of the structural similarity for values of 0..1, and its window.
_C1, _C2 = 0.01**2, 0.03**2
_SIGMA_PX = 1.5
_STRONG_EDGE = 99.0  # percentile that counts as 1: so that a darker picture is not another one

# Ruderman et al. 1998: RGB to the responses of the eye's cones, and their logarithms to l, alpha,
# beta.
_LMS = np.array([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
_LAB = np.diag([3**-0.5, 6**-0.5, 2**-0.5]) @ np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]])


def edge_similarity(photo: Rgb, picture: Rgb) -> float:
    """Mean structural similarity of the edges of two pictures of one size, 1 for equal ones."""
    a, b = _edges(photo), _edges(picture)
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a = _blurred(a * a) - mean_a**2
    variance_b = _blurred(b * b) - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    similarity /= (mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2)
    return float(similarity.mean())


def _edges(picture: Rgb) -> Plane:
    light = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    strength = np.hypot(cv2.Sobel(light, -1, 1, 0), cv2.Sobel(light, -1, 0, 1))
    strong = max(float(np.percentile(strength, _STRONG_EDGE)), 1.0)
    return np.asarray(np.clip(strength / strong, 0, 1), np.float64)


def _blurred(values: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(values, (11, 11), _SIGMA_PX), np.float64)


def match_mean_and_deviation(photo: Rgb, reference: Rgb) -> Rgb:
    """Reinhard et al. 2001, "Color Transfer between Images": each channel of l-alpha-beta."""
    own, wanted = _to_lab(photo), _to_lab(reference)
    scaled = (own - own.mean(axis=0)) * wanted.std(axis=0) / np.maximum(own.std(axis=0), 1e-6)
    return _to_rgb(scaled + wanted.mean(axis=0), photo.shape)


def match_histogram(photo: Rgb, reference: Rgb, iterations: int = 20) -> Rgb:
    """Pitié et al. 2005: the reference's three-dimensional histogram, by rotated marginals."""
    points = photo.reshape(-1, 3).astype(np.float64)
    goal = reference.reshape(-1, 3).astype(np.float64)
    generator = np.random.default_rng(0)
    for _ in range(iterations):
        axes, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        along, wanted = points @ axes, goal @ axes
        for axis in range(3):
            order = np.argsort(along[:, axis])
            along[order, axis] = quantiles(wanted[:, axis], len(order))
        points = along @ axes.T
    return np.clip(np.rint(points), 0, 255).astype(np.uint8).reshape(photo.shape)


def _to_lab(picture: Rgb) -> Plane:
    cones = (picture.reshape(-1, 3) + 1.0) / 256 @ _LMS.T
    lab: Plane = np.log10(cones) @ _LAB.T
    return lab


def _to_rgb(lab: Plane, shape: tuple[int, ...]) -> Rgb:
    colours = 10 ** (lab @ np.linalg.inv(_LAB).T) @ np.linalg.inv(_LMS).T
    return np.asarray(np.clip(np.rint(colours * 256 - 1), 0, 255), np.uint8).reshape(shape)
