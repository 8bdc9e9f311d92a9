"""Lanes: a few threads that work on the independent parts of one stage at the same time, results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

Part = TypeVar("Part")
Answer = TypeVar("Answer")

AHEAD = 2  # parts a lane may be ahead of the one whose result is awaited: keeps lanes busy and memory bounded


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def lanes_for(cores: int) -> int:
    """Return how many lanes to make of ``cores``: a power of two near their root, so 2 of 2 to 7, 4 of 8 to 31.

    Two runs of a small network on a core each are faster than one run on both; each lane holds a run's memory
    though, and large networks spread well over cores by themselves, so many cores are shared out both ways.
    """
    return 1 << (cores.bit_length() // 2)


class Lanes:
    """``count`` threads, started on first use; with one, all work is done by the caller."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    def spread(self, work: Callable[[Part], Answer], parts: Iterable[Part]) -> Iterator[Answer]:
        """Yield ``work(part)`` of every part, in order, whatever the timing.

        ``work`` runs on other threads and must not change what another part reads. What it raises is raised
        here, after the parts in progress have ended; parts not yet begun are dropped.
        """
        if self.count == 1:
            yield from map(work, parts)
            return
        self._pool = self._pool or ThreadPoolExecutor(self.count, "lane")
        waiting: deque[Future[Answer]] = deque()
        try:
            for part in parts:
                waiting.append(self._pool.submit(work, part))
                if len(waiting) > AHEAD * self.count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)

    def close(self) -> None:
        """End the threads, once they are done with what they are at."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
