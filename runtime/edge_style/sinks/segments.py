"""Pieces of a conversion that was cut short, and how they become one clip."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet
from av.video.stream import VideoStream

from edge_style.errors import SinkError
from edge_style.sinks.av_writer import CONTAINERS, ffmpeg_errors_as_os_errors
from edge_style.sinks.base import StreamInfo
from edge_style.sinks.sound import SoundTrack


@dataclass(frozen=True)
class Segment:
    """One run's frames.

    Attributes:
        path: the file.
        first_frame: which frame of the clip its first one is.
        start_s: that frame's time in the clip.
        frames: how many of its frames are to be used: whole groups of pictures.
    """

    path: Path
    first_frame: int
    start_s: float
    frames: int


def segment_path(target: Path, number: int) -> Path:
    """Where a run of the job for `target` writes to."""
    return target.with_name(f".{target.name}.part{number}.mp4")


def find_segments(target: Path, job: str, *, is_last_complete: bool = False) -> list[Segment]:
    """What earlier runs of a job left, in order, without gaps.

    Files of another job - another clip, model or setting - are removed.

    Args:
        target: of the job.
        job: what the job is; a segment says in its metadata what job it belongs to.
        is_last_complete: the last segment was finished properly, so all its frames count.
    """
    found: list[Segment] = []
    number = done = 0
    while (path := segment_path(target, number)).exists():
        is_last = not segment_path(target, number + 1).exists()
        segment = _read_segment(path, job, is_complete=is_last and is_last_complete)
        if segment is None or segment.first_frame != done or segment.frames == 0:
            break
        found.append(segment)
        done += segment.frames
        number += 1
    while (path := segment_path(target, number)).exists():
        path.unlink()
        number += 1
    return found


def _read_segment(path: Path, job: str, *, is_complete: bool) -> Segment | None:
    """A segment of this job; None if it is another one's or cannot be read."""
    try:
        with av.open(str(path)) as container:
            about = json.loads(container.metadata.get("comment", ""))
            if about["job"] != job:
                return None
            first_frame, start_s = int(about["frame"]), float(about["time_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    frames = _count(path) if is_complete else _count_whole_groups(path)
    return Segment(path, first_frame, start_s, frames)


def _packets(path: Path) -> Iterator["Packet[VideoStream]"]:
    """Packets of the pictures, as far as the file goes."""
    with av.open(str(path)) as container:
        try:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    yield packet
        except OSError:
            return  # cut off in the middle of a packet


def _count(path: Path) -> int:
    return sum(1 for _ in _packets(path))


def _count_whole_groups(path: Path) -> int:
    """Frames before the last keyframe: the group behind it may lack its end."""
    last_key = 0
    for number, packet in enumerate(_packets(path)):
        if packet.is_keyframe:
            last_key = number
    return last_key


def join(segments: list[Segment], path: Path, stream: StreamInfo) -> tuple[str, ...]:
    """Write the segments one behind the other, with the sound of the stream's clip.

    Returns:
        What the user should hear of.

    Raises:
        SinkError: they do not fit together.
        OSError: the file cannot be written.
    """
    with ffmpeg_errors_as_os_errors():
        return _join(segments, path, stream)


def _join(segments: list[Segment], path: Path, stream: StreamInfo) -> tuple[str, ...]:
    suffix = path.suffix.lower()
    options = {"movflags": "faststart"} if suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", format=CONTAINERS[suffix], options=options) as target:
        with av.open(str(segments[0].path)) as first:
            template = first.streams.video[0]
            header = template.codec_context.extradata
            video = target.add_stream_from_template(template)
            rate = Fraction(stream.fps).limit_denominator(1001)
            video.codec_context.framerate = rate
            # AVI knows frame numbers only, no times, and wants packets as the encoder gave them.
            video.time_base = 1 / rate if suffix == ".avi" else template.time_base
            is_avi = suffix == ".avi"
            unpack = BitStreamFilterContext("h264_mp4toannexb", template) if is_avi else None
        sound = SoundTrack(stream.clip, target) if stream.clip is not None else None
        target.start_encoding()
        last_dts: int | None = None
        for segment in segments:
            for packet in _timed_packets(segment, header, segments[0].start_s):
                if last_dts is not None and packet.dts is not None:
                    # Where frames get farther apart just at a seam, a picture that others are made
                    # of would come before the last one of the part before.
                    packet.dts = max(packet.dts, last_dts + 1)
                last_dts = packet.dts
                if sound is not None and packet.pts is not None and packet.time_base is not None:
                    sound.copy_until(float(packet.pts * packet.time_base))
                for part in unpack.filter(packet) if unpack is not None else [packet]:
                    part.stream = video
                    target.mux(part)
        if sound is None:
            return ()
        sound.finish()
        return sound.notes


def _timed_packets(
    segment: Segment, header: bytes | None, origin_s: float
) -> Iterator["Packet[VideoStream]"]:
    """The packets of a segment at their places in the whole clip."""
    with av.open(str(segment.path)) as container:
        video = container.streams.video[0]
        if video.codec_context.extradata != header:
            raise SinkError("its parts come from different encoders: remove them and begin again")
        time_base = video.time_base or Fraction(1, 90_000)
        first_pts: int | None = None
    for number, packet in enumerate(_packets(segment.path)):
        if number == segment.frames:
            return
        if packet.pts is None or packet.dts is None:
            continue
        first_pts = packet.pts if first_pts is None else first_pts
        shift = round((segment.start_s - origin_s) / time_base) - first_pts
        packet.pts += shift
        packet.dts += shift
        yield packet
