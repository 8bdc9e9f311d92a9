"""Timing of calls: warmed up, in rounds that take turns, until the device is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

Call = Callable[[], object]
Sample = Callable[[], float]  # makes one call and returns the seconds that it took


@dataclass(frozen=True)
class Effort:
    """How long to measure. rounds: visits to each call. seconds: of one visit, at least ``fewest`` samples long.

    most: samples of one visit. warm_up: calls before the first sample of a visit.
    """

    rounds: int = 5
    seconds: float = 0.4
    fewest: int = 3
    most: int = 60
    warm_up: int = 1


def in_turns(calls: Mapping[str, Call], effort: Effort) -> dict[str, list[list[float]]]:
    """Return seconds by name, round by round: every call is visited once a round, so that drifts meet all alike.

    A call must not return before its result is on the host; that is when an accelerator is done too.
    """
    return sampled_in_turns({name: partial(seconds_of, call) for name, call in calls.items()}, effort)


def sampled_in_turns(samples: Mapping[str, Sample], effort: Effort) -> dict[str, list[list[float]]]:
    """Return what ``in_turns`` does, of calls that are timed in a way of their own."""
    found: dict[str, list[list[float]]] = {name: [] for name in samples}
    for _ in range(effort.rounds):
        for name, sample in samples.items():
            found[name].append(visit(sample, effort))
    return found


def visit(sample: Sample, effort: Effort) -> list[float]:
    """Return the seconds that one visit's calls took."""
    for _ in range(effort.warm_up):
        sample()
    taken: list[float] = []
    ends = time.perf_counter() + effort.seconds
    while len(taken) < effort.fewest or (len(taken) < effort.most and time.perf_counter() < ends):
        taken.append(sample())
    return taken


def seconds_of(call: Call) -> float:
    """Return how long a call takes on the host's clock."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun
