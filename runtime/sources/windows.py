"""Cutting a source into windows that share frames, so that a video of any length needs the memory of one window."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from samotion.engines.errors import InputError
from samotion.runtime.machine import MEMORY_SHARE, machine_memory
from samotion.runtime.settings import Settings
from samotion.runtime.sources.source import Frame, Stamp
from samotion.runtime.values import Clip


@dataclass(frozen=True)
class Window:
    """One stretch of an input.

    clip: its frames; source_count is how many source frames were read by now. start: which of all kept frames
    its first one is. shared: how many of its first frames the window before has too. arrived: when the first of
    the others was read, on time.monotonic's clock.
    """

    clip: Clip
    start: int
    shared: int
    arrived: float


class Facts(Protocol):
    """What cut() asks of a source; see Source."""

    label: str
    name: str
    size: tuple[int, int] | None
    count: int

    @property
    def expected(self) -> int | None:
        """How many frames will probably come."""

    @property
    def fps(self) -> Fraction:
        """Frames a second."""


def cut(source: Facts, frames: Iterable[Frame], settings: Settings) -> Iterator[Window]:
    """Yield ``frames`` in windows of ``settings.window``, each sharing ``overlap`` frames with the one before.

    Each window comes as soon as it is full. The last one shares more where it would be less than half a window:
    a few frames show no motion. Without a window length all frames make one window. Raises InputError where a
    window does not fit in memory.
    """
    length = settings.window or None
    rooms = [room for room in (length, source.expected) if room is not None]
    store = _Store(source.label, min(rooms, default=1))
    cutter = _Cutter(source)
    before: _Store | None = None
    shared = 0
    for frame in frames:
        store.add(frame.image, frame.stamp)
        if len(store.stamps) == length:
            before, store = store, store.tail(settings.overlap)
            yield cutter.window(before, shared)
            shared = settings.overlap
    fresh = len(store.stamps) - shared
    if fresh and before is not None and length is not None and len(store.stamps) < length // 2:
        last, shared = before.tail(length // 2 - fresh), length // 2 - fresh
        for image, stamp in zip(store.images()[-fresh:], store.stamps[-fresh:], strict=True):
            last.add(image, stamp)
        store = last
    if fresh:
        yield cutter.window(store, shared)


def windows_of(clip: Clip, settings: Settings) -> Iterator[Window]:
    """Yield the windows of a clip that is in memory; one that is no longer than a window as it is."""
    if not settings.window or len(clip.frames) <= settings.window:
        yield Window(clip, 0, 0, time.monotonic())
        return
    facts = _ClipFacts(clip.name, clip.name, len(clip.frames), clip.fps, clip.source_size, clip.source_count)
    frames = (
        Frame(image, Stamp(int(index), float(seconds)))
        for image, index, seconds in zip(clip.frames, clip.source_index, clip.times, strict=True)
    )
    yield from cut(facts, frames, settings)


@dataclass
class _ClipFacts:
    """The facts of a clip in memory."""

    label: str
    name: str
    expected: int
    fps: Fraction
    size: tuple[int, int] | None
    count: int


class _Store:
    """Frames kept so far in one array. room: how many will probably come."""

    def __init__(self, label: str, room: int) -> None:
        self.stamps: list[Stamp] = []
        self._label = label
        self._room = room
        self._images = np.empty((0, 0, 0, 3), np.uint8)

    def add(self, image: NDArray[np.uint8], stamp: Stamp) -> None:
        """Keep a copy of an image (H, W, 3); raises InputError where those to come would not fit in memory."""
        count = len(self.stamps)
        if count == len(self._images):
            self._grow(*image.shape[:2])
        self._images[count] = image
        self.stamps.append(stamp)

    def images(self) -> NDArray[np.uint8]:
        """Return the kept images (T, H, W, 3)."""
        return self._images[: len(self.stamps)]

    def tail(self, count: int) -> "_Store":
        """Return a store of as much room that holds the last ``count`` frames."""
        other = _Store(self._label, self._room)
        for image, stamp in zip(self.images()[-count:], self.stamps[-count:], strict=True):
            other.add(image, stamp)
        return other

    def _grow(self, height: int, width: int) -> None:
        count = len(self.stamps)
        length = max(self._room, 2 * count)
        need, have = length * height * width * 3, machine_memory()
        if have is not None and need > MEMORY_SHARE * have:
            fit = int(MEMORY_SHARE * have / (height * width * 3))
            raise InputError(
                f"{self._label}: {length} frames of {width}×{height} need {need / 2**30:.1f} GiB of the "
                f"{have / 2**30:.1f} GiB here; use --window {fit}, --max-frames {fit} or a smaller --max-side"
            )
        grown = np.empty((length, height, width, 3), np.uint8)
        grown[:count] = self._images[:count] if count else 0
        self._images = grown


class _Cutter:
    """Makes windows of what ``source`` gave, one after the other."""

    def __init__(self, source: Facts) -> None:
        self._source = source
        self._done = 0
        self._fps: Fraction | None = None
        self._seconds: list[float] = []
        self._timeline = _Timeline()

    def window(self, store: _Store, shared: int) -> Window:
        """Return the window that ``store`` holds; the first ``shared`` of its frames were in the one before."""
        source, fresh = self._source, store.stamps[shared:]
        self._fps = self._fps or source.fps  # as it is known by the end of the first window
        self._seconds = self._seconds[len(self._seconds) - shared :] + self._timeline.seconds(fresh, self._fps)
        assert source.size is not None  # it gave frames
        clip = Clip(
            name=source.name,
            frames=store.images(),
            fps=self._fps,
            source_size=source.size,
            source_index=np.array([stamp.index for stamp in store.stamps], np.int64),
            source_count=source.count,
            times=np.array(self._seconds, np.float64),
        )
        start, self._done = self._done - shared, self._done + len(fresh)
        return Window(clip, start, shared, fresh[0].arrived)


class _Timeline:
    """Seconds from the first frame; even steps from where the stream's own times are absent or go back."""

    def __init__(self) -> None:
        self._origin = 0.0
        self._last: tuple[int, float] | None = None
        self._even = False

    def seconds(self, stamps: list[Stamp], fps: Fraction) -> list[float]:
        """Return the times of the next frames."""
        stated = np.array([np.nan if stamp.time is None else stamp.time for stamp in stamps], np.float64)
        if self._last is None:
            self._origin = float(stated[0])
        stated -= self._origin
        steps = np.diff(stated if self._last is None else [self._last[1], *stated])
        self._even = self._even or bool(np.isnan(stated).any() or (steps <= 0).any())
        if self._even:
            index, second = self._last or (0, 0.0)
            stated = second + np.array([stamp.index - index for stamp in stamps]) / float(fps)
        self._last = stamps[-1].index, float(stated[-1])
        return [float(second) for second in stated]
