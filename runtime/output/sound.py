"""The sound of a source, copied beside its overlay."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.container

log = logging.getLogger(__name__)

LOCAL = {"protocol_whitelist": "file"}


class Sound:
    """Copies the best sound track of ``path`` into ``target``, as it is stored; a context manager by close().

    start: seconds of the source at which the overlay begins. A track that MP4 cannot hold is left out, which is
    logged; so is what comes after damage.
    """

    def __init__(self, path: Path, target: av.container.OutputContainer, start: float) -> None:
        self._label = str(path)
        self._target = target
        self._start = start
        self._source = av.open(str(path.resolve()), options=LOCAL, metadata_errors="ignore")
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        track = self._source.streams.best("audio")
        if isinstance(track, av.AudioStream):
            self._copy(track)

    def write_until(self, seconds: float) -> None:
        """Write what is heard before ``seconds`` of the overlay."""
        while self._next is not None and self._next.dts * self._next.time_base < seconds:
            packet, self._next = self._next, next(self._packets, None)
            self._target.mux(packet)

    def close(self) -> None:
        """Close the source."""
        self._packets = iter(())
        self._source.close()

    def _copy(self, track: av.AudioStream) -> None:
        try:
            copy = self._target.add_stream_from_template(track)
        except (ValueError, av.FFmpegError):
            log.warning("%s: its sound (%s) does not fit into MP4 and is left out", self._label, track.name)
            return
        self._packets = self._shifted(track, copy)
        self._next = next(self._packets, None)

    def _shifted(self, track: av.AudioStream, copy: Any) -> Iterator[Any]:
        """Yield the packets from the start on, in order, with their times in the overlay."""
        last = -1
        try:
            for packet in self._source.demux(track):
                if packet.dts is None or packet.pts is None or packet.is_corrupt:
                    continue
                shift = round(self._start / packet.time_base)
                packet.dts, packet.pts = packet.dts - shift, packet.pts - shift
                if packet.dts > last and packet.pts >= packet.dts:
                    last = packet.dts
                    packet.stream = copy
                    yield packet
        except (av.FFmpegError, OSError):
            log.warning("%s: its sound is damaged and copied up to there", self._label)
