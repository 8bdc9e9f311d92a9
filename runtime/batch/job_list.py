"""A whole job: every input of it once, whatever happens to one of them, and what is left of an earlier run of it."""

import contextlib
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from samotion.engines.atomic import clear_away
from samotion.engines.errors import OutputError, SamotionError
from samotion.engines.program import FAILED as USERS_ERROR
from samotion.engines.program import tell
from samotion.runtime.batch.dispatch import Dispatcher
from samotion.runtime.batch.fingerprint import is_done
from samotion.runtime.batch.inputs import Input, Shard, gather, read_list
from samotion.runtime.batch.ledger import DONE, FAILED, Ledger, Outcome
from samotion.runtime.batch.live_streams import LiveStreams
from samotion.runtime.batch.process_pool import ProcessPool
from samotion.runtime.batch.ray_pool import RayPool
from samotion.runtime.batch.split import Splitting
from samotion.runtime.batch.worker import Request, Worker, asked
from samotion.runtime.console import PROGRAM, fail, message_of, note
from samotion.runtime.sources.live import is_live

BUG = 70  # EX_SOFTWARE of sysexits.h


@dataclass(frozen=True)
class Plan:
    """How a job's inputs are worked off.

    listing: a file that names further inputs. keep_tree: see inputs.gather. resume: leave out what is done. shard:
    which part of the inputs is this process's, None for all. ray: address of the cluster that works, None for this
    process. limit: seconds that one input may take on the cluster, None for any. split: in how many stretches each
    input is worked on, None for as a whole; by processes here, or by the cluster.
    """

    listing: Path | None = None
    keep_tree: bool = False
    resume: bool = False
    shard: Shard | None = None
    ray: str | None = None
    limit: float | None = None
    split: int | None = None

    @property
    def is_batch(self) -> bool:
        """Whether more was asked for than one input after the other."""
        return replace(self, split=None) != Plan()


def run_job(given: Sequence[str], request: Request, plan: Plan) -> int:
    """Work off what the paths ``given`` name and return the exit status: 0 done, 2 an input failed, 70 a bug.

    Raises SamotionError where nothing can be begun.
    """
    texts = [*given, *(read_list(plan.listing) if plan.listing else [])]
    asked(request)  # a bundle that is not there is an error before OUT is made
    names = Ledger.names(request.out) if plan.resume else {}
    inputs: Sequence[Input] = gather(texts, plan.keep_tree, names)
    inputs = plan.shard.of(inputs) if plan.shard else inputs
    ledger = Ledger(request.out) if plan.is_batch or len(inputs) > 1 else None
    log = _Log(request.out, ledger, len(inputs), request.quiet)
    left = log.without_done(inputs, request) if plan.resume else inputs
    try:
        if plan.split and left:
            with _splitting(request, plan) as splitting, Worker(request, note) as worker:
                for item in left:
                    log.add(item, _attempt(partial(splitting.run, worker), item, log))
        elif plan.ray and left:
            with RayPool(plan.ray, request) as pool:
                Dispatcher[Input, Any](pool, plan.limit, log.add).work_through(left)
        elif left:
            with Worker(request, note) as worker:
                _work_off(worker, left, log, request.quiet)
    finally:
        log.settle()
    return log.status


def _work_off(worker: Worker, items: Sequence[Input], log: "_Log", quiet: bool) -> None:
    """Work in this process: on the live sources side by side, for they do not wait, then on one after the other."""

    def attempt(run: Callable[[Input], Outcome], item: Input) -> None:
        log.add(item, _attempt(run, item, log))

    live = [item for item in items if is_live(item.path)]
    together = live if len(live) > 1 else []
    if together:
        LiveStreams(worker, together, quiet).run(attempt)
    for item in items:
        if item not in together:
            attempt(worker.run, item)


@contextlib.contextmanager
def _splitting(request: Request, plan: Plan) -> Iterator[Splitting]:
    """Give the workers that inputs are split among."""
    assert plan.split
    with RayPool(plan.ray, request) if plan.ray else ProcessPool(plan.split, request) as pool:
        yield Splitting(pool, plan.split, plan.limit, 1 if plan.ray else plan.split)


def _attempt(run: Callable[[Input], Outcome], item: Input, log: "_Log") -> Outcome:
    """Return what became of an input; a bug is shown in full, and the other inputs still get their turn."""
    try:
        return run(item)
    except SamotionError as error:
        return Outcome(FAILED, message_of(error))
    except Exception as error:
        log.status = BUG
        traceback.print_exc()
        return Outcome(FAILED, f"a bug: {type(error).__name__}: {message_of(error)}")


class _Log:
    """Tells of every outcome, on the terminal and in the ledger."""

    def __init__(self, out: Path, ledger: Ledger | None, count: int, quiet: bool) -> None:
        self.status = 0
        self._turn = threading.Lock()
        self._out = out
        self._ledger = ledger
        self._count = count
        self._quiet = quiet
        self._begun = time.monotonic()
        self._ended = self._failed = self._skipped = 0

    def without_done(self, inputs: Sequence[Input], request: Request) -> list[Input]:
        """Return the inputs whose answers are not there yet."""
        wanted = asked(request)
        left = [item for item in inputs if not is_done(request.out, item, wanted, request.hashed)]
        self._skipped = self._ended = len(inputs) - len(left)
        note(f"{self._skipped} of {len(inputs)} inputs are done already")
        return left

    def add(self, item: Input, outcome: Outcome) -> None:
        """Report one more outcome; threads may do so."""
        with self._turn:
            self._add(item, outcome)

    def _add(self, item: Input, outcome: Outcome) -> None:
        self._ended += 1
        if outcome.status == DONE:
            self.status = max(self.status, tell(outcome.message, PROGRAM))
        else:
            self._failed += 1
            self.status = max(self.status, USERS_ERROR)
            fail(SamotionError(outcome.message))
            with contextlib.suppress(OutputError):  # somebody else writes it, or it is no place to write to
                clear_away(self._out / item.name)  # a worker that was killed could not
        if self._ledger:
            self._ledger.add(item.path, item.name, outcome)
            if not self._quiet and self._count > 1:
                print(f"{PROGRAM}: {self._so_far()}", file=sys.stderr, flush=True)

    def settle(self) -> None:
        """Bring the ledger in order."""
        if self._ledger:
            self._ledger.settle()

    def _so_far(self) -> str:
        """Return how far the job is and how long the rest will take at the pace until now."""
        rest = self._count - self._ended
        pace = (time.monotonic() - self._begun) / max(self._ended - self._skipped, 1)
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._ended} of {self._count} inputs{failed}" + (
            f", about {_clock(pace * rest)} left" if rest else ""
        )


def _clock(seconds: float) -> str:
    """Return a time as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
