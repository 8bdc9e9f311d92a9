"""Live sources side by side: a thread each, one bundle for all of them, whose turns they take window by window."""

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from samotion.engines.program import one_line
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import FAILED, Outcome
from samotion.runtime.batch.worker import Worker
from samotion.runtime.job import Job, ended_by_signals
from samotion.runtime.memory_budget import DEFAULT
from samotion.runtime.pipeline import Follower
from samotion.runtime.progress import LineProgress, Progress, Stage
from samotion.runtime.settings import Settings
from samotion.runtime.sources.prefetch import FramesAhead
from samotion.runtime.sources.source import Source
from samotion.runtime.sources.windows import Window
from samotion.runtime.values import WindowResult

LOOK = 0.2  # seconds between two looks at whether a stream has ended: signals are handled in between


class LiveStreams:
    """The live ``items`` of a job, worked on by ``worker``, which they share with its memory.

    They end at the first SIGINT, SIGTERM or SIGHUP with what was read by then, at the second with their finished
    windows. Whatever happens to one of them, the others go on.
    """

    def __init__(self, worker: Worker, items: Sequence[Input], quiet: bool) -> None:
        self._worker = worker
        self._items = items
        self._quiet = quiet
        self._turns = _Turns()
        self._reading: list[FramesAhead] = []
        self._stopped = self._hurried = False

    def run(self, attempt: Callable[[Callable[[Input], Outcome], Input], None]) -> None:
        """Have ``attempt`` called with what works on a stream, and each stream, in threads, until all have ended."""
        threads = [
            threading.Thread(target=attempt, args=(self._one, item), name=item.name, daemon=True)
            for item in self._items
        ]
        with ended_by_signals(self._stop, self._hurry):
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(LOOK)

    def _one(self, item: Input) -> Outcome:
        try:
            return self._worker.run(item, self._aside)
        except KeyboardInterrupt:
            return Outcome(FAILED, f"{one_line(item.name)}: interrupted before there was anything to keep")

    def _aside(self, job: Job) -> Job:
        """Return how one of the streams is processed."""
        name = one_line(threading.current_thread().name)
        shown = Progress() if self._quiet else LineProgress(sys.stderr, name)
        return replace(
            job,
            progress=_Interruptible(shown, self._check),
            budget=(job.budget or DEFAULT) // len(self._items),
            find=self._find,
            ended=self._listed,
        )

    def _find(self, _: Source, windows: Iterator[Window], job: Job, settings: Settings) -> Iterator[WindowResult]:
        follower = Follower(job.bundle, settings, job.progress)
        for window in windows:
            with self._turns.turn():
                found = follower.window(window)
            yield found

    @contextlib.contextmanager
    def _listed(self, ahead: FramesAhead) -> Iterator[None]:
        """Keep a stream among those that signals end."""
        self._reading.append(ahead)
        if self._stopped:
            ahead.stop()
        yield

    def _stop(self) -> None:
        self._stopped = True
        for ahead in self._reading:
            ahead.stop()

    def _hurry(self) -> None:
        self._hurried = True

    def _check(self) -> None:
        """Raise KeyboardInterrupt, in any thread, where what is not finished is not wanted any more."""
        if self._hurried:
            raise KeyboardInterrupt


class _Turns:
    """A lock that those who wait get in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and let the next one have it at the end."""
        own = object()
        with self._changed:
            self._waiting.append(own)
            while self._waiting[0] is not own:
                self._changed.wait()
        try:
            yield
        finally:
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()


class _Interruptible(Progress):
    """Shows what ``shown`` shows, and calls ``check`` at every step."""

    def __init__(self, shown: Progress, check: Callable[[], None]) -> None:
        self._shown = shown
        self._check = check

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Run one stage."""
        self._check()
        with self._shown.stage(name, total) as stage:
            yield _Checked(stage, self._check)

    @contextlib.contextmanager
    def window(self, start: int, stop: int) -> Iterator[Progress]:
        """Run the stages of one window."""
        with self._shown.window(start, stop) as shown:
            yield _Interruptible(shown, self._check)


@dataclass(frozen=True)
class _Checked:
    """A stage, with a check at every step."""

    stage: Stage
    check: Callable[[], None]

    def advance(self, n: int = 1) -> None:
        self.check()
        self.stage.advance(n)
