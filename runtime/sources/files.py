"""Decoding of video with PyAV: what files and live streams share, and files: upright, timed, up to the damage."""

import logging
from abc import abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.source import Source
from samotion.runtime.values import Bytes

log = logging.getLogger(__name__)

FALLBACK_FPS = Fraction(24)
MAX_FPS = 1000  # beyond it a container's rate is its clock, not a frame rate
LOCAL_ONLY = {"protocol_whitelist": "file,crypto,data"}  # a playlist must not reach out to the network


class DecodedSource(Source):
    """Frames that FFmpeg decodes: rotated and mirrored as the display matrix says, without sound, pixels square."""

    def __init__(self, label: str, name: str, length: int | None, settings: Settings) -> None:
        super().__init__(label, name, length, settings)
        self._stated_rate: Fraction | None = None
        self._first: float | None = None
        self._last: float | None = None

    @property
    def fps(self) -> Fraction:
        """Frames a second on average: as the container states them, else from the times so far, else 24."""
        if self._stated_rate is not None:
            return self._stated_rate
        if self._first is not None and self._last is not None and self._last > self._first:
            return Fraction((self.count - 1) / (self._last - self._first)).limit_denominator(1001)
        return FALLBACK_FPS

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        """Yield every frame that can be decoded."""
        with self._open() as container:
            stream = video_stream(self.label, container)
            rates = (stream.average_rate, stream.guessed_rate)
            self._stated_rate = next((Fraction(rate) for rate in rates if rate and 0 < rate <= MAX_FPS), None)
            for frame in self._decoded(container, stream):
                self._first = frame.time if self._first is None else self._first
                self._last = frame.time
                image = None
                if self.count % self.stride == 0:
                    image = turn(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), display_matrix(frame))
                yield image, frame.time, f"frame {self.count}"
            self._ended(stream)

    @abstractmethod
    def _open(self) -> av.container.InputContainer:
        """Open the source; raises InputError."""

    @abstractmethod
    def _decoded(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        """Yield the frames, whatever damage there is on the way."""

    def _ended(self, stream: av.VideoStream) -> None:
        """Look once more at ``stream`` when all frames are read."""


class VideoSource(DecodedSource):
    """Frames of a video file.

    counted: count its frames beforehand, which reads the file twice. A damaged file gives the frames before the
    damage and logs a warning. Raises InputError if none decodes.
    """

    def __init__(self, path: Path, name: str, settings: Settings, counted: bool) -> None:
        super().__init__(str(path), name, _count_packets(path) if counted else None, settings)
        self._path = path

    def _open(self) -> av.container.InputContainer:
        return _open(self._path)

    def _decoded(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        """Yield decoded frames up to the first damage, which is logged."""
        count = 0
        try:
            for packet in container.demux(stream):
                if packet.is_corrupt and count:
                    break
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame) and not frame.is_corrupt:
                        count += 1
                        yield frame
            else:
                return
        except av.FFmpegError:
            pass
        for frame in _flush(stream):
            count += 1
            yield frame
        if count:
            log.warning("%s is damaged: only the %d frames before the damage are used", self.label, count)

    def _ended(self, stream: av.VideoStream) -> None:
        """Log where the file ends well before the length that it states: truncation can go without an error."""
        last = self._last
        if stream.duration is None or stream.time_base is None or last is None:
            return
        stated, fps = float(((stream.start_time or 0) + stream.duration) * stream.time_base), float(self.fps)
        if last + 2.5 / fps < stated and (self.count + 2) / fps < stated:
            log.warning("%s ends after %d frames, before the %.1f s it states", self.label, self.count, stated)


def video_stream(label: str, container: av.container.InputContainer) -> av.VideoStream:
    """Return the stream of ``container`` to decode; raises InputError, naming ``label``, where it has none."""
    stream = container.streams.best("video")
    # FFmpeg draws any .txt file as terminal art.
    if not isinstance(stream, av.VideoStream) or container.format.name == "tty":
        raise InputError(f"{label}: has no video in it")
    if stream.codec_context is None:
        raise InputError(f"{label}: FFmpeg has no decoder for its video")
    stream.thread_type = "AUTO"
    return stream


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """Return (a, b, c, d) of a frame's display matrix: x' = a·x + c·y, y' = b·x + d·y in 16.16 fixed point."""
    side_data: Any = frame.side_data  # PyAV's own types know of no more than motion vectors
    data = side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    matrix = np.frombuffer(bytes(data), np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


def turn(image: Bytes, matrix: tuple[int, int, int, int] | None) -> Bytes:
    """Return ``image`` (H, W, 3) as the matrix shows it: quarter turns and mirrors, the nearest of the eight."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _open(path: Path) -> av.container.InputContainer:
    try:
        # An absolute path is never taken for a protocol, whatever colons the file's name has.
        return av.open(str(path.resolve()), options=LOCAL_ONLY, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a video, or its index is missing ({why})") from error


def _count_packets(path: Path) -> int:
    """Return how many frames are stored, without decoding: containers' own counts are often absent."""
    count = 0
    with _open(path) as container:
        try:
            for packet in container.demux(video_stream(str(path), container)):
                count += packet.size > 0 and not packet.is_discard
        except av.FFmpegError:
            pass  # decoding meets the same damage and reports it
    return count


def _flush(stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the whole frames that the decoder still holds after a failure."""
    try:
        for frame in stream.decode(None):
            if not frame.is_corrupt:
                yield frame
    except av.FFmpegError:
        return
