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
from typing import Any

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


def pipeline(_: Source, windows: Iterator[Window], job: "Job", settings: Settings) -> Iterator[WindowResult]:
    """Yield what each of the windows of a source adds."""
    return stream(windows, job.bundle, settings, job.progress)


@contextlib.contextmanager
def ended_by_signals(stop: Callable[[], None], hurry: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGINT, SIGTERM or SIGHUP, and ``hurry`` at every further one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in POLITE}
    calls = itertools.chain([stop], itertools.repeat(hurry))

    def end(*_: object) -> None:
        (call := next(calls))()
        if call == stop:
            with contextlib.suppress(OSError):  # print() may be just what the signal interrupted
                os.write(2, STOPPING)

    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ended(ahead: FramesAhead) -> contextlib.AbstractContextManager[None]:
    """Let signals end the reading of a source without an end, the first time; the second time they interrupt."""
    return ended_by_signals(ahead.stop, _interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt


@dataclasses.dataclass(frozen=True)
class Job:
    """How inputs are processed. budget: bytes of memory, None for the default. note: receives lines for the user.

    about: what else result.json says, asked when all else is done. formats, dilate, report: see ResultWriter. find:
    finds what each window adds. ended: watches for what ends a source that has no end.
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
    find: Callable[[Source, Iterator[Window], "Job", Settings], Iterator[WindowResult]] = pipeline
    ended: Callable[[FramesAhead], contextlib.AbstractContextManager[None]] = ended


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
    with FramesAhead(source, AHEAD) as ahead, job.ended(ahead) if source.endless else contextlib.nullcontext():
        frames = iter(ahead)
        with job.progress.stage("reading", 1) as stage:
            first = next(frames, None)
            if first is None:
                raise KeyboardInterrupt  # stopped before there was anything
            fitted = _fitted(first, job)
            settings = dataclasses.replace(job.settings, window=fitted.window)
            ahead.most = settings.window - settings.overlap if settings.window else AHEAD
            job.progress.expect(source.estimated, settings.window, settings.overlap)
            live = _Live(source, ahead, settings, job.note) if source.endless else None
            windows = cut(source, itertools.chain([first], frames), settings)
            windows = itertools.chain([next(windows)], windows)
            stage.advance()
        with ResultWriter(
            job.out, source.name, job.overlay, source.playback, job.formats, job.dilate, job.report
        ) as writer:
            write = _timed(writer.add, job.progress)
            with Behind(live.watched(write) if live else write) as behind:
                try:
                    for piece in job.find(source, windows, job, settings):
                        behind.put(piece)
                        del piece  # or its frames stay until the next window is done
                except KeyboardInterrupt:
                    if not (source.endless and writer.record.frames):
                        raise
                with job.progress.stage("finishing", 1) as stage:
                    behind.wait()
                    facts = {**job.about(), "settings": dataclasses.asdict(settings)}
                    facts["input"] = {**facts.get("input", {}), **source.facts()}
                    facts |= {"live": live.facts()} if live else {}
                    if live:
                        job.note(live.summary)
                    facts["memory"] = _memory(fitted, job.note)
                    folder = writer.finish(facts, source.count)
                    stage.advance()
    line = f"{source.label}: {writer.summary} -> {folder}"
    return Processed(line, writer.record.count, writer.record.frames)


def _timed(write: Callable[[WindowResult], None], progress: Progress) -> Callable[[WindowResult], None]:
    """Return ``write`` with a word to ``progress`` of what it took."""

    def timed(piece: WindowResult) -> None:
        begun = time.perf_counter()
        write(piece)
        progress.wrote(len(piece.clip.frames), time.perf_counter() - begun)

    return timed


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

    @property
    def summary(self) -> str:
        """In words how far the masks were behind and what was lost."""
        dropped = self._ahead.dropped
        return (
            f"{self._source.label}: masks came {self._worst:.1f} s after their frames at most, "
            f"{dropped} frame{'' if dropped == 1 else 's'} dropped"
        )

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
