"""`Stylizer.load("starry")`: a model file becomes a function from frames to frames."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_style.contract import ModelSpec, Precision

Frame = npt.NDArray[np.uint8]
Size = tuple[int, int]


class Stylizer:
    """A style-transfer network, ready to run. Frames are uint8 [H, W, 3], RGB, 0..255.

    `stylizer(frame)` does it all; a pipeline that times its stages calls the three steps itself:
    `stylizer.finish(stylizer.infer(stylizer.prepare(frame)), frame)`.
    """

    name: str
    path: Path
    provider: str
    spec: ModelSpec
    precision: Precision
    size: Size | None

    @classmethod
    def load(
        cls, model: str | Path, *, provider: str = "auto", size: Size | None = None
    ) -> "Stylizer":
        """Find a model by name or path and make it ready to run."""
        raise NotImplementedError

    def __call__(self, frame: Frame, style: npt.NDArray[np.float32] | None = None) -> Frame:
        """Stylize one frame."""
        raise NotImplementedError

    def warm_up(self, height_px: int, width_px: int) -> None:
        """Run once at a size, so that the first frame is as quick as the others."""
        raise NotImplementedError
