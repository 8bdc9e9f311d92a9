"""Reading ahead: in order, bounded, and loud when something goes wrong."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.prefetch import FramesAhead
from samotion.runtime.sources.source import Source
from samotion.runtime.values import Bytes

SOON = 5.0  # seconds


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread will make true."""
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Counter(Source):
    """Numbered frames, of which ``limit`` (None: all) may be read for now."""

    def __init__(self, count: int, real_time: bool = False, error: Exception | None = None) -> None:
        super().__init__("counter", "counter", None, Settings())
        self.real_time = real_time
        self.limit: int | None = None
        self._total = count
        self._error = error

    @property
    def fps(self) -> Fraction:
        return Fraction(10)

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        for number in range(self._total):
            while self.limit is not None and number >= self.limit and not self.stopped:
                time.sleep(0.002)
            yield np.full((16, 16, 3), number % 256, np.uint8), None, str(number)
        if self._error is not None:
            raise self._error


def indices(ahead: FramesAhead) -> list[int]:
    return [frame.stamp.index for frame in ahead]


def test_all_frames_come_in_order() -> None:
    with FramesAhead(Counter(50), 7) as ahead:
        assert indices(ahead) == list(range(50))
    assert (ahead.dropped, ahead.stride) == (0, 1)


def test_a_source_that_waits_is_held_up() -> None:
    source = Counter(50)
    with FramesAhead(source, 7) as ahead:
        until(lambda: source.count == 8)
        time.sleep(0.05)
        assert source.count == 8, "seven wait, one is at the door"
        frames = iter(ahead)
        for _ in range(10):
            next(frames)
        until(lambda: source.count == 18)


def test_a_source_in_real_time_is_thinned(caplog: pytest.LogCaptureFixture) -> None:
    source = Counter(40, real_time=True)
    source.limit = 8
    with caplog.at_level(logging.WARNING, "samotion"), FramesAhead(source, 8) as ahead:
        until(lambda: source.count == 8)
        assert ahead.dropped == 0
        source.limit = None  # frame 8 finds no room, and 1 3 5 7 go; nor does 16, and 2 6 10 14 go; nor does 32
        until(lambda: source.count == 40)
        found = indices(ahead)
    assert found == [0, 8, 16, 24, 32]
    assert (ahead.stride, ahead.dropped) == (8, 35)
    assert [record.getMessage().split()[-3] for record in caplog.records] == ["2", "4", "8"]


def test_frames_that_are_taken_in_time_are_all_kept() -> None:
    source = Counter(30, real_time=True)
    source.limit = 0
    with FramesAhead(source, 4) as ahead:
        found = list(_fed(source, ahead))
    assert found == list(range(30))
    assert ahead.dropped == 0


def _fed(source: Counter, ahead: FramesAhead) -> Iterator[int]:
    """Let one more frame come whenever one was taken."""
    source.limit = 1
    for frame in ahead:
        yield frame.stamp.index
        source.limit = (source.limit or 0) + 1


def test_an_error_comes_after_the_frames_before_it() -> None:
    with FramesAhead(Counter(5, error=InputError("broken")), 9) as ahead:
        frames = iter(ahead)
        found = [next(frames).stamp.index for _ in range(5)]
        with pytest.raises(InputError, match="broken"):
            next(frames)
    assert found == list(range(5))


def test_stopping_keeps_what_was_read() -> None:
    source = Counter(1000)
    source.limit = 12
    with FramesAhead(source, 50) as ahead:
        until(lambda: source.count == 12)
        ahead.stop()
        assert indices(ahead)[:12] == list(range(12))
    assert source.stopped


def test_leaving_ends_the_reading() -> None:
    source = Counter(10**9)
    with FramesAhead(source, 5) as ahead:
        next(iter(ahead))
    until(lambda: not any(thread.name == "reading" for thread in threading.enumerate()))
