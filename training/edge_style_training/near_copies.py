"""Which pictures of a pool are copies, crops or near-copies of others: by measurement.

Keypoints (SIFT, Lowe 2004) of two pictures are matched, and a similarity transform is fitted to the
matches: of two copies hundreds agree on where everything went, of two others a few by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_style.images import Rgb, read_image, resize_long_side

# Of 45 pictures every pair that shows the same agreed in 265 to 1405 places, and no other pair in
# more than 84.
COPY_MATCHES = 150

_SIDE_PX = 640
_KEYPOINTS = 1500
# A match counts if the next best is this much further away (Lowe's test).
_DISTINCT = 0.75
_PLACE_PX = 4.0
_FEWEST = 4


@dataclass(frozen=True)
class _Keypoints:
    places: Any
    descriptors: Any


def near_copies(pictures: Sequence[Path], of: Sequence[Path]) -> dict[Path, Path]:
    """Those of `pictures` that show what one of `of` shows -> that one.

    Raises:
        ImageError: one of them cannot be read.
    """
    finder = cv2.SIFT_create(_KEYPOINTS)  # type: ignore[attr-defined] # OpenCV's stubs lack it
    originals = {path: _keypoints(read_image(path), finder) for path in of}
    found = {}
    for path in pictures:
        keypoints = _keypoints(read_image(path), finder)
        matches = {original: _agreeing(keypoints, known) for original, known in originals.items()}
        best = max(matches, key=matches.__getitem__, default=None)
        if best is not None and matches[best] >= COPY_MATCHES:
            found[path] = best
    return found


def _keypoints(picture: Rgb, finder: Any) -> _Keypoints:
    grey = cv2.cvtColor(resize_long_side(picture, _SIDE_PX), cv2.COLOR_RGB2GRAY)
    keypoints, descriptors = finder.detectAndCompute(grey, None)
    places = np.array([point.pt for point in keypoints], np.float32)
    return _Keypoints(places, descriptors)


def _agreeing(one: _Keypoints, other: _Keypoints) -> int:
    """Matches that agree on one shift, scale and turn."""
    if min(len(one.places), len(other.places)) < _FEWEST:
        return 0
    pairs = cv2.BFMatcher().knnMatch(one.descriptors, other.descriptors, k=2)
    matches = [best for best, next_ in pairs if best.distance < _DISTINCT * next_.distance]
    if len(matches) < _FEWEST:
        return 0
    here = one.places[[match.queryIdx for match in matches]]
    there = other.places[[match.trainIdx for match in matches]]
    cv2.setRNGSeed(0)  # RANSAC draws at random
    _, agrees = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=_PLACE_PX)
    return 0 if agrees is None else int(agrees.sum())
