"""Encodes clips with PyAV: H.264 or VP9, each frame at its own time, with sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from edge_style.errors import SinkError
from edge_style.sinks.base import Image, StreamInfo
from edge_style.sinks.sound import SoundTrack

_CLOCK_HZ = 90_000  # about; the next multiple of the frame rate, so that regular frames fit exactly
_ITU_601 = 5  # the matrix of OpenCV's RGB to YUV
_BT_709 = 1  # primaries and transfer curve, close to those of screens
_STUDIO_RANGE = 1
_FRAGMENT_S = 0.5  # what is in a fragment is on the disk when the next one begins
_KEYFRAME_S = 1.0

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi", ".webm": "webm"}
# Best first; builds without x264 exist.
_H264 = ("libx264", "libopenh264")
_ENCODERS = {".webm": ("libvpx-vp9", "libvpx")}
_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "18"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "24", "b": "0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "8M"},
}
# In a recording no frame waits in the encoder, and the network needs the processor more than the
# file needs to be small.
_RECORDING_OPTIONS = {
    "libx264": {"tune": "zerolatency", "preset": "superfast", "forced-idr": "1"},
    "libvpx-vp9": {"lag-in-frames": "0"},
    "libvpx": {"lag-in-frames": "0"},
}
_FALLBACK_OPTIONS = {"b": "8M"}


@dataclass(frozen=True)
class WriterOptions:
    """How a file is written.

    Attributes:
        is_fragmented: what was written stays playable if the process is killed.
        is_live: frames come now, so that speed counts more than size.
        keeps_sound: the sound of the stream's clip goes along.
        suffix: of the clip that is made in the end, which chooses the encoder; None: the file's.
        comment: a line for the file's metadata.
    """

    is_fragmented: bool = False
    is_live: bool = False
    keeps_sound: bool = True
    suffix: str | None = None
    comment: str = ""


def find_encoder(suffix: str) -> str:
    """The name of the encoder for files with this suffix.

    Raises:
        SinkError: this PyAV was built without any.
    """
    names = _ENCODERS.get(suffix, _H264)
    for name in names:
        try:
            av.Codec(name, "w")
        except ValueError:
            continue
        return name
    raise SinkError(f"this PyAV cannot encode {suffix} files: none of {', '.join(names)} is there")


@contextmanager
def ffmpeg_errors_as_os_errors() -> Iterator[None]:
    """Lets what FFmpeg complains of come out as `OSError`: PyAV's are those of the system alone."""
    try:
        yield
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise OSError(error.errno, error.strerror) from error


class AvWriter:
    """Encodes frames of one size into a file. What goes wrong there is an `OSError`."""

    def __init__(
        self,
        path: Path,
        size_px: tuple[int, int],
        stream: StreamInfo,
        options: WriterOptions | None = None,
    ) -> None:
        self._options = options = options or WriterOptions()
        self._rate = Fraction(stream.fps).limit_denominator(1001)
        suffix = path.suffix.lower()
        # AVI knows frame numbers only, no times.
        ticks = 1 if suffix == ".avi" else max(1, round(_CLOCK_HZ / self._rate.numerator))
        self._time_base = (
            1 / self._rate if ticks == 1 else Fraction(1, self._rate.numerator * ticks)
        )
        self._first_s: float | None = None
        self._last_s = 0.0
        self._last_pts = -1
        self._key_s = float("-inf")
        self._container = av.open(
            str(path), "w", format=CONTAINERS[suffix], options=_container_options(suffix, options)
        )
        if options.comment:
            self._container.metadata["comment"] = options.comment
        self._video = self._add_video(find_encoder(options.suffix or suffix), size_px, suffix)
        self._sound: SoundTrack | None = None
        if stream.clip is not None and options.keeps_sound:
            self._sound = SoundTrack(stream.clip, self._container)
        with ffmpeg_errors_as_os_errors():
            # PyAV goes on after a header that could not be written, and ends the process by that.
            self._container.start_encoding()

    def _add_video(self, encoder: str, size_px: tuple[int, int], suffix: str) -> VideoStream:
        options = dict(_OPTIONS.get(encoder, _FALLBACK_OPTIONS))
        if self._options.is_live:
            options |= _RECORDING_OPTIONS.get(encoder, {})
        if (self._options.suffix or suffix) == ".avi":
            options["bf"] = "0"  # it has no place for times of display
        video = self._container.add_stream(encoder, rate=self._rate, options=options)
        if not isinstance(video, VideoStream):
            raise SinkError(f"PyAV's {encoder} is no video encoder")
        video.width, video.height = size_px
        video.pix_fmt = "yuv420p"
        context = video.codec_context
        context.time_base = self._time_base
        context.color_range = _STUDIO_RANGE
        context.colorspace = _ITU_601
        context.color_primaries = context.color_trc = _BT_709
        if self._options.is_fragmented and not self._options.is_live:
            # Whoever goes on with a broken file begins at a keyframe.
            context.gop_size = max(1, round(2 * float(self._rate)))
        return video

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should hear of."""
        return self._sound.notes if self._sound is not None else ()

    def write(self, image: Image, time_s: float) -> None:
        """Encode uint8 [H, W, 3] RGB with even sides. Times count from the first frame's."""
        if self._first_s is None:
            self._first_s = time_s
            if self._sound is not None:
                self._sound.start_at(time_s)
        place_s = time_s - self._first_s
        pts = max(self._last_pts + 1, round(place_s / self._time_base))
        self._last_pts, self._last_s = pts, place_s
        with ffmpeg_errors_as_os_errors():
            self._write(image, place_s)

    def _write(self, image: Image, place_s: float) -> None:
        # OpenCV converts several times faster than FFmpeg's scaler.
        yuv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        frame = VideoFrame.from_ndarray(yuv, format="yuv420p")
        frame.pts = self._last_pts
        frame.time_base = self._time_base
        if self._options.is_live and place_s - self._key_s >= _KEYFRAME_S:
            # By the clock: frames of a slow network are far apart.
            self._key_s = place_s
            frame.pict_type = PictureType.I
        if self._sound is not None:
            self._sound.copy_until(place_s)
        self._encode(frame)

    def _encode(self, frame: VideoFrame | None) -> None:
        for packet in self._video.encode(frame):
            if not packet.duration:
                # Without it the last frame would be shown for no time at all.
                packet.duration = round(1 / self._rate / self._time_base)
            self._container.mux(packet)

    def close(self) -> None:
        """Finish the file."""
        with ffmpeg_errors_as_os_errors():
            try:
                if self._sound is not None and self._options.is_live:
                    self._sound.copy_until(self._last_s + 1 / self._rate)
                    self._sound.end()
                elif self._sound is not None:
                    self._sound.finish()
                self._encode(None)
            finally:
                self._container.close()


def _container_options(suffix: str, options: WriterOptions) -> dict[str, str]:
    is_mp4 = suffix in (".mp4", ".mov")
    if not options.is_fragmented:
        return {"movflags": "faststart"} if is_mp4 else {}
    found = {"flush_packets": "1"}
    if is_mp4:
        found["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
        found["frag_duration"] = str(round(_FRAGMENT_S * 1e6))
    elif suffix in (".mkv", ".webm"):
        found["cluster_time_limit"] = str(round(_FRAGMENT_S * 1e3))
    return found
