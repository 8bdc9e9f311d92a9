"""Calls timed side by side, alternately, so that a machine that drifts does so under all of them."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# CPU time is that of the process, all its threads together, and differs least from run to run on a busy machine.
CLOCKS: Mapping[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


def by_turns(calls: Sequence[Callable[[], object]], rounds: int) -> list[dict[str, dict[str, float]]]:
    """Return for each call its median and 95th percentile in seconds by clock, after one call to warm up."""
    for call in calls:
        call()
    taken: list[dict[str, list[float]]] = [{clock: [] for clock in CLOCKS} for _ in calls]
    for _ in range(rounds):
        for call, own in zip(calls, taken, strict=True):
            begun = {name: clock() for name, clock in CLOCKS.items()}
            call()
            for name, clock in CLOCKS.items():
                own[name].append(clock() - begun[name])
    return [
        {
            name: {"p50": float(np.median(times)), "p95": float(np.quantile(times, 0.95))}
            for name, times in own.items()
        }
        for own in taken
    ]
