"""The harness sees every way in which an input can end."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest
from tests.fuzz.harness import End, attempt, damaged

from samotion.engines.errors import BundleError


def refusing(words: str) -> None:
    raise BundleError(words)


@pytest.mark.parametrize(
    ("work", "end"),
    [
        (lambda: None, End.RIGHT),
        (lambda: refusing("one line"), End.CLEAN),
        (lambda: refusing("two\nlines"), End.UNCAUGHT),
        (lambda: refusing("\x1b[1mbold"), End.UNCAUGHT),
        (lambda: int("x"), End.UNCAUGHT),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), End.CRASH),
        (lambda: time.sleep(60), End.HANG),
        (lambda: bytearray(3 << 30), End.MEMORY),
    ],
    ids=["right", "clean", "two lines", "control", "uncaught", "crash", "hang", "memory"],
)
def test_every_end_is_seen(work: Callable[[], object], end: End) -> None:
    assert attempt(work, seconds=1)[0] == end


def test_damage_repeats_by_its_seed() -> None:
    data = bytes(range(256)) * 8
    assert damaged(data, random.Random(3)) == damaged(data, random.Random(3))
    assert any(damaged(data, random.Random(seed)) != data for seed in range(3))
