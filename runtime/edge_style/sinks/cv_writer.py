"""Encodes clips with OpenCV, where PyAV is not installed: no sound, frames at a constant rate."""

from pathlib import Path

import cv2

from edge_style.errors import SinkError
from edge_style.sinks.base import Image, StreamInfo

_CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_LONGEST_GAP_S = 10  # a frame is repeated for no longer, or a stall would fill the disk


def check_encoder(path: Path) -> None:
    """Try the encoder for this file's suffix.

    Raises:
        SinkError: OpenCV has none.
    """
    writer = _open(path, (64, 64), 25.0)
    is_open = writer.isOpened()
    writer.release()
    path.unlink(missing_ok=True)
    if not is_open:
        raise SinkError(
            f"OpenCV cannot encode {path.suffix} files here: pip install 'edge-style[video]'"
        )


class CvWriter:
    """Encodes frames of one size into a file. A recording repeats frames where some are missing."""

    def __init__(self, path: Path, size_px: tuple[int, int], stream: StreamInfo) -> None:
        self._path = path
        self._fps = stream.fps
        self._fills_gaps = stream.recording
        self._first_s: float | None = None
        self._written = 0
        self._writer = _open(path, size_px, stream.fps)
        if not self._writer.isOpened():
            raise OSError("OpenCV cannot start its encoder")

    def write(self, image: Image, time_s: float) -> None:
        """Encode uint8 [H, W, 3] RGB with even sides. Times count from the first frame's."""
        self._first_s = time_s if self._first_s is None else self._first_s
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        times = 1
        if self._fills_gaps:
            place = round((time_s - self._first_s) * self._fps)
            missing = max(1, place + 1 - self._written)
            times = min(missing, round(_LONGEST_GAP_S * self._fps))
            # What is left out of a gap stays out, or the next frames would stand still for it.
            self._first_s += (missing - times) / self._fps
        for _ in range(times):
            self._writer.write(bgr)
        self._written += times

    def close(self) -> None:
        """Finish the file. OpenCV keeps quiet about a full disk: an empty file is all it shows."""
        self._writer.release()
        if not self._path.exists() or self._path.stat().st_size == 0:
            raise OSError("nothing could be written: is the disk full?")


def _open(path: Path, size_px: tuple[int, int], fps: float) -> cv2.VideoWriter:
    code = cv2.VideoWriter.fourcc(*_CODECS[path.suffix])
    return cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, fps, size_px)
