"""The comparison of a worker a core with one process: both do all the work, in turns."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import pytest

from samotion.benchmarks.speed import workers
from samotion.engines.errors import InputError
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import DONE, Outcome
from samotion.runtime.batch.worker import Request

done: Counter[str] = Counter()


class Pool:
    """A pool of one worker that needs no time."""

    size = 1

    def __init__(self, *_: Any) -> None:
        pass

    def start(self, item: Input) -> Input:
        done[f"ray {item.name}"] += 1
        return item

    def wait(self, runs: Sequence[Input], _: float) -> Sequence[Input]:
        return runs

    def outcome(self, _: Input) -> Outcome:
        return Outcome(DONE, "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Worker:
    """A worker that needs no time."""

    def __init__(self, request: Request, _: Any) -> None:
        assert request.threads == 0

    def run(self, item: Input) -> None:
        done[f"one {item.name}"] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_both_sides_do_all_clips_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "RayPool", Pool)
    monkeypatch.setattr(workers, "Worker", Worker)
    monkeypatch.setattr(workers, "SIZE", {"frames": 2, "height": 64, "width": 96})
    record = workers.measure(2, 3)
    assert done == {"one 0": 4, "ray 0": 4, "one 1": 3, "ray 1": 3}, "the first clip also warms"
    assert [list(pair) for pair in record["pairs"]] == [
        ["one_process", "ray_local"],
        ["ray_local", "one_process"],
        ["one_process", "ray_local"],
    ]
    low, high = record["ratio_interval"]
    assert low <= record["ratio"] <= high


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(InputError, match="expected at least 1"):
        workers.measure(0, 1)
