"""Statistics of one tensor over many runs: how large it gets, and how far another run of it is off."""

from dataclasses import dataclass

import numpy as np

from samotion.engines.engine import Array


@dataclass
class Range:
    """The values that a tensor took: least and greatest finite ones, and how many were not finite."""

    least: float = np.inf
    greatest: float = -np.inf
    not_finite: int = 0

    def add(self, values: Array) -> None:
        """Take in the values of one run."""
        numbers = np.asarray(values, np.float32)
        finite = np.isfinite(numbers)
        if not finite.all():
            self.not_finite += int(numbers.size - finite.sum())
            numbers = numbers[finite]
        if numbers.size:
            self.least = min(self.least, float(numbers.min()))
            self.greatest = max(self.greatest, float(numbers.max()))

    @property
    def magnitude(self) -> float:
        """Greatest magnitude, 0 where there were no finite values."""
        return max(abs(self.least), abs(self.greatest)) if self.least <= self.greatest else 0.0


@dataclass
class Deviation:
    """How far a tensor is off a reference, the worst of all runs.

    cosine: of the angle between both as vectors. largest: greatest difference as a part of the reference's greatest
    magnitude. norm: ‖difference‖ / ‖reference‖. not_finite: values that are not finite where the reference's are.
    Values that are not finite in the reference are left out.
    """

    cosine: float = 1.0
    largest: float = 0.0
    norm: float = 0.0
    not_finite: int = 0

    def add(self, found: Array, wanted: Array) -> None:
        """Take in one run; raises ValueError for another shape."""
        if found.shape != wanted.shape:
            raise ValueError(f"found {found.shape}, expected {wanted.shape}")
        a, b = np.asarray(found, np.float32).ravel(), np.asarray(wanted, np.float32).ravel()
        there = np.isfinite(b)
        if not there.all():
            a, b = a[there], b[there]
        if not a.size:
            return
        if wrong := int(a.size - np.isfinite(a).sum()):
            self.not_finite += wrong
            self.cosine, self.largest, self.norm = -1.0, np.inf, np.inf
            return
        difference = a - b
        off, size, found_size = (float(np.sqrt(np.vdot(x, x))) for x in (difference, b, a))
        self.largest = max(self.largest, _part(float(np.abs(difference).max()), float(np.abs(b).max())))
        self.norm = max(self.norm, _part(off, size))
        if size and found_size:
            # 1 − cosine from the difference: exact enough in float32 where the two are nearly the same.
            apart = (off**2 - (found_size - size) ** 2) / (2 * size * found_size)
            self.cosine = min(self.cosine, 1.0 - apart)
        elif size or found_size:
            self.cosine = min(self.cosine, 0.0)


def _part(some: float, whole: float) -> float:
    """Return some / whole; 0 of nothing is 0, anything else of nothing is infinite."""
    if whole:
        return float(some / whole)
    return 0.0 if some == 0 else np.inf
