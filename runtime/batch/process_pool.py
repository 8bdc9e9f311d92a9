"""Worker processes on this machine, each with its bundle loaded once."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Self

from samotion.engines.worker_pool import usable_cores
from samotion.runtime.batch.dispatch import WorkerDied
from samotion.runtime.batch.ledger import Outcome
from samotion.runtime.batch.stretch import Stretch
from samotion.runtime.batch.worker import IsolatedWorker, Request


@dataclass(frozen=True, eq=False)
class _Hand:
    """A worker process and this end of its pipe."""

    process: BaseProcess
    pipe: Connection


class ProcessPool:
    """``size`` processes that share this machine's cores, or the threads of ``request``; a context manager."""

    def __init__(self, size: int, request: Request) -> None:
        self.size = size
        threads = max(1, (request.threads or usable_cores()) // size)
        self._request = replace(request, threads=threads)
        self._every: list[_Hand] = []
        self._free = [self._hand() for _ in range(size)]

    def start(self, item: Stretch) -> _Hand:
        """Let a free process begin with a stretch."""
        hand = self._free.pop()
        with contextlib.suppress(BrokenPipeError):  # it died while it was idle: its outcome says so
            hand.pipe.send(item)
        return hand

    def wait(self, runs: Sequence[_Hand], seconds: float) -> Sequence[_Hand]:
        """Return those that have ended, after at most so many seconds."""
        ready = wait([hand.pipe for hand in runs], seconds)
        return [hand for hand in runs if hand.pipe in ready]

    def outcome(self, run: _Hand) -> Outcome:
        """Return what became of an ended run; raises WorkerDied, and starts another process then."""
        try:
            outcome: Outcome = run.pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            self.abandon(run)
            raise WorkerDied("the worker that was at it died") from error
        self._free.append(run)
        return outcome

    def abandon(self, run: _Hand) -> None:
        """End the process that is at a run, and start another."""
        self._end(run)
        self._free.append(self._hand())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hand in list(self._every):
            self._end(hand)

    def _hand(self) -> _Hand:
        # A forked child would have the threads' locks without the threads.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._request), daemon=True)
        process.start()
        theirs.close()
        self._every.append(_Hand(process, ours))
        return self._every[-1]

    def _end(self, hand: _Hand) -> None:
        self._every.remove(hand)
        hand.process.kill()
        hand.process.join()
        hand.pipe.close()


def _serve(pipe: Connection, request: Request) -> None:
    """Do what comes through the pipe until its other end is closed or gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group: who started this ends it
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    worker = IsolatedWorker(request)
    while True:
        pipe.send(worker.run(pipe.recv()))


def _end_with(parent: int) -> None:
    """End this process as soon as its parent is gone, however that was killed."""
    wait([parent])
    os._exit(1)
