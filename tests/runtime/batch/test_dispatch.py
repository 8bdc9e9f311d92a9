"""Workers that die, hang or fail: every input gets one outcome, and the rest goes on."""

import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.runtime.batch.dispatch import TRIES, Dispatcher, WorkerDied
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import DONE, FAILED, Outcome


@dataclass(frozen=True)
class Run:
    number: int
    item: Input


class FakePool:
    """Workers without work. An input's path says how it ends: done, failed, or how often its worker dies first."""

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        self.begun: Counter[str] = Counter()
        self.most = self.abandoned = 0
        self._running: dict[Run, None] = {}
        self._random = random.Random(seed)
        self._number = 0

    def start(self, item: Input) -> Run:
        self._number += 1
        run = Run(self._number, item)
        self._running[run] = None
        self.begun[item.name] += 1
        self.most = max(self.most, len(self._running))
        return run

    def wait(self, runs: Sequence[Run], seconds: float) -> Sequence[Run]:
        able = [run for run in runs if run.item.path != "hangs"]
        if not able:
            time.sleep(min(seconds, 0.02))
        return [self._random.choice(able)] if able else []

    def outcome(self, run: Run) -> Outcome:
        del self._running[run]
        if run.item.path.isdigit() and self.begun[run.item.name] <= int(run.item.path):
            raise WorkerDied("the worker died")
        return Outcome(FAILED if run.item.path == "fails" else DONE, run.item.path)

    def abandon(self, run: Run) -> None:
        del self._running[run]
        self.abandoned += 1


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["0", "1", str(TRIES - 1), str(TRIES), "9", "fails"]), max_size=30),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_every_input_has_one_outcome(paths: list[str], size: int, seed: int) -> None:
    pool, told = FakePool(size, seed), {}
    inputs = [Input(path, str(number)) for number, path in enumerate(paths)]

    def tell(item: Input, outcome: Outcome) -> None:
        assert item not in told
        told[item] = outcome

    Dispatcher(pool, None, tell).work_through(inputs)
    assert told.keys() == set(inputs)
    for item, outcome in told.items():
        dies = int(item.path) if item.path.isdigit() else 0
        assert outcome.attempts == pool.begun[item.name] == min(dies + 1, TRIES)
        assert outcome.status == (FAILED if item.path == "fails" or dies >= TRIES else DONE)
    assert pool.most <= size


def test_what_hangs_is_ended_by_the_time_limit_and_the_rest_goes_on() -> None:
    pool, told = FakePool(2), {}
    inputs = [Input("hangs", "a"), Input("0", "b"), Input("0", "c"), Input("hangs", "d"), Input("0", "e")]
    Dispatcher(pool, 0.1, lambda item, outcome: told.update({item.name: outcome})).work_through(inputs)
    assert {name for name, outcome in told.items() if outcome.status == FAILED} == {"a", "d"}
    assert told.keys() == set("abcde")
    assert told["a"].message == "not done within 0.1 s"
    assert pool.abandoned == 2


def test_ten_thousand_inputs_on_sixty_four_workers_take_little_time_and_memory() -> None:
    pool, ended = FakePool(64), Counter[str]()
    kinds = ["0"] * 90 + ["1"] * 6 + ["fails"] * 3 + ["9"]
    peaks = []

    def inputs(count: int) -> Iterator[Input]:
        for number in range(count):
            yield Input(kinds[number % 100], str(number))

    def tell(_: Input, outcome: Outcome) -> None:
        ended[outcome.status] += 1
        if sum(ended.values()) % 1000 == 0:
            peaks.append(tracemalloc.get_traced_memory()[0] - pool_size(pool))

    tracemalloc.start()
    begun = time.process_time()
    Dispatcher(pool, 3600, tell).work_through(inputs(10_000))
    spent = time.process_time() - begun
    tracemalloc.stop()
    assert ended == {DONE: 9600, FAILED: 400}
    assert spent / 10_000 < 0.005  # seconds of the driver's for each input
    assert max(peaks[1:]) - min(peaks[1:]) < 2**20  # bytes


def pool_size(pool: FakePool) -> int:
    """What the stand-in itself keeps, about: it counts every input."""
    return 150 * len(pool.begun)
