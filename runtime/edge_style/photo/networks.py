"""Encoder and decoder as ONNX files, level by level, since statistics are changed between levels.

The encoder has VGG16's weights, which are not ours to ship, so the files are built on the user's
machine (`edge_style_tools.photo_networks`) and kept in the user's data folder. Running them takes
onnxruntime alone. Features are float32 [C, H, W].
"""

from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
import platformdirs

from edge_style.errors import ModelNotFoundError
from edge_style.images import Rgb
from edge_style.providers import candidates
from edge_style.session import Session

Features: TypeAlias = npt.NDArray[np.float32]

LEVELS = 4
# Of the files: another decoder or another graph gets another folder, so that no old ones are run.
FILES_VERSION = 1
STRIDE_PX = 8
# What convolutions see beyond the border is zero; mirrored pixels around the picture take the harm.
_MARGIN_PX = 16

IMAGE, FEATURES, DETAILS, RESULT = "image", "features", "details", "result"


def default_folder() -> Path:
    """Where the user's networks are kept; it need not exist."""
    return (
        Path(platformdirs.user_data_dir("edge-style", appauthor=False)) / f"photo-{FILES_VERSION}"
    )


def encoder_name(level: int) -> str:
    """File of the encoder's level 1 to 4: from the level before (or the image) to its features."""
    return f"encode{level}.onnx"


def decoder_name(level: int) -> str:
    """File of the decoder from level 4 to 1: to the features of the level before, or the image."""
    return f"decode{level}.onnx"


def file_names() -> tuple[str, ...]:
    """All files of a complete folder."""
    levels = range(1, LEVELS + 1)
    return tuple(map(encoder_name, levels)) + tuple(map(decoder_name, levels))


def is_complete(folder: Path) -> bool:
    """Whether all files are there."""
    return all((folder / name).is_file() for name in file_names())


class PhotoNetworks:
    """Encoder and decoder, ready to run on one provider.

    Attributes:
        provider: its name.
    """

    def __init__(self, folder: Path, provider: str = "cpu") -> None:
        """Check that everything is there.

        Args:
            folder: with the files.
            provider: an execution provider's name.

        Raises:
            ModelNotFoundError: files are missing.
            UsageError: no such provider.
        """
        if not is_complete(folder):
            raise ModelNotFoundError(
                f"'{folder}' does not hold the networks of the photorealistic transfer: "
                "`edge-style photo` builds them"
            )
        self._folder = folder
        self._entry = candidates(provider)[0]
        self.provider = self._entry.name

    def encode(self, level: int, features: Features) -> Features:
        """Features of `level` from those of the level before; of level 1 from a padded image.

        Raises:
            ModelError, ProviderError: the network cannot be run.
        """
        return self._run(encoder_name(level), {IMAGE if level == 1 else FEATURES: features})

    def decode(self, level: int, features: Features, details: Features | None) -> Features:
        """From features of `level` to those of the level before, or the padded image.

        Args:
            level: 4 to 1.
            features: of that level.
            details: the photo's own features of the level before; None at level 1.

        Raises:
            ModelError, ProviderError: the network cannot be run.
        """
        feeds = {FEATURES: features}
        if details is not None:
            feeds[DETAILS] = details
        return self._run(decoder_name(level), feeds)

    def _run(self, name: str, feeds: dict[str, Features]) -> Features:
        # Opened anew each time: large pictures want the memory that a session holds.
        session = Session(self._folder / name, self._entry)
        batches = {key: value[np.newaxis] for key, value in feeds.items()}
        return np.asarray(session.run(batches, RESULT)[0], np.float32)


def padded(picture: Rgb) -> Features:
    """A picture as the encoder takes it: float32 [3, H, W], 0..255, mirrored beyond its border."""
    height, width = picture.shape[:2]
    bottom, right = (-side % STRIDE_PX + _MARGIN_PX for side in (height, width))
    wide = cv2.copyMakeBorder(
        picture, _MARGIN_PX, bottom, _MARGIN_PX, right, cv2.BORDER_REFLECT_101
    )
    return np.ascontiguousarray(wide.transpose(2, 0, 1), np.float32)


def unpadded(picture: Features, height_px: int, width_px: int) -> npt.NDArray[np.float32]:
    """The middle of what the decoder gave: float32 [H, W, 3], clipped to 0..255."""
    inside = picture[:, _MARGIN_PX : _MARGIN_PX + height_px, _MARGIN_PX : _MARGIN_PX + width_px]
    return np.ascontiguousarray(np.clip(inside, 0, 255).transpose(1, 2, 0))


def padded_labels(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Labels [H, W] around the border as `padded` mirrors the picture."""
    height, width = labels.shape
    bottom, right = (-side % STRIDE_PX + _MARGIN_PX for side in (height, width))
    wide = cv2.copyMakeBorder(labels, _MARGIN_PX, bottom, _MARGIN_PX, right, cv2.BORDER_REFLECT_101)
    return np.asarray(wide, np.int32)
