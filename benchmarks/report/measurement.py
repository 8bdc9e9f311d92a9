"""One thing that was timed, as it stands in results: every sample, and what they come to."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from samotion.benchmarks.report.noise import percentiles
from samotion.engines.errors import InputError


@dataclass(frozen=True)
class Timing:
    """Samples of one thing in seconds, round by round.

    group: the measurement it belongs to, such as "engines". name, variant: what was timed, as "depth" and "eager".
    size, unit: how many of what one sample went through. facts: what else was seen meanwhile.
    """

    group: str
    name: str
    rounds: list[list[float]]
    variant: str = ""
    size: int = 1
    unit: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What makes two timings the same thing, measured twice."""
        return self.group, self.name, self.variant, self.size

    @property
    def amount(self) -> str:
        """What one sample went through, in words."""
        return f"1 {self.unit.removesuffix('s')}" if self.size == 1 else f"{self.size} {self.unit}"

    @property
    def seconds(self) -> float:
        """The median of all samples."""
        return percentiles(self.rounds)["p50"]

    @property
    def throughput(self) -> float:
        """Units a second at the median."""
        return self.size / self.seconds

    def record(self) -> dict[str, Any]:
        """Return the entry of the JSON record, with percentiles and throughput for whoever reads it as it is."""
        rounds = [[round(sample, 7) for sample in part] for part in self.rounds]
        return {**asdict(self), **percentiles(self.rounds), "throughput": self.throughput, "rounds": rounds}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Timing":
        """Return the timing of one entry; raises InputError for what is none."""
        try:
            timing = cls(**{name: record[name] for name in cls.__dataclass_fields__})
        except (KeyError, TypeError) as error:
            raise InputError(f"a timing without {error}; measure again") from error
        sound = timing.rounds and all(part and all(sample > 0 for sample in part) for part in timing.rounds)
        if not sound or timing.size < 1:
            raise InputError(f"{' '.join(map(str, timing.key))}: no samples, or samples that took no time")
        return timing


def timings(record: dict[str, Any], group: str | None = None) -> list[Timing]:
    """Return the timings of a result, or those of one group; raises InputError where one is damaged."""
    entries: Iterable[dict[str, Any]] = record.get("timings", ())
    return [timing for timing in map(Timing.of, entries) if group in (None, timing.group)]
