"""Progress of the stages: a live bar on a terminal, plain lines elsewhere, or silence."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol, TextIO


class Stage(Protocol):
    """One running stage."""

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more of the stage's steps as done."""
        ...


class _Uncounted:
    def advance(self, n: int = 1) -> None:
        pass


class Progress:
    """Tells nobody; the base of the others."""

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


class _Bar:
    def __init__(self, title: str, name: str, total: int, stream: TextIO, leave: bool) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            desc=f"{title}: {name}",
            total=total,
            file=stream,
            leave=leave,
            dynamic_ncols=True,
            bar_format="{desc:<28} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {elapsed}, {remaining} left",
        )

    def advance(self, n: int = 1) -> None:
        self._bar.update(n)

    def close(self) -> None:
        self._bar.close()


class BarProgress(Progress):
    """A live bar a stage with the time left; ``title`` starts each; ``leave``: they stay when they are done."""

    def __init__(self, stream: TextIO, title: str, leave: bool = True) -> None:
        self._stream = stream
        self._title = title
        self._leave = leave

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Run one stage under its bar."""
        with contextlib.closing(_Bar(self._title, name, total, self._stream, self._leave)) as bar:
            yield bar

    @contextlib.contextmanager
    def window(self, start: int, stop: int) -> Iterator[Progress]:
        """Run the stages of one window; the bars of later ones make way for the next."""
        yield self if not start else BarProgress(self._stream, f"{self._title} {_range(start, stop)}", leave=False)


def progress_on(stream: TextIO, title: str, quiet: bool = False) -> Progress:
    """Return the progress that suits ``stream``."""
    if quiet:
        return Progress()
    return BarProgress(stream, title) if stream.isatty() else LineProgress(stream, title)
