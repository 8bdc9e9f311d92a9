"""One input from its frames to its folder: reading ahead, computing, and writing behind, all at the same time."""

import contextlib
import dataclasses
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from samotion.engines.bundle import Bundle
from samotion.engines.program import POLITE
from samotion.runtime.machine import peak_memory
from samotion.runtime.memory_budget import DEFAULT as DEFAULT_BUDGET
from samotion.runtime.memory_budget import Fit, fit
from samotion.runtime.output.background import Behind
from samotion.runtime.output.formats.catalogue import DEFAULT
from samotion.runtime.output.writer import ResultWriter
from samotion.runtime.pipeline import stream
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.prefetch import FramesAhead
from samotion.runtime.sources.source import Frame, Source
from samotion.runtime.sources.windows import Window, cut
from samotion.runtime.values import WindowResult

AHEAD = 32  # frames read ahead where all are one window: nothing is computed before the last is there
STOPPING = b"ending: what was read until now is still worked on; once more keeps only what is done\n"


@dataclasses.dataclass(frozen=True)
class Job:
    """How inputs are processed. budget: bytes of memory, None for the default. note: receives lines for the user.

    about: what else result.json says, asked when all else is done. formats, dilate, report: see ResultWriter. finder:
    who finds the objects, None for this process.
    """

    bundle: Bundle
    settings: Settings
    out: Path
    overlay: bool
    budget: int | None
    progress: Progress
    note: Callable[[str], None]
    about: Callable[[], dict[str, Any]]
    formats: Sequence[str] = DEFAULT
    dilate: int = 0
    report: bool = False
    finder: "Finder | None" = None


class Finder(Protocol):
    """Finds what moves in the place of this process's pipeline."""

    facts: dict[str, Any]
    """What result.json says of it, once all is found."""

    def find(self, source: Source, windows: Iterator[Window], job: Job, settings: Settings) -> Iterator[WindowResult]:
        """Yield what each window adds."""


@dataclasses.dataclass(frozen=True)
class Processed:
    """What was found in one input, and the line that says so and where it is."""

    line: str
    objects: int
    frames: int


def process(source: Source, job: Job) -> Processed:
    """Find what moves in ``source`` and write OUT/<name>.

    A source without an end ends at the first SIGINT, SIGTERM or SIGHUP with what was read by then; a second one keeps
    only the finished windows. Raises SamotionError, or KeyboardInterrupt where there is nothing to keep.
    """
    with FramesAhead(source, AHEAD) as ahead, _ended_by_signals(source, ahead):
        frames = iter(ahead)
        with job.progress.stage("reading", 1) as stage:
            first = next(frames, None)
            if first is None:
                raise KeyboardInterrupt  # stopped before there was anything
            fitted = _fitted(first, job)
            settings = dataclasses.replace(job.settings, window=fitted.window)
            ahead.most = settings.window - settings.overlap if settings.window else AHEAD
            job.progress.expect(source.expected, settings.window, settings.overlap)
            live = _Live(source, ahead, settings, job.note) if source.endless else None
            windows = cut(source, itertools.chain([first], frames), settings)
            windows = itertools.chain([next(windows)], windows)
            stage.advance()
        with ResultWriter(
            job.out, source.name, job.overlay, source.playback, job.formats, job.dilate, job.report
        ) as writer:
            with Behind(live.watched(writer.add) if live else writer.add) as behind:
                try:
                    for piece in _found(source, windows, job, settings):
                        behind.put(piece)
                        del piece  # or its frames stay until the next window is done
                except KeyboardInterrupt:
                    if not (source.endless and writer.record.frames):
                        raise
            facts = {**job.about(), "settings": dataclasses.asdict(settings)}
            facts["input"] = {**facts.get("input", {}), **source.facts()}
            facts |= {"live": live.facts()} if live else {}
            facts |= job.finder.facts if job.finder else {}
            facts["memory"] = _memory(fitted, job.note)
            with job.progress.stage("finishing", 1) as stage:
                folder = writer.finish(facts, source.count)
                stage.advance()
    line = f"{source.label}: {writer.summary} -> {folder}"
    return Processed(line, writer.record.count, writer.record.frames)


def _found(source: Source, windows: Iterator[Window], job: Job, settings: Settings) -> Iterator[WindowResult]:
    if job.finder:
        return job.finder.find(source, windows, job, settings)
    return stream(windows, job.bundle, settings, job.progress)


def _fitted(first: Frame, job: Job) -> Fit:
    """Return the window that the budget allows for frames of the first one's size.

    It is said where a budget was given, and where the window is not the one that was set.
    """
    height, width, _ = first.image.shape
    fitted = fit(job.budget or DEFAULT_BUDGET, (height, width), job.bundle, job.settings)
    if job.budget is not None or fitted.window != job.settings.window:
        job.note(fitted.line)
    return fitted


def _memory(fitted: Fit, note: Callable[[str], None]) -> dict[str, Any]:
    """Return what result.json says of memory; a budget that did not hold is reported."""
    peak = peak_memory()
    if peak is not None and peak > fitted.budget:
        note(f"the memory budget of {fitted.budget / 2**30:.2f} GiB did not hold: {peak / 2**30:.2f} GiB were used")
    return {"budget": fitted.budget, "estimate": fitted.estimate, "peak": peak}


class _Live:
    """What is reported of a source without an end: how far the masks are behind it, and what it lost."""

    def __init__(self, source: Source, ahead: FramesAhead, settings: Settings, note: Callable[[str], None]) -> None:
        self._source = source
        self._ahead = ahead
        self._worst = 0.0
        self._wait = None if not settings.window else settings.window - settings.overlap
        if self._wait is not None:
            note(
                f"{source.label}: masks come {self._wait} frames ({self._seconds:.1f} s) after a frame at most, the "
                f"first after {settings.window}, and then the time to compute a window; Ctrl-C ends it and keeps them"
            )

    @property
    def _seconds(self) -> float:
        return 0.0 if self._wait is None else self._wait * self._ahead.stride / float(self._source.fps)

    def watched(self, write: Callable[[WindowResult], None]) -> Callable[[WindowResult], None]:
        """Return ``write`` with an eye on how long the frames of a piece had to wait for it."""

        def watching(piece: WindowResult) -> None:
            write(piece)
            self._worst = max(self._worst, time.monotonic() - piece.arrived)

        return watching

    def facts(self) -> dict[str, Any]:
        """Return what result.json says; seconds are those stated and the longest from a frame read to its mask."""
        return {
            "real_time": self._source.real_time,
            "stopped": self._source.stopped,
            "latency_frames": self._wait,
            "latency_seconds": round(self._seconds, 3),
            "worst_seconds": round(self._worst, 3),
            "dropped": self._ahead.dropped,
            "stride": self._ahead.stride,
        }


@contextlib.contextmanager
def _ended_by_signals(source: Source, ahead: FramesAhead) -> Iterator[None]:
    """Let signals end a source without an end, the first time; the second time they interrupt."""
    if not source.endless or threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in POLITE if signal.getsignal(number) != signal.SIG_IGN]
    before = [signal.getsignal(number) for number in numbers]

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, _interrupt)
        ahead.stop()
        with contextlib.suppress(OSError):  # print() may be just what the signal interrupted
            os.write(2, STOPPING)

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
