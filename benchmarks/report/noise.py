"""What timings say in spite of noise: percentiles, intervals of ratios, and a verdict that may abstain.

Samples come in rounds: those of one round were taken within seconds of each other, the rounds minutes apart. A
busy neighbour or a clock that changes makes whole rounds slow, so it is the rounds that are drawn again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Rounds = Sequence[Sequence[float]]
Values = NDArray[np.float64]

PERCENTILES = (50, 95, 99)
DRAWS = 4000
CONFIDENCE = 0.95
SMALLEST = 0.02  # a difference below this share is of no interest, however sure
# Student's t, 97.5 %, by degrees of freedom from 1 on; beyond the table the normal distribution is close enough.
STUDENT = (12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians with its 95 % interval; infinitely wide where a single round says nothing of noise."""

    low: float
    middle: float
    high: float

    @property
    def verdict(self) -> str:
        """Return "faster", "slower" or "no difference shown", read as new time over old time."""
        if self.high < 1 - SMALLEST:
            return "faster"
        return "slower" if self.low > 1 / (1 - SMALLEST) else "no difference shown"


def percentiles(rounds: Rounds) -> dict[str, float]:
    """Return {"p50": …, "p95": …, "p99": …} of all samples, between neighbours where none is met exactly."""
    values = np.concatenate([np.asarray(part, np.float64) for part in rounds])
    return {f"p{q}": float(np.percentile(values, q)) for q in PERCENTILES}


def ratio(new: Rounds, old: Rounds, seed: int = 0) -> Ratio:
    """Return new over old for samples that were taken independently of each other."""
    rng = np.random.default_rng(seed)
    above, below = _log_medians(new, rng), _log_medians(old, rng)
    return _interval(_median(new) / _median(old), above - below, min(len(new), len(old)))


def paired_ratio(new: Sequence[float], old: Sequence[float], seed: int = 0) -> Ratio:
    """Return the median of new over old, pair by pair: each pair was taken in turn, a round of its own.

    Raises ValueError where they are not as many.
    """
    ratios = np.log(np.array([n / o for n, o in zip(new, old, strict=True)]))
    drawn = np.random.default_rng(seed).integers(0, len(ratios), (DRAWS, len(ratios)))
    return _interval(math.exp(float(np.median(ratios))), np.median(ratios[drawn], axis=1), len(ratios))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive numbers."""
    return math.exp(float(np.mean(np.log(values))))


def _median(rounds: Rounds) -> float:
    """Return the median of the rounds' medians."""
    return float(np.median([np.median(part) for part in rounds]))


def _log_medians(rounds: Rounds, rng: np.random.Generator) -> Values:
    """Return DRAWS logarithms of the median of medians, rounds drawn again with replacement and samples in them."""
    table = np.stack([_medians_again(np.asarray(part, np.float64), rng) for part in rounds], axis=1)
    drawn = rng.integers(0, len(rounds), (DRAWS, len(rounds)))
    return np.log(np.median(np.take_along_axis(table, drawn, axis=1), axis=1))


def _medians_again(part: Values, rng: np.random.Generator) -> Values:
    """Return DRAWS medians of samples drawn again from one round."""
    return np.asarray(np.median(part[rng.integers(0, len(part), (DRAWS, len(part)))], axis=1))


def _interval(middle: float, logs: Values, rounds: int) -> Ratio:
    """Return ``middle`` with the bootstrap's percentile interval, widened for few rounds.

    Widening: Hesterberg 2015, "What Teachers Should Know About the Bootstrap", the expanded percentile interval.
    """
    if rounds < 2:
        return Ratio(0.0, middle, math.inf)
    normal = NormalDist()
    wanted = STUDENT[rounds - 2] if rounds - 2 < len(STUDENT) else -normal.inv_cdf((1 - CONFIDENCE) / 2)
    tail = normal.cdf(-math.sqrt(rounds / (rounds - 1)) * wanted)
    low, high = np.exp(np.quantile(logs, [tail, 1 - tail]))
    return Ratio(min(float(low), middle), middle, max(float(high), middle))
