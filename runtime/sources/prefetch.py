"""Frames read ahead by a thread of its own, as many as there is room for."""

import logging
import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from samotion.runtime.console import READING
from samotion.runtime.sources.source import Frame, Source

log = logging.getLogger(__name__)

ENDING = 2.0  # seconds in which a source ends that is not silent
LOOK = 0.2  # seconds between two looks at whether it is time to stop: a signal's handler must not take locks


class FramesAhead:
    """The frames of a source, read by a thread of its own up to ``most`` ahead; a context manager.

    A source that waits is held up when so many wait. One in real time is not: then every second waiting frame is
    dropped, and from there on only every ``stride``-th frame is kept, twice as sparse as before, which is logged.
    An error of the source is raised when the frames before it are used up. dropped: frames that were read and
    left out. stride: in source frames.
    """

    def __init__(self, source: Source, most: int) -> None:
        self.most = most
        self.stride = 1
        self.dropped = 0
        self._source = source
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._error: BaseException | None = None
        name = READING + threading.current_thread().name
        self._thread = threading.Thread(target=self._read, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        # A thread that decodes while the program ends can crash it; one that sits in a silent source is left there.
        self._thread.join(ENDING)
        self._frames.clear()

    def stop(self) -> None:
        """Read no more; what was read still comes. May be called from a signal's handler."""
        self._source.stop()
        self._ended = True

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in their order."""
        while True:
            with self._changed:
                while not (self._frames or self._ended):
                    self._changed.wait(LOOK)
                if not self._frames:
                    break
                frame = self._frames.popleft()
                self._changed.notify_all()
            yield frame
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            for frame in self._source.frames():
                with self._changed:
                    self._add(frame)
                if self._ended:
                    break
        except BaseException as error:
            self._error = None if self._ended else error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _add(self, frame: Frame) -> None:
        """Let a frame wait, once there is room for it."""
        wanted = frame.stamp.index % self.stride == 0
        if wanted and self._source.real_time and len(self._frames) >= self.most:
            self._thin()
            wanted = frame.stamp.index % self.stride == 0
        while not self._source.real_time and len(self._frames) >= self.most and not self._ended:
            self._changed.wait(LOOK)
        if wanted:
            self._frames.append(frame)
            self._changed.notify_all()
        else:
            self.dropped += 1

    def _thin(self) -> None:
        """Drop every second waiting frame, and so on from here."""
        self.stride *= 2
        kept = [waiting for waiting in self._frames if waiting.stamp.index % self.stride == 0]
        self.dropped += len(self._frames) - len(kept)
        self._frames = deque(kept)
        log.warning(
            "%s: computing cannot keep up, so from here on one frame in %d is used", self._source.label, self.stride
        )
