"""Percentiles and verdicts, by their properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.benchmarks.report.noise import SMALLEST, Ratio, geometric_mean, paired_ratio, percentiles, ratio

seconds = st.floats(1e-6, 1e3)
rounds = st.lists(st.lists(seconds, min_size=1, max_size=8), min_size=1, max_size=6)


def noisy(rng: np.random.Generator, centre: float, count: int = 5, each: int = 20) -> list[list[float]]:
    """Rounds that differ by 5 %, and within them samples that differ by 10 % and are late now and then."""
    levels = centre * np.exp(rng.normal(0, 0.05, count))
    return [
        [float(level * np.exp(abs(rng.normal(0, 0.1))) * (1 + 4 * (rng.random() < 0.05))) for _ in range(each)]
        for level in levels
    ]


@given(rounds)
def test_percentiles_are_ordered_and_within_the_samples(parts: list[list[float]]) -> None:
    found = percentiles(parts)
    pooled = sorted(value for part in parts for value in part)
    assert list(found) == ["p50", "p95", "p99"]
    tiny = 1e-9 * pooled[-1]
    assert pooled[0] - tiny <= found["p50"] <= found["p95"] + tiny <= found["p99"] + 2 * tiny <= pooled[-1] + 3 * tiny
    assert found["p50"] == pytest.approx(np.median(pooled))


@given(st.lists(seconds, min_size=1, max_size=40), st.integers(1, 5))
def test_percentiles_do_not_depend_on_the_rounds(values: list[float], parts: int) -> None:
    split = [part.tolist() for part in np.array_split(values, min(parts, len(values)))]
    assert percentiles(split) == pytest.approx(percentiles([values]))


@settings(max_examples=30)
@given(rounds)
def test_the_same_samples_show_no_difference(parts: list[list[float]]) -> None:
    found = ratio(parts, parts)
    assert found.middle == pytest.approx(1)
    assert found.low <= 1 + 1e-12
    assert found.high >= 1 - 1e-12
    assert found.verdict == "no difference shown"


@settings(max_examples=30)
@given(rounds, rounds, st.floats(0.01, 100))
def test_the_unit_of_time_does_not_matter(new: list[list[float]], old: list[list[float]], unit: float) -> None:
    one = ratio(new, old)
    other = ratio([[x * unit for x in part] for part in new], [[x * unit for x in part] for part in old])
    for a, b in zip((one.low, one.middle, one.high), (other.low, other.middle, other.high), strict=True):
        assert b == pytest.approx(a, rel=1e-6)


@given(seconds, seconds)
def test_one_run_shows_nothing(new: float, old: float) -> None:
    assert ratio([[new]], [[old]]).verdict == "no difference shown"
    assert paired_ratio([new], [old]).verdict == "no difference shown"


@pytest.mark.parametrize(("factor", "verdict"), [(0.6, "faster"), (1.7, "slower")])
def test_a_large_difference_is_shown_and_turns_round(factor: float, verdict: str) -> None:
    rng = np.random.default_rng(1)
    old, new = noisy(rng, 1.0), noisy(rng, factor)
    found = ratio(new, old)
    assert found.verdict == verdict
    assert found.low < factor < found.high
    assert ratio(old, new).verdict == {"faster": "slower", "slower": "faster"}[verdict]
    assert ratio(old, new).middle == pytest.approx(1 / found.middle)


def test_noise_alone_seldom_makes_a_verdict() -> None:
    rng = np.random.default_rng(2)
    verdicts = [ratio(noisy(rng, 1.0), noisy(rng, 1.0), seed).verdict for seed in range(100)]
    assert verdicts.count("no difference shown") >= 95


def test_pairs_see_through_a_drift_that_hits_both() -> None:
    drift = np.exp(np.random.default_rng(3).normal(0, 0.5, 7))
    old, new = drift.tolist(), (0.9 * drift).tolist()
    assert paired_ratio(new, old).verdict == "faster"
    assert ratio([[x] for x in new], [[x] for x in old]).verdict == "no difference shown"


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_ratio([1.0, 2.0], [1.0])


@given(st.floats(1 - SMALLEST, 1), st.floats(1, 1 / (1 - SMALLEST)))
def test_a_difference_too_small_to_matter_is_none(low: float, high: float) -> None:
    assert Ratio(low, 1.0, high).verdict == "no difference shown"


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=10))
def test_the_geometric_mean_of_inverses_is_the_inverse(values: list[float]) -> None:
    assert geometric_mean(values) * geometric_mean([1 / value for value in values]) == pytest.approx(1)
    assert math.prod(values) == pytest.approx(geometric_mean(values) ** len(values), rel=1e-6)
