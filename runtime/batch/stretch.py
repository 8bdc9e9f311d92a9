"""Stretches of one long video: how it is divided, and how a worker goes through one of them by itself."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

from samotion.engines.bundle import Bundle
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.saved_window import save
from samotion.runtime.identity.propagate import MOST_WINDOWS
from samotion.runtime.machine import peak_memory
from samotion.runtime.pipeline import stream
from samotion.runtime.settings import Settings
from samotion.runtime.sources.packet_index import PacketIndex, Seek
from samotion.runtime.sources.prefetch import FramesAhead
from samotion.runtime.sources.source import Source
from samotion.runtime.sources.video_file import SeekError, VideoSource
from samotion.runtime.sources.windows import cut

# For so many windows an object is followed that no window finds: after them a worker knows what one knows that came
# from the start.
LEAD = MOST_WINDOWS
REPORT = "stretch.json"


@dataclass(frozen=True)
class Stretch:
    """Windows ``first`` to ``end`` - 1 of an input, None: to its end; those before ``own`` only lead in.

    settings: with the window that all stretches have. stride: of the source's frames. folder: for what is found.
    seek: where its first frame is, None: found by decoding all frames before.
    """

    item: Input
    first: int
    own: int
    end: int | None
    settings: Settings
    stride: int
    folder: Path
    seek: Seek | None = None

    def __str__(self) -> str:
        return f"{self.item.path}, from frame {self.frame(self.own)} on"

    def frame(self, window: int) -> int:
        """Return the number of the source frame with which a window begins."""
        return window * ((self.settings.window or 0) - self.settings.overlap) * self.stride

    @property
    def stop(self) -> int | None:
        """The number of the source frame after its last one, None where that is the last of all."""
        return None if self.end is None else self.frame(self.end) + self.settings.overlap * self.stride

    def sought(self, index: PacketIndex) -> Self:
        """Return the stretch with the place of its first frame."""
        return replace(self, seek=index.seek(self.frame(self.first)))

    def window(self, number: int) -> Path:
        """Return the file for what is found in the window of that number."""
        return self.folder / f"{number:06d}.npz"

    @property
    def report(self) -> dict[str, Any]:
        """What the worker that went through it reports."""
        report: dict[str, Any] = json.loads((self.folder / REPORT).read_text(encoding="utf-8"))
        return report


def division(windows: int, workers: int) -> list[tuple[int, int, int | None]]:
    """Return (first, own, end) of stretches that take equally long, at most one a worker; see Stretch.

    There is only one where a second would save nothing.
    """
    count = max(1, min(workers, windows - LEAD))
    borders = [LEAD + (windows - LEAD) * number // count for number in range(1, count)]
    parts = zip([0, *borders], [*borders, None], strict=True)
    return [(max(0, own - LEAD), own, end) for own, end in parts]


def go_through(stretch: Stretch, opened: Callable[[], Source], bundle: Bundle) -> int:
    """Find what moves in each window of a stretch, save it, and return how many windows there are.

    opened: opens the input. Raises SamotionError.
    """
    stretch.folder.mkdir(parents=True, exist_ok=True)
    sought = stretch.seek is not None
    with _silent_reading():
        try:
            count = _go(stretch, opened(), bundle)
        except SeekError:
            sought = False
            count = _go(replace(stretch, seek=None), opened(), bundle)
    report = {"sought": sought, "peak": peak_memory()}
    (stretch.folder / REPORT).write_text(json.dumps(report), encoding="utf-8")
    return count


def _go(stretch: Stretch, source: Source, bundle: Bundle) -> int:
    settings, stop = stretch.settings, stretch.stop
    if isinstance(source, VideoSource):
        source.begin_at(stretch.frame(stretch.first), stretch.seek)
    else:
        source.begin_at(stretch.frame(stretch.first))
    count = 0
    with FramesAhead(source, (settings.window or 0) - settings.overlap) as ahead:
        frames = takewhile(lambda frame: stop is None or frame.stamp.index < stop, ahead)
        for piece in stream(cut(source, frames, settings), bundle, settings):
            save(stretch.window(stretch.first + count), piece)
            count += 1
    return count


@contextmanager
def _silent_reading() -> Iterator[None]:
    """Keep silent of what is wrong with the input: who joins the stretches reads all of it, and tells."""
    log = logging.getLogger(Source.__module__.rpartition(".")[0])
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
