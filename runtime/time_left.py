"""How much of an input is done and how long the rest will take, from what its stages have taken so far."""

import time
from collections.abc import Callable

WAITING, WRITING = "waiting", "writing"  # for frames; of what a window adds
# Seconds a step on two CPU cores with the shipped bundle at 854×480, in the order of the stages. Only their
# proportions count, and only until a stage has been measured.
USUAL = {
    WAITING: 0.010,
    "tracks": 0.090,
    "depth": 0.015,
    "features": 0.006,
    "motion": 0.030,
    "encoder": 0.031,
    "masks": 0.056,
    "carrying": 0.025,
    WRITING: 0.035,
}
STAGES = [stage for stage in USUAL if stage != WRITING]  # one after the other; writing goes on beside them
# Steps a frame of stages that differ from window to window, before any was seen: none of them where nothing moves,
# two of "masks" where two objects do. A step of the other stages is a frame.
USUAL_STEPS = {"encoder": 1.0, "masks": 1.0, "carrying": 0.0}
BELIEF = 0.5  # how much the latest window counts against all before it
STILL = 0.3  # what is left of that where a window has none of a stage: where nothing moves, little will
FIRST_PART = 0.1  # of the first stage, before which nothing is said


class TimeLeft:
    """Stages take as long a step as they did in the windows before. clock: seconds, from anywhere."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._later: int | None = None  # frames of the windows that are still to begin
        self._last = 0  # frames that the last window adds
        self._paces: dict[str, float] = {}  # seconds a step
        self._writing: float | None = None  # seconds a frame
        self._steps = dict(USUAL_STEPS)
        self._length = 0  # frames of the window that is worked on
        self._passed: set[str] = set()  # its stages so far
        self._stage, self._stage_steps, self._part = WAITING, 0.0, 0.0
        self._begun = self._stage_begun = clock()

    def expect(self, frames: int | None, window: int | None, overlap: int) -> None:
        """Learn how many frames there will be, None if nobody knows, and how they are cut."""
        lengths = [] if frames is None else window_lengths(frames, window, overlap)
        self._later = sum(lengths) if lengths else None
        self._last = lengths[-1] - overlap * (len(lengths) > 1) if lengths else 0
        self._stage_begun = self._clock()

    def begin_window(self, length: int) -> None:
        """Begin with a window of so many frames, which was waited for."""
        self._length, self._stage_steps = length, float(length)
        self._passed.clear()
        if self._later is not None:
            self._later = max(self._later - length, 0)

    def begin_stage(self, stage: str, steps: int) -> None:
        """Begin with a stage of the window."""
        self._settle()
        self._stage, self._stage_steps = stage, float(self._length)
        self._passed.add(stage)
        if stage in USUAL_STEPS:
            self._stage_steps = float(steps)
            seen, before = steps / self._length, self._steps[stage]
            self._steps[stage] = BELIEF * seen + (1 - BELIEF) * before if stage in self._paces else seen

    def at(self, part: float) -> None:
        """Learn that ``part`` (0 to 1) of the stage is done."""
        self._part = part

    def end_window(self) -> None:
        """End the window: the next is waited for, or what the last adds is written."""
        self._settle()
        for stage in USUAL_STEPS.keys() - self._passed:
            self._steps[stage] *= STILL
        self._stage, self._stage_steps, self._length = WAITING, 0.0, 0

    def wrote(self, frames: int, seconds: float) -> None:
        """Learn how long it took to write so many frames while others were computed; any thread may tell."""
        pace = seconds / frames
        self._writing = pace if self._writing is None else BELIEF * pace + (1 - BELIEF) * self._writing

    @property
    def done(self) -> float | None:
        """Which part of the time has passed, 0 to 1; None where the input's length is unknown."""
        if self._later is None:
            return None
        left, spent = self.seconds, self._clock() - self._begun
        return 0.0 if left is None else spent / max(spent + left, 1e-9)

    @property
    def seconds(self) -> float | None:
        """How long the rest will take, None where that cannot be known yet."""
        if self._later is None or not (self._paces.keys() - {WAITING} or self._part > FIRST_PART):
            return None
        later = sum(self._cost(stage, self._later) for stage in STAGES)
        writing = (self._pace(WRITING) if self._writing is None else self._writing) * self._last
        if self._length:
            return later + self._rest_of_window() + writing
        return max(later + writing - self._spent, 0.0)

    def _rest_of_window(self) -> float:
        """Return the seconds of this stage and those after it."""
        place = STAGES.index(self._stage) + 1 if self._stage in STAGES else len(STAGES)
        rest = sum(self._cost(stage, self._length) for stage in STAGES[place:])
        believed = self._pace(self._stage) * self._stage_steps
        if not self._part:
            return rest + max(believed - self._spent, 0.0)
        # The stage's own pace in this window counts as far as it has come.
        return rest + (1 - self._part) * (self._spent + (1 - self._part) * believed)

    def _cost(self, stage: str, frames: int) -> float:
        """Return the seconds that a stage probably takes for so many frames of windows."""
        return self._pace(stage) * frames * self._steps.get(stage, 1.0)

    def _pace(self, stage: str) -> float:
        """Return the seconds a step of a stage: measured, or as usual beside those that are."""
        if stage in self._paces:
            return self._paces[stage]
        known = [own for own in self._paces if own in USUAL and own != WAITING]
        measured, usual = sum(self._paces[own] for own in known), sum(USUAL[own] for own in known)
        if self._part and self._stage not in self._paces:
            measured += self._spent / self._stage_steps
            usual += self._part * USUAL.get(self._stage, 0.0)
        return USUAL.get(stage, 0.0) * measured / usual if usual else 0.0

    @property
    def _spent(self) -> float:
        """How long this stage has taken so far."""
        return self._clock() - self._stage_begun

    def _settle(self) -> None:
        """Learn from the stage that ends."""
        if self._stage_steps:
            self._learn(self._stage, self._spent / self._stage_steps)
        self._stage_begun, self._part = self._clock(), 0.0

    def _learn(self, stage: str, pace: float) -> None:
        """Take in what a step of a stage took just now."""
        self._paces[stage] = BELIEF * pace + (1 - BELIEF) * self._paces.get(stage, pace)


def window_lengths(frames: int, window: int | None, overlap: int) -> list[int]:
    """Return how many frames each window of an input has, as sources.windows.cut makes them."""
    if not window or frames <= window:
        return [frames]
    whole, rest = divmod(frames - window, window - overlap)
    return [window] * (1 + whole) + ([max(rest + overlap, window // 2)] if rest else [])
