"""Results as Markdown, what was to be shown first, and their place in a README."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samotion.benchmarks.goals import goals
from samotion.benchmarks.measurement import timings
from samotion.benchmarks.record import write_text
from samotion.benchmarks.tables import SECTIONS, orchestration, table
from samotion.engines.errors import InputError

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def markdown(
    bench: dict[str, Any], other: dict[str, Any] | None = None, pictures: Mapping[str, str] | None = None
) -> str:
    """Return the report of a result of samotion-bench.

    other: a result of samotion.benchmarks.orchestration. pictures: addresses of plots by the names plots.draw gives
    them, shown where they belong.
    """
    shown = {name: f"\n\n![{name}]({address})" for name, address in (pictures or {}).items()}
    parts = [_setting(bench)]
    if other:
        parts.append(f"Against the published orchestration: {_setting(other)}")
    if found := goals(bench, other):
        parts.append(table(("what it must show", "wanted", "measured", ""), [goal.row() for goal in found]))
    if other:
        parts.append(orchestration(other) + shown.get("orchestration", ""))
    for group, section in SECTIONS.items():
        if measured := timings(bench, group):
            parts.append(section(measured) + shown.get(group, ""))
    return "\n\n".join(parts) + "\n"


def check_markers(path: Path) -> None:
    """Raise InputError unless the file at ``path`` has the two markers, in order."""
    _around(path)


def insert(path: Path, text: str) -> None:
    """Replace what stands between the markers of the file at ``path`` by ``text``."""
    before, after = _around(path)
    write_text(path, f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def _around(path: Path) -> tuple[str, str]:
    """Return what stands before and after the markers."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{path}: expected the lines {BEGIN} and {END}, between which the tables go")
    return before, after


def _setting(record: dict[str, Any]) -> str:
    """Return a sentence that says where, when and with what it was measured."""
    machine, bundle = record["environment"], record["bundle"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    spent = record.get("measuring_seconds", {})
    took = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in spent.items())
    return (
        f"{machine['cores']} cores of {machine['cpu']}, {machine['system']}, Python {machine['python']}, {versions}; "
        f"samotion {record['version']}, bundle {bundle['name']} {bundle['digest']} on {bundle['provider']}, "
        f"{bundle['threads'] or machine['cores']} threads; {record['measured']}."
        + (f" Minutes of measuring: {took}." if took else "")
    )
