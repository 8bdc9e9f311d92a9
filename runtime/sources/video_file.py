"""Frames of a video file, from its first or from any other on."""

from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import av.container

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.decoder import DecodedFrame, Decoder
from samotion.runtime.sources.files import DecodedSource, open_file
from samotion.runtime.sources.packet_index import PacketIndex, Seek


class SeekError(InputError):
    """Reading cannot begin in the middle of a file; from its beginning it can."""


class VideoSource(DecodedSource):
    """Frames of a video file.

    counted: count its frames beforehand, which reads the file twice. Raises InputError if none decodes.
    """

    def __init__(self, path: Path, name: str, settings: Settings, counted: bool) -> None:
        length = PacketIndex(path, settings.max_pixels).count if counted else None
        super().__init__(str(path), name, length, settings)
        self.path = path
        self.playback.audio = path
        self._seek: Seek | None = None

    def begin_at(self, frame: int, seek: Seek | None = None) -> None:
        """Read from a frame on, at the keyframe that ``seek`` names, else by decoding all frames before it."""
        super().begin_at(frame)
        self._seek = seek
        self.count = frame if seek else 0

    def _open(self) -> av.container.InputContainer:
        return open_file(self.path, self._max_pixels)

    def _decoded(self, decoder: Decoder) -> Iterator[DecodedFrame]:
        """Yield the frames from where ``begin_at`` said. Raises SeekError where they are not found there."""
        if self._seek is None:
            yield from decoder.frames()
            return
        begin, seconds = self.count, self._seek.seconds
        decoder.seek(self._seek.timestamp)
        frames = dropwhile(lambda frame: frame.time is None or frame.time < seconds, decoder.frames())
        first = next(frames, None)
        if first is None or first.time != seconds:
            raise SeekError(f"{self.label}: frame {begin} is not where its packets say")
        yield first
        yield from frames
