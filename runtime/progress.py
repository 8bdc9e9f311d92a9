"""Progress of the stages: a live bar on a terminal, plain lines elsewhere, or silence."""

import contextlib
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from samotion.runtime.time_left import TimeLeft

BAR = "{desc:<28} {percentage:3.0f}% |{bar}| {elapsed}{postfix}"
NO_BAR = "{desc:<28} {elapsed}"  # of an input that nobody knows the length of


class Stage(Protocol):
    """One running stage."""

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more of the stage's steps as done."""
        ...


class _Uncounted:
    def advance(self, n: int = 1) -> None:
        pass


class Progress:
    """Tells nobody; the base of the others. A context manager around the work on one input."""

    def expect(self, frames: int | None, window: int | None, overlap: int) -> None:
        """Learn how many frames there probably are, None if only the end tells, and how they are cut."""

    def wrote(self, frames: int, seconds: float) -> None:
        """Learn how long it took to write so many frames while others were computed; any thread may tell."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what is shown."""

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:  # noqa: ARG002
        """Run one stage of ``total`` steps under ``name``; nothing is announced as done if it fails."""
        yield _Uncounted()

    @contextlib.contextmanager
    def window(self, start: int, stop: int) -> Iterator["Progress"]:  # noqa: ARG002
        """Give the progress for the stages of one window, of frames ``start`` to ``stop`` - 1."""
        yield self


class _Counted:
    """Tells a callback of every step."""

    def __init__(self, name: str, total: int, tell: Callable[[str, int, int], None]) -> None:
        self._name, self._total, self._tell, self._done = name, total, tell, 0

    def advance(self, n: int = 1) -> None:
        self._done += n
        self._tell(self._name, self._done, self._total)


class CallbackProgress(Progress):
    """Calls ``tell`` with a stage's name, its steps done and its steps in all; what that raises ends the run."""

    def __init__(self, tell: Callable[[str, int, int], None]) -> None:
        self._tell = tell

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Run one stage and tell of its steps."""
        self._tell(name, 0, total)
        yield _Counted(name, total, self._tell)


class LineProgress(Progress):
    """One plain line a stage, and from the second window on a line a window, when it is done, with its seconds.

    ``title`` starts each line.
    """

    def __init__(self, stream: TextIO, title: str) -> None:
        self._stream = stream
        self._title = title

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:  # noqa: ARG002
        """Run one stage and print its line."""
        start = time.perf_counter()
        yield _Uncounted()
        print(f"{self._title}: {name} {time.perf_counter() - start:.1f} s", file=self._stream, flush=True)

    @contextlib.contextmanager
    def window(self, start: int, stop: int) -> Iterator[Progress]:
        """Run the stages of one window; those of later ones share a line."""
        if not start:
            yield self
            return
        with self.stage(_range(start, stop), 1):
            yield Progress()


def _range(start: int, stop: int) -> str:
    return f"frames {start}-{stop - 1}"


class _Steps:
    """Tells of the part of a stage that is done."""

    def __init__(self, total: int, tell: Callable[[float], None]) -> None:
        self._total, self._tell, self._done = total, tell, 0

    def advance(self, n: int = 1) -> None:
        self._done += n
        self._tell(self._done / self._total if self._total else 1.0)


class BarProgress(Progress):
    """One live bar for the whole input, with the time left; in a notebook it is a widget. ``title`` starts it."""

    def __init__(self, stream: TextIO, title: str, left: TimeLeft | None = None) -> None:
        self._stream = stream
        self._title = title
        self._left = left or TimeLeft()
        self._in_window = False
        self._bar: Any = None

    def expect(self, frames: int | None, window: int | None, overlap: int) -> None:
        """Learn how many frames there probably are, None if only the end tells, and how they are cut."""
        self._show("reading")
        self._left.expect(frames, window, overlap)
        if frames is not None:
            self._bar.bar_format = BAR
            self._bar.reset(total=frames)

    def wrote(self, frames: int, seconds: float) -> None:
        """Learn how long it took to write so many frames while others were computed; any thread may tell."""
        self._left.wrote(frames, seconds)

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Run one stage and show how far it is."""

        def tell(part: float) -> None:
            if self._in_window:
                self._left.at(part)
            self._show(name)

        if self._in_window:
            self._left.begin_stage(name, total)
        self._show(name)
        yield _Steps(total, tell)

    @contextlib.contextmanager
    def window(self, start: int, stop: int) -> Iterator[Progress]:
        """Run the stages of one window and learn from what they take."""
        self._left.begin_window(stop - start)
        self._in_window = True
        yield self
        self._left.end_window()
        self._in_window = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is None:
            return
        if error is None and self._bar.total:
            self._bar.n = self._bar.total
            self._bar.set_postfix_str("", refresh=False)
        self._bar.close()

    def _show(self, name: str) -> None:
        from tqdm.auto import tqdm

        if self._bar is None:
            self._bar = tqdm(file=self._stream, dynamic_ncols=True, miniters=0, bar_format=NO_BAR)
        self._bar.set_description_str(f"{self._title}: {name}", refresh=False)
        seconds = self._left.seconds
        self._bar.set_postfix_str("" if seconds is None else f"{tqdm.format_interval(seconds)} left", refresh=False)
        done = self._left.done
        self._bar.update(0 if done is None else max(done * self._bar.total - self._bar.n, 0))


def progress_on(stream: TextIO, title: str, quiet: bool = False) -> Progress:
    """Return the progress that suits ``stream``."""
    if quiet:
        return Progress()
    return BarProgress(stream, title) if stream.isatty() else LineProgress(stream, title)
