"""How much of an input is done and how long the rest will take, from what its stages have taken so far."""

import time
from collections.abc import Callable

# The parts of a window's time on a CPU with the shipped bundle, as docs/results/speed.md has them: what is believed
# of a window before the first one has been measured.
USUAL = {"tracks": 0.50, "depth": 0.12, "features": 0.01, "motion": 0.06, "encoder": 0.20, "masks": 0.11}
BELIEF = 0.5  # how much the latest window counts against all before it


class TimeLeft:
    """Windows cost as many units as they have frames; within one, its stages are weighed by what they took before.

    clock: seconds, from anywhere.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._weights = dict(USUAL)
        self._all: int | None = None  # units of the whole input
        self._ended = 0  # units of windows that are done
        self._rate: float | None = None  # seconds a unit
        self._begun = self._stage_begun = 0.0
        self._length = 0
        self._spent: dict[str, float] = {}  # seconds of the stages of this window
        self._stage = ""
        self._part = 0.0  # of the stage

    def expect(self, frames: int | None, window: int | None, overlap: int) -> None:
        """Learn how many frames there will be, None if nobody knows, and how they are cut."""
        self._all = None if frames is None else sum(window_lengths(frames, window, overlap))

    def begin_window(self, length: int) -> None:
        """Begin with a window of so many frames."""
        self._begun, self._length, self._spent = self._clock(), length, {}
        self._stage, self._part = "", 0.0

    def at(self, stage: str, part: float) -> None:
        """Learn that ``part`` (0 to 1) of a stage is done."""
        if stage != self._stage:
            self._settle()
            self._stage, self._stage_begun = stage, self._clock()
        self._part = part

    def end_window(self) -> None:
        """Learn what the window took, as a whole and stage by stage."""
        self._settle()
        rate = (self._clock() - self._begun) / max(self._length, 1)
        self._rate = rate if self._rate is None else BELIEF * rate + (1 - BELIEF) * self._rate
        self._weights = self._spent or self._weights
        self._ended += self._length
        self._length, self._stage = 0, ""

    @property
    def done(self) -> float | None:
        """Which part of the input is done, 0 to 1; None where its length is unknown."""
        if self._all is None:
            return None
        return min(self._units / max(self._all, 1), 1.0)

    @property
    def seconds(self) -> float | None:
        """How long the rest will take, None as long as that is unknown."""
        if self._all is None or not self._units:
            return None
        units = self._units - self._ended
        spent = self._clock() - self._begun if self._length else 0.0
        # This window's own pace counts as far as it has come.
        rate = spent / units if self._rate is None else self._rate
        if self._rate is not None and units:
            share = units / self._length
            rate = share * spent / units + (1 - share) * self._rate
        return max(self._all - self._units, 0.0) * rate

    @property
    def _units(self) -> float:
        """How many units are done."""
        names = list(self._weights)
        if self._stage in self._weights:
            past = sum(self._weights[name] for name in names[: names.index(self._stage)])
            own = self._weights[self._stage] * self._part
        else:
            past, own = sum(self._weights.get(name, 0.0) for name in self._spent), 0.0
        return self._ended + self._length * (past + own) / sum(self._weights.values())

    def _settle(self) -> None:
        """Count the stage that was running as done."""
        if self._stage:
            spent = self._clock() - self._stage_begun
            self._spent[self._stage] = self._spent.get(self._stage, 0.0) + spent


def window_lengths(frames: int, window: int | None, overlap: int) -> list[int]:
    """Return how many frames each window of an input has, as sources.windows.cut makes them."""
    if not window or frames <= window:
        return [frames]
    whole, rest = divmod(frames - window, window - overlap)
    return [window] * (1 + whole) + ([max(rest + overlap, window // 2)] if rest else [])
