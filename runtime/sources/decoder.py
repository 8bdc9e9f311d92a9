"""Decoding of one video stream: every frame keeps its number, whatever is damaged around it."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.container

from samotion.runtime.sources.ffmpeg_log import errors_heard
from samotion.runtime.sources.timetable import Timetable

FALLBACK_FPS = Fraction(24)
MAX_FPS = 1000  # beyond it a container's rate is its clock, not a frame rate
TELLING = ("mjpeg", "ffv1")  # decoders that tell of damage in FFmpeg's log alone


@dataclass(frozen=True)
class DecodedFrame:
    """A picture and the seconds at which it is shown, None where the stream does not say.

    damaged: of this frame no whole picture came; ``picture`` is the whole one before it, at the start the first.
    """

    picture: av.VideoFrame
    time: float | None
    damaged: bool


class Decoder:
    """Decodes a stream by one thread, so that what damage leaves behind is the same on any number of cores.

    rate: frames a second that the container states, None if none. lead: frames before the first keyframe, which
    nothing can decode; they get no number. end: seconds at which the last picture ends. sound_end: those of the last
    packet of any stream. error: what ended the reading early.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, max_pixels: int) -> None:
        rates = (stream.average_rate, stream.guessed_rate)
        self.rate = next((Fraction(rate) for rate in rates if rate and 0 < rate <= MAX_FPS), None)
        self.end = self.sound_end = 0.0
        self.error: Exception | None = None
        self._container = container
        self._stream = stream
        self._clock = stream.time_base or Fraction(1, 90_000)
        self._timetable = Timetable(1 / ((self.rate or FALLBACK_FPS) * self._clock), 1 / self._clock)
        self._codec = stream.codec_context
        self._codec.thread_type = "NONE"
        self._codec.thread_count = 1
        self._codec.options = {"max_pixels": str(max_pixels)}

    @property
    def lead(self) -> int:
        """Frames that cannot be decoded because a keyframe comes only after them."""
        return self._timetable.lead

    def seek(self, timestamp: int) -> None:
        """Begin at the last keyframe up to a time in ticks of the stream's clock, before the first frame is taken."""
        self._container.seek(timestamp, stream=self._stream)

    def frames(self) -> Iterator[DecodedFrame]:
        """Yield all frames in the order in which they are shown; none where no picture is whole."""
        picture: av.VideoFrame | None = None
        waiting: list[float | None] = []
        for time, whole in self._numbered():
            picture = whole or picture
            if picture is None:
                waiting.append(time)
                continue
            for early in waiting:
                yield DecodedFrame(picture, early, True)
            waiting.clear()
            yield DecodedFrame(picture, time, whole is None)

    def _numbered(self) -> Iterator[tuple[float | None, av.VideoFrame | None]]:
        """Yield the time and the picture of each frame, None where it is damaged or lost."""
        for packet in self._packets():
            frames, damaged = self._decode(packet)
            for frame in frames:
                whole = None if damaged or frame.is_corrupt else frame
                if frame.pts is None:
                    yield None, whole
                    continue
                yield from self._lost(self._timetable.lost_before(frame.pts))
                if whole is None and self._timetable.is_lead(frame.pts):
                    continue
                self._timetable.shown(frame.pts)
                yield float(frame.pts * self._clock), whole
            if damaged and not frames and packet.size and packet.pts is None:
                yield None, None  # where its place is, nobody knows better
        yield from self._lost(self._timetable.rest())

    def _lost(self, times: list[int]) -> Iterator[tuple[float, None]]:
        for time in times:
            yield float(time * self._clock), None

    def _packets(self) -> "Iterator[av.Packet[Any]]":
        """Yield the stream's packets, to the last or to an error, and then the one that empties the decoder."""
        try:
            for packet in self._container.demux():
                end = 0.0 if packet.pts is None else float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self.sound_end = max(self.sound_end, end)
                if packet.stream is self._stream:
                    self.end = max(self.end, end)
                    yield packet
        except (av.FFmpegError, OSError) as error:
            self.error = error
            yield av.Packet()

    def _decode(self, packet: "av.Packet[Any]") -> tuple[list[av.VideoFrame], bool]:
        """Return the frames that come of a packet, and whether the decoder says that it is damaged."""
        if packet.size and not packet.is_discard:
            self._timetable.flagged |= packet.is_corrupt
            if packet.pts is not None:
                self._timetable.sent(packet.pts, packet.dts, packet.duration, packet.is_keyframe)
        try:
            with errors_heard() if self._codec.name in TELLING else nullcontext() as complaints:
                decoded = self._codec.decode(packet if packet.size else None)
        except av.FFmpegError:
            return [], True
        return [frame for frame in decoded if isinstance(frame, av.VideoFrame)], bool(complaints)
