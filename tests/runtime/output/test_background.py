"""Writing behind: in order, one item at a time, and loud when something goes wrong."""

import threading
import time
from collections.abc import Callable

import pytest

from samotion.runtime.output.background import Behind

SOON = 5.0  # seconds


def test_work_behind_keeps_the_order_and_holds_up() -> None:
    gate, done = threading.Semaphore(0), []

    def work(item: int) -> None:
        gate.acquire()
        done.append(item)

    with Behind(work) as behind:
        behind.put(1)
        second = threading.Thread(target=behind.put, args=(2,))
        second.start()
        time.sleep(0.05)
        assert second.is_alive(), "one item at a time"
        gate.release(2)
        second.join(SOON)
    assert done == [1, 2]


def test_what_is_handed_over_is_done_at_the_end() -> None:
    done: list[int] = []
    with Behind(done.append) as behind:
        behind.put(1)
    assert done == [1]


@pytest.mark.parametrize("error", [OSError(28, "full"), KeyboardInterrupt()])
def test_errors_of_the_work_reach_who_brings_it(error: BaseException) -> None:
    def work(_: int) -> None:
        raise error

    for count in (1, 3):  # told at the end, or to whoever brings the next item
        with pytest.raises(type(error)):
            _bring(work, count)


def _bring(work: Callable[[int], None], count: int) -> None:
    with Behind(work) as behind:
        for item in range(count):
            behind.put(item)


def test_an_error_of_the_block_stands() -> None:
    def work(_: int) -> None:
        raise OSError

    def fail() -> None:
        with Behind(work) as behind:
            behind.put(1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
