"""Timing of calls: warmed up, in rounds that take turns, until the device is done."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]


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
    found: dict[str, list[list[float]]] = {name: [] for name in calls}
    for _ in range(effort.rounds):
        for name, call in calls.items():
            found[name].append(visit(call, effort))
    return found


def visit(call: Call, effort: Effort) -> list[float]:
    """Return the seconds that one visit's calls took."""
    for _ in range(effort.warm_up):
        call()
    samples: list[float] = []
    ends = time.perf_counter() + effort.seconds
    while len(samples) < effort.fewest or (len(samples) < effort.most and time.perf_counter() < ends):
        begun = time.perf_counter()
        call()
        samples.append(time.perf_counter() - begun)
    return samples
