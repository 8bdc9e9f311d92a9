"""Work handed to workers that may die or hang, until every item of it has an outcome."""

import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from samotion.engines.errors import SamotionError
from samotion.runtime.batch.ledger import FAILED, Outcome

TRIES = 3  # how often an item may take its worker along before it counts as failed
LOOK = 1.0  # seconds between two looks at the time limit

Item = TypeVar("Item")  # an input, or a stretch of one
Item_contra = TypeVar("Item_contra", contravariant=True)
Run = TypeVar("Run", bound=Hashable)


class WorkerDied(Exception):
    """The worker that was at an item is gone; another takes its place."""


class Pool(Protocol[Item_contra, Run]):
    """Workers of one kind, ``size`` of them."""

    size: int

    def start(self, item: Item_contra) -> Run:
        """Let a free worker begin with an item."""

    def wait(self, runs: Sequence[Run], seconds: float) -> Sequence[Run]:
        """Return those that have ended, after at most so many seconds."""

    def outcome(self, run: Run) -> Outcome:
        """Return what became of an ended run; raises WorkerDied."""

    def abandon(self, run: Run) -> None:
        """End the worker that is at a run, and put another in its place."""


@dataclass
class _Running(Generic[Item]):
    item: Item
    attempt: int
    begun: float


class Dispatcher(Generic[Item, Run]):
    """Keeps every worker of a pool at one item; what waits is only ever the items themselves.

    limit: seconds that one may take, None for any. tell: receives every outcome as it comes.
    """

    def __init__(self, pool: Pool[Item, Run], limit: float | None, tell: Callable[[Item, Outcome], None]) -> None:
        self._pool = pool
        self._limit = limit
        self._tell = tell
        self._running: dict[Run, _Running[Item]] = {}
        self._again: deque[tuple[Item, int]] = deque()

    def work_through(self, items: Iterable[Item]) -> None:
        """Return when every outcome has been reported; where reporting raises SamotionError, the rest is ended."""
        try:
            self._work_through(iter(items))
        except SamotionError:
            for run in self._running:
                self._pool.abandon(run)
            raise

    def _work_through(self, fresh: Iterator[Item]) -> None:
        while True:
            while len(self._running) < self._pool.size and (following := self._next(fresh)):
                item, attempt = following
                self._running[self._pool.start(item)] = _Running(item, attempt, time.monotonic())
            if not self._running:
                return
            for run in self._pool.wait(list(self._running), LOOK):
                self._end(run)
            self._stop_overdue()

    def _next(self, fresh: Iterator[Item]) -> tuple[Item, int] | None:
        """Return an item to begin with and the number of the attempt; those that lost their worker come last."""
        for item in fresh:
            return item, 1
        return self._again.popleft() if self._again else None

    def _end(self, run: Run) -> None:
        running = self._running.pop(run)
        try:
            outcome = replace(self._pool.outcome(run), attempts=running.attempt)
        except WorkerDied as error:
            if running.attempt < TRIES:
                self._again.append((running.item, running.attempt + 1))
                return
            outcome = Outcome(FAILED, f"{error}, {TRIES} times", attempts=running.attempt)
        self._tell(running.item, outcome)

    def _stop_overdue(self) -> None:
        """End what takes longer than the limit; trying it again would take as long."""
        if self._limit is None:
            return
        overdue = [run for run, own in self._running.items() if time.monotonic() - own.begun > self._limit]
        for run in overdue:
            running = self._running.pop(run)
            self._pool.abandon(run)
            seconds = time.monotonic() - running.begun
            message = f"not done within {self._limit:g} s"
            self._tell(running.item, Outcome(FAILED, message, seconds=seconds, attempts=running.attempt))
