"""Lanes: results in order whatever the timing, at most so many at once, errors without stragglers."""

import threading
import time
from collections.abc import Iterator

import pytest

from samotion.engines.worker_pool import AHEAD, Lanes, lanes_for


@pytest.mark.parametrize("count", [1, 2, 4])
def test_results_come_in_order_whatever_the_timing(count: int) -> None:
    lanes = Lanes(count)

    def slow_first(part: int) -> int:
        time.sleep(0.02 if part % 3 == 0 else 0)
        return part * part

    assert list(lanes.spread(slow_first, range(20))) == [part * part for part in range(20)]
    lanes.close()


@pytest.mark.parametrize("count", [1, 3])
def test_work_runs_side_by_side_and_never_far_ahead(count: int) -> None:
    lanes, lock = Lanes(count), threading.Lock()
    running, most, begun = 0, 0, []

    def work(part: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            begun.append(part)
        time.sleep(0.01)
        with lock:
            running -= 1
        return part

    for done in lanes.spread(work, range(30)):
        with lock:
            assert max(begun) <= done + (AHEAD + 1) * count
    assert most == count
    lanes.close()


def test_one_lane_works_on_the_caller_s_thread() -> None:
    lanes = Lanes(1)
    assert set(lanes.spread(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}


def test_an_error_arrives_in_order_and_nothing_goes_on_after_it() -> None:
    lanes, done = Lanes(2), []

    def work(part: int) -> int:
        if part == 3:
            raise ValueError("part 3")
        time.sleep(0.02)
        done.append(part)
        return part

    results: list[int] = []

    def endless() -> Iterator[int]:
        part = 0
        while True:
            yield part
            part += 1

    with pytest.raises(ValueError, match="part 3"):
        results.extend(lanes.spread(work, endless()))
    at_the_error = list(done)
    time.sleep(0.1)
    assert done == at_the_error
    assert len(done) < 20
    assert list(lanes.spread(lambda part: part, range(3))) == [0, 1, 2]  # still of use
    lanes.close()


def test_cores_are_shared_out() -> None:
    assert [lanes_for(cores) for cores in (1, 2, 3, 4, 7, 8, 16, 64)] == [1, 2, 2, 2, 2, 4, 4, 8]
