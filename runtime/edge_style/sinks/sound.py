"""Carries the sound of a clip over into another."""

import io
from contextlib import suppress
from itertools import islice
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from edge_style.errors import SinkError

_DAMAGED = "parts of the sound are damaged and were left out"
_TRIED_PACKETS = 3
# Sound may begin so long before the first frame: what decoders of AAC and Opus need to get going.
_LEAD_S = 0.1


class SoundTrack:
    """The first sound track of a clip: copied as it is where the target's format takes it.

    Attributes:
        notes: why the sound is missing or another one.
    """

    def __init__(self, clip: Path, target: OutputContainer) -> None:
        self.notes: tuple[str, ...] = ()
        self._target = target
        self._is_done = True
        self._waiting: Packet[AudioStream] | None = None
        try:
            self._source = av.open(str(clip))
        except (OSError, ValueError) as error:
            self.notes = (f"the sound of '{clip}' cannot be read: {error}",)
            return
        if not self._source.streams.audio:
            self._source.close()
            return
        self._input = self._source.streams.audio[0]
        self._start_s = _first_frame_s(clip)
        codec = self._input.codec_context.name
        self._is_copied = _takes(target, clip)
        if self._is_copied:
            self._output = target.add_stream_from_template(self._input)
        else:
            self._output = _add_encoder(target, self._input)
            name = self._output.codec_context.name.removeprefix("lib")
            self.notes = (f"the sound was encoded anew, as {name}: .{target.format.name} "
                          f"files hold no {codec} like this",)  # fmt: skip
        self._packets = self._source.demux(self._input)
        self._is_done = False

    def start_at(self, time_s: float) -> None:
        """Begin so long after the clip's first frame. Before anything is copied."""
        if self._is_done or time_s <= 0:
            return
        self._start_s += time_s
        for packet in self._packets:
            if packet.pts is None or packet.time_base is None:
                continue
            if packet.pts * packet.time_base >= self._start_s:
                self._waiting = packet
                return

    def copy_until(self, time_s: float) -> None:
        """Copy what belongs before this time, so that sound and frames lie close in the file."""
        while not self._is_done:
            packet = self._waiting or self._next()
            self._waiting = None
            if packet is None:
                self.end()
                return
            if packet.pts is not None and packet.time_base is not None:
                start_s = packet.pts * packet.time_base - self._start_s
                if start_s > time_s:
                    self._waiting = packet
                    return
            self._copy(packet)

    def finish(self) -> None:
        """Copy the rest."""
        self.copy_until(float("inf"))

    def _next(self) -> "Packet[AudioStream] | None":
        try:
            return next(self._packets, None)
        except av.FFmpegError:
            self._note_damage()
            return None

    def _copy(self, packet: "Packet[AudioStream]") -> None:
        try:
            self._carry_over(packet)
        except av.FFmpegError as error:
            if isinstance(error, OSError):  # of the file that is written: a full disk, say
                raise
            self._note_damage()

    def _note_damage(self) -> None:
        if _DAMAGED not in self.notes:
            self.notes += (_DAMAGED,)

    def _carry_over(self, packet: "Packet[AudioStream]") -> None:
        if not self._is_copied:
            for frame in packet.decode():
                if self._start_s > 0 and frame.pts is not None and frame.time_base is not None:
                    frame.pts -= round(self._start_s / frame.time_base)
                    if frame.pts < 0:
                        continue
                self._target.mux(self._output.encode(frame))
        elif packet.dts is not None and packet.pts is not None and packet.time_base is not None:
            shift = round(self._start_s / packet.time_base)
            if (packet.pts - shift) * packet.time_base < -_LEAD_S:
                return
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = self._output
            self._target.mux(packet)

    def end(self) -> None:
        """Copy no more."""
        if self._is_done:
            return
        self._is_done = True
        if not self._is_copied:
            self._target.mux(self._output.encode(None))
        self._source.close()


def _first_frame_s(clip: Path) -> float:
    """Time of the first frame that can be decoded, which is what frames count from.

    Where broadcasts are cut, the first packets lack what they refer to: no frames come of them.
    """
    with av.open(str(clip)) as container, suppress(av.FFmpegError):
        for frame in container.decode(video=0) if container.streams.video else ():
            if frame.time is not None:
                return float(frame.time)
    return 0.0


def _takes(target: OutputContainer, clip: Path) -> bool:
    """Whether a file like `target` can hold the clip's sound as it is.

    That a format knows a codec does not say so: much depends on how packets begin and on what the
    clip leaves unsaid. So the first packets are written to memory.
    """
    # What is done once a file is whole needs more than memory has, and is the same for any sound.
    options = {key: value for key, value in target.options.items() if value != "faststart"}
    with av.open(str(clip)) as source:
        sound = source.streams.audio[0]
        trial = av.open(io.BytesIO(), "w", format=target.format.name, options=options)
        try:
            copy = trial.add_stream_from_template(sound)
            trial.start_encoding()
            packets = (packet for packet in source.demux(sound) if packet.dts is not None)
            for packet in islice(packets, _TRIED_PACKETS):
                packet.stream = copy
                trial.mux(packet)
            trial.close()
        except (av.FFmpegError, ValueError):
            with suppress(av.FFmpegError):
                trial.close()
            return False
    return True


def _add_encoder(target: OutputContainer, source: AudioStream) -> AudioStream:
    codec = target.default_audio_codec
    # Opus runs at this rate only.
    rate_hz = 48_000 if codec in ("opus", "libopus") else source.rate
    stream = target.add_stream("libopus" if codec == "opus" else codec, rate=rate_hz)
    if not isinstance(stream, AudioStream):
        raise SinkError(f"PyAV's {codec} is no sound encoder")
    return stream
