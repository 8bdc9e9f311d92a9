"""The time left, against what the rest then takes, by a clock of the test's own."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from samotion.runtime.settings import Settings
from samotion.runtime.sources.arrays import ArraySource
from samotion.runtime.sources.windows import cut
from samotion.runtime.time_left import STAGES, USUAL, WAITING, WRITING, TimeLeft, window_lengths

STEPS = 8
QUARTER = 0.25


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def read(
    lengths: Sequence[int], objects: Sequence[int], paces: dict[str, float], rng: np.random.Generator
) -> list[tuple[int, float, float | None]]:
    """Return in which window when which time left was read; every stage of a window takes up to a tenth off its pace.

    objects: of each window. paces: seconds a step.
    """
    clock = Clock()
    left, found = TimeLeft(clock), []
    left.expect(lengths[0] + sum(length - 8 for length in lengths[1:]), 120, 8)
    for number, (length, moving) in enumerate(zip(lengths, objects, strict=True)):
        clock.now += paces[WAITING] * length
        left.begin_window(length)
        for stage in STAGES[1:]:
            steps = length * (moving if stage == "masks" else min(moving, 1) if stage == "encoder" else 1)
            if not steps or stage == "carrying":
                continue
            left.begin_stage(stage, steps)
            spent = paces[stage] * steps * rng.uniform(0.9, 1.1)
            for step in range(STEPS):
                left.at(step / STEPS)
                found.append((number, clock.now, left.seconds))
                clock.now += spent / STEPS
        left.end_window()
        found.append((number, clock.now, left.seconds))
        left.wrote(length, paces[WRITING] * length)
    clock.now += paces[WRITING] * (lengths[-1] - 8 * (len(lengths) > 1))
    return [*found, (len(lengths), clock.now, 0.0)]


def share_right(found: list[tuple[int, float, float | None]]) -> float:
    """Return the share of what was read after the first window that is right within a quarter."""
    end = found[-1][1]
    later = [(end - now, left) for window, now, left in found[:-1] if window]
    return float(np.mean([left is not None and abs(left - true) <= QUARTER * true for true, left in later]))


@pytest.mark.parametrize("seed", range(40))
def test_it_is_right_within_a_quarter_whatever_the_stages_take(seed: int) -> None:
    rng = np.random.default_rng(seed)
    paces = {stage: usual * 10 ** rng.uniform(-1, 1) for stage, usual in USUAL.items()}  # far from the usual
    paces[WRITING] = min(paces[WRITING], paces["tracks"])  # or it would hold up the rest
    lengths = window_lengths(int(rng.integers(300, 2000)), 120, 8)
    objects = [int(rng.integers(1, 4))] * len(lengths)
    assert share_right(read(lengths, objects, paces, rng)) >= 0.95


@pytest.mark.parametrize("seed", range(20))
def test_objects_may_come_and_go(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = window_lengths(1500, 120, 8)
    assert share_right(read(lengths, rng.integers(1, 4, len(lengths)).tolist(), USUAL, rng)) >= 0.75


def test_where_nothing_moves_nothing_is_soon_expected_to() -> None:
    lengths = window_lengths(2000, 120, 8)
    assert share_right(read(lengths, [0] * len(lengths), USUAL, np.random.default_rng(0))) >= 0.95


def test_one_window_is_told_by_usual_proportions() -> None:
    slow = {stage: 30 * usual for stage, usual in USUAL.items()}
    found = read([90], [1], slow, np.random.default_rng(0))
    end = found[-1][1]
    assert found[0][2] is None
    assert all(left is not None and abs(left - (end - now)) <= QUARTER * (end - now) for _, now, left in found[1:-1])


def test_nothing_is_claimed_of_an_unknown_length() -> None:
    left = TimeLeft(Clock())
    left.expect(None, 120, 8)
    left.begin_window(10)
    left.begin_stage("tracks", 10)
    left.at(0.5)
    assert left.done is None
    assert left.seconds is None


def test_an_input_may_be_longer_than_expected_and_have_stages_that_nobody_knows() -> None:
    clock = Clock()
    left = TimeLeft(clock)
    left.expect(10, 120, 8)
    for _ in range(3):
        left.begin_window(120)
        for stage in ("tracks", "polishing", "masks"):
            left.begin_stage(stage, 120)
            clock.now += 1
            left.at(0.5)
            assert left.seconds is not None
            assert 0 <= left.seconds < 20
            assert left.done is not None
            assert 0 <= left.done <= 1
        left.end_window()


@pytest.mark.parametrize("window", [0, 16, 17])
@pytest.mark.parametrize("frames", [1, 15, 16, 17, 23, 24, 25, 40, 57])
def test_windows_are_as_long_as_they_will_be_cut(frames: int, window: int) -> None:
    settings = Settings(window=window, overlap=8)
    source = ArraySource(np.zeros((frames, 16, 16, 3), np.uint8), "frames", settings, Fraction(24))
    made = [len(found.clip.frames) for found in cut(source, source.frames(), settings)]
    assert window_lengths(frames, window, 8) == made
