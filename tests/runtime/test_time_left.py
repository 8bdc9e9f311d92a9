"""The time left, against what the rest then takes, by a clock of the test's own."""

from fractions import Fraction

import numpy as np
import pytest

from samotion.runtime.settings import Settings
from samotion.runtime.sources.arrays import ArraySource
from samotion.runtime.sources.windows import cut
from samotion.runtime.time_left import TimeLeft, window_lengths

STAGES = {"tracks": 3.0, "depth": 0.5, "motion": 2.0, "encoder": 0.25, "masks": 4.0}  # ms a frame; far from USUAL
STEPS = 8


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(lengths: list[int], stages: dict[str, float], rng: np.random.Generator) -> list[tuple[float, float | None]]:
    """Return when which time left was told; every stage of every window takes up to a tenth more or less."""
    clock = Clock()
    left, said = TimeLeft(clock), []
    frames = lengths[0] + sum(length - 8 for length in lengths[1:])
    left.expect(frames, 120, 8)
    for number, length in enumerate(lengths):
        left.begin_window(length)
        for stage, pace in stages.items():
            spent = pace * length * rng.uniform(0.9, 1.1) / 1000
            for step in range(STEPS + 1):
                left.at(stage, step / STEPS)
                said.append((clock.now, left.seconds))
                clock.now += spent / STEPS if step < STEPS else 0.02 * spent
            if number and stage == "masks":
                left.at("carrying", 0.0)  # a stage that the first window does not have
                clock.now += 0.02
        left.end_window()
    assert left.done == pytest.approx(1)
    return [*said, (clock.now, 0.0)]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_right_within_a_quarter_after_the_first_window(seed: int) -> None:
    said = told(window_lengths(900, 120, 8), STAGES, np.random.default_rng(seed))
    end, first = said[-1][0], len(STAGES) * (STEPS + 1)
    later = said[first:-1]
    assert len(later) > 200
    for now, left in later:
        assert left is not None
        # In the last moments a quarter is less than a step.
        assert abs(left - (end - now)) <= max(0.25 * (end - now), 0.04 * end), (now, end)


def test_nothing_is_claimed_of_an_unknown_length() -> None:
    left = TimeLeft()
    left.begin_window(10)
    left.at("tracks", 0.5)
    assert left.done is None
    assert left.seconds is None


def test_it_never_goes_back_within_a_window() -> None:
    left = TimeLeft(Clock())
    left.expect(10, None, 8)
    left.begin_window(10)
    parts = [0.0]
    for stage in STAGES:
        for part in (0.0, 0.5, 1.0):
            left.at(stage, part)
            assert left.done is not None
            parts.append(left.done)
    assert parts == sorted(parts)


@pytest.mark.parametrize("window", [0, 16, 17])
@pytest.mark.parametrize("frames", [1, 15, 16, 17, 23, 24, 25, 40, 57])
def test_windows_are_as_long_as_they_will_be_cut(frames: int, window: int) -> None:
    settings = Settings(window=window, overlap=8)
    source = ArraySource(np.zeros((frames, 16, 16, 3), np.uint8), "frames", settings, Fraction(24))
    made = [len(found.clip.frames) for found in cut(source, source.frames(), settings)]
    assert window_lengths(frames, window, 8) == made
