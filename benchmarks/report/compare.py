"""Two results side by side: what became faster or slower, beyond what noise would do."""

from dataclasses import dataclass
from typing import Any

from samotion.benchmarks.report.measurement import Timing, timings
from samotion.benchmarks.report.noise import Ratio, ratio
from samotion.engines.errors import InputError

HEADER = f"{'':<52}{'now':>10}{'then':>10}{'now/then':>10}{'95 %':>16}"


@dataclass(frozen=True)
class Comparison:
    """One timing that both results hold, and the ratio new over old."""

    new: Timing
    old: Timing
    ratio: Ratio

    def line(self) -> str:
        """Return it as a line under HEADER."""
        parts = self.new.group, self.new.name, self.new.variant, self.new.amount if self.new.unit else ""
        what = " ".join(filter(None, parts))
        interval = f"{self.ratio.low:.2f} to {self.ratio.high:.2f}"
        return (
            f"{what:<52}{milliseconds(self.new.seconds):>10}{milliseconds(self.old.seconds):>10}"
            f"{self.ratio.middle:>10.3f}{interval:>16}  {self.ratio.verdict}"
        )


def compare(new: dict[str, Any], old: dict[str, Any]) -> list[Comparison]:
    """Return every timing that both results hold; raises InputError where there is none."""
    before = {timing.key: timing for timing in timings(old)}
    both = [(timing, before[timing.key]) for timing in timings(new) if timing.key in before]
    if not both:
        raise InputError("the two results have no measurement in common; measure the same things in both")
    return [Comparison(now, then, ratio(now.rounds, then.rounds)) for now, then in both]


def lines(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Return the whole comparison as lines of text, differences between the two set-ups first."""
    found = compare(new, old)
    verdicts = [item.ratio.verdict for item in found]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("faster", "slower", "no difference shown"))
    return [*differences(new, old), HEADER, *(item.line() for item in found), f"of {len(found)}: {counts}"]


def differences(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Return what differs between the two set-ups, so that a verdict is not taken for the code's doing."""
    found = []
    for title, place in (
        ("machine", ("environment", "cpu")),
        ("GPUs", ("environment", "gpu")),
        ("cores", ("environment", "cores")),
        ("versions", ("environment", "versions")),
        ("Python", ("environment", "python")),
        ("provider", ("bundle", "provider")),
        ("threads", ("bundle", "threads")),
        ("engines", ("bundle", "digest")),
        ("settings", ("settings",)),
        ("plans", ("plan",)),
        ("clips", ("clip",)),
    ):
        now, then = new, old
        for part in place:
            now, then = now.get(part, {}), then.get(part, {})
        if now != then:
            found.append(f"note: {title} differ: {_changed(now, then)}")
    return found


def milliseconds(seconds: float) -> str:
    """Return a time for people."""
    if seconds >= 1:
        return f"{seconds:.0f} s" if seconds >= 100 else f"{seconds:.2f} s"
    return f"{seconds * 1e3:.3g} ms"


def _changed(now: Any, then: Any) -> str:
    """Return what is now and was then, of tables only the rows that changed."""
    if isinstance(now, dict) and isinstance(then, dict):
        names = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
        return ", ".join(f"{name} {now.get(name)} (was {then.get(name)})" for name in names)
    return f"{now} (was {then})"
