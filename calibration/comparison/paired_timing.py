"""Timing of calls: warmed up, in rounds that take turns, so that a machine that drifts does so under all of them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

Call = Callable[[], object]
Sample = Callable[[], float]  # makes one call and returns the seconds that it took
Taken = TypeVar("Taken")

# CPU time is that of the process, all its threads together, and differs least from run to run on a busy machine.
CLOCKS: Mapping[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


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


def sampled_in_turns(samples: Mapping[str, Callable[[], Taken]], effort: Effort) -> dict[str, list[list[Taken]]]:
    """Return what ``in_turns`` does, of calls that are timed in a way of their own."""
    found: dict[str, list[list[Taken]]] = {name: [] for name in samples}
    for _ in range(effort.rounds):
        for name, sample in samples.items():
            found[name].append(visit(sample, effort))
    return found


def visit(sample: Callable[[], Taken], effort: Effort) -> list[Taken]:
    """Return what one visit's calls took."""
    for _ in range(effort.warm_up):
        sample()
    taken: list[Taken] = []
    ends = time.perf_counter() + effort.seconds
    while len(taken) < effort.fewest or (len(taken) < effort.most and time.perf_counter() < ends):
        taken.append(sample())
    return taken


def by_turns(calls: Sequence[Call], rounds: int) -> list[dict[str, dict[str, float]]]:
    """Return for each call its median and 95th percentile in seconds by clock, after one call to warm up."""
    for call in calls:
        call()
    samples = {str(number): partial(_clocked, call) for number, call in enumerate(calls)}
    once = Effort(rounds, seconds=0, fewest=1, most=1, warm_up=0)
    rows = [np.array(visits)[:, 0] for visits in sampled_in_turns(samples, once).values()]
    return [
        {
            name: {"p50": float(np.median(times)), "p95": float(np.quantile(times, 0.95))}
            for name, times in zip(CLOCKS, own.T, strict=True)
        }
        for own in rows
    ]


def seconds_of(call: Call) -> float:
    """Return how long a call takes on the host's clock."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _clocked(call: Call) -> list[float]:
    """Return how long a call takes on every clock."""
    begun = [clock() for clock in CLOCKS.values()]
    call()
    return [clock() - start for clock, start in zip(CLOCKS.values(), begun, strict=True)]
