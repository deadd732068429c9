"""The style encoder: a model file that turns a picture into a code."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge_style.catalog import encoder_files
from edge_style.contract import CHANNELS, INPUT_NAME, STYLE_INPUT_NAME, ModelSpec
from edge_style.errors import ModelError, ModelNotFoundError
from edge_style.images import Rgb, ensure_min_side, resize_long_side, resize_short_side
from edge_style.providers import provider_named
from edge_style.session import Session
from edge_style.stylizer import Stylizer

Code: TypeAlias = npt.NDArray[np.float32]

# As in training: the size of strokes is part of a style.
_SHORT_SIDE_PX = 256
# A scroll is looked at whole, but smaller: no longer than this many of those short sides.
_LONGEST = 2.5
# No encoder has a reason to want more, and a damaged file should not fill the memory.
_LARGEST_PX = 2048


class StyleEncoder:
    """Gives the codes that a transformer takes. `StyleEncoder.beside` is the usual way.

    Attributes:
        path: the file.
        length: numbers in a code.
    """

    def __init__(self, path: Path, provider: str) -> None:
        """Load a file.

        Raises:
            ModelError: it is no style encoder.
            ProviderError: it does not run on that provider.
        """
        self.path = path
        self._session = Session(path, provider_named(provider))
        try:
            spec = ModelSpec.from_metadata(self._session.metadata)
        except ValueError as error:
            raise ModelError(f"'{path}' cannot be used: {error}") from error
        if spec is None or spec.role != "encoder" or not spec.code_length:
            raise ModelError(f"'{path}' is no style encoder")
        if spec.picture_px not in range(_LARGEST_PX + 1):
            raise ModelError(
                f"'{path}' wants pictures of {spec.picture_px} pixels, "
                f"expected {_LARGEST_PX} at most"
            )
        takes = [(value.name, value.dtype, len(value.shape)) for value in self._session.inputs]
        gives = [value.name for value in self._session.outputs]
        if takes != [(INPUT_NAME, "uint8", 4)] or gives != [STYLE_INPUT_NAME]:
            raise ModelError(
                f"'{path}' violates the model contract: expected {INPUT_NAME} uint8 "
                f"[1, H, W, {CHANNELS}] and {STYLE_INPUT_NAME} float32 [S]"
            )
        self.spec = spec
        self.length = spec.code_length
        self._short_side_px = spec.picture_px or _SHORT_SIDE_PX

    @classmethod
    def beside(cls, transformer: Stylizer) -> "StyleEncoder":
        """The encoder that belongs to a transformer, from the same folder.

        Raises:
            ModelNotFoundError: there is none.
            ModelError: it belongs to another transformer.
            ProviderError: it does not run where the transformer does.
        """
        files = encoder_files(transformer.path)
        path = next((file for file in files if file.is_file()), None)
        if path is None:
            raise ModelNotFoundError(
                f"'{transformer.path.name}' needs its style encoder, and there is no "
                f"'{files[0].name}' beside it in {transformer.path.parent}"
            )
        encoder = cls(path, transformer.provider)
        wanted = transformer.spec
        same = encoder.spec.checkpoint_sha256 == wanted.checkpoint_sha256
        if encoder.length != wanted.code_length or not same:
            raise ModelError(
                f"'{path.name}' and '{transformer.path.name}' are of two trainings: "
                "export both again"
            )
        return encoder

    def __call__(self, picture: Rgb) -> Code:
        """The code of a picture, uint8 [H, W, 3], RGB: float32 [S].

        Raises:
            ImageError: the picture is too small.
            ModelError, ProviderError: the encoder fails on it.
        """
        ensure_min_side(picture, "the picture of a style")
        seen = resize_short_side(picture, self._short_side_px)
        longest_px = round(_LONGEST * self._short_side_px)
        if max(seen.shape[:2]) > longest_px:
            seen = resize_long_side(seen, longest_px)
        seen = np.ascontiguousarray(seen)
        code = self._session.run({INPUT_NAME: seen[None]}, STYLE_INPUT_NAME)
        if code.shape != (self.length,) or not np.isfinite(code).all():
            raise ModelError(
                f"'{self.path.name}' gave {list(code.shape)}, expected {self.length} numbers"
            )
        return np.asarray(code, np.float32)
