"""Carries the sound of a clip over into another."""

from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from edge_style.errors import SinkError


class SoundTrack:
    """The first sound track of a clip, copied as it is where the target's format knows its codec.

    Attributes:
        notes: why the sound is missing, where it is.
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
        videos = self._source.streams.video
        # The frames count from the first one, which need not be at zero.
        self._start_s = Fraction(0)
        if videos and videos[0].start_time and videos[0].time_base:
            self._start_s = videos[0].start_time * videos[0].time_base
        self._is_copied = self._input.codec_context.name in target.supported_codecs
        if self._is_copied:
            self._output = target.add_stream_from_template(self._input)
        else:
            self._output = _add_encoder(target, self._input)
        self._packets = self._source.demux(self._input)
        self._is_done = False

    def copy_until(self, time_s: float) -> None:
        """Copy what belongs before this time, so that sound and frames lie close in the file."""
        while not self._is_done:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                self._end()
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

    def _copy(self, packet: "Packet[AudioStream]") -> None:
        if not self._is_copied:
            for frame in packet.decode():
                self._target.mux(self._output.encode(frame))
        elif packet.dts is not None and packet.pts is not None and packet.time_base is not None:
            shift = round(self._start_s / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            packet.stream = self._output
            self._target.mux(packet)

    def _end(self) -> None:
        self._is_done = True
        if not self._is_copied:
            self._target.mux(self._output.encode(None))
        self._source.close()


def _add_encoder(target: OutputContainer, source: AudioStream) -> AudioStream:
    codec = target.default_audio_codec
    # Opus runs at this rate only.
    rate_hz = 48_000 if codec in ("opus", "libopus") else source.rate
    stream = target.add_stream("libopus" if codec == "opus" else codec, rate=rate_hz)
    if not isinstance(stream, AudioStream):
        raise SinkError(f"PyAV's {codec} is no sound encoder")
    return stream
