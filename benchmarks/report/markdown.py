"""Results as Markdown, what was to be shown first, and their place in a page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samotion.benchmarks.report.goals import Goal, goals, gpu_goals
from samotion.benchmarks.report.measurement import timings
from samotion.benchmarks.report.record import write_text
from samotion.benchmarks.report.tables import SECTIONS, orchestration, table
from samotion.engines.errors import InputError

BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
GPU_BEGIN, GPU_END = "<!-- gpu: begin -->", "<!-- gpu: end -->"
ON_GPU = ("gpu engines", "gpu kernels")


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
        parts.append(_judged(found))
    if other:
        parts.append(orchestration(other) + shown.get("orchestration", ""))
    for group, section in SECTIONS.items():
        if measured := timings(bench, group):
            parts.append(section(measured) + shown.get(group, ""))
    return "\n\n".join(parts) + "\n"


def gpu_markdown(results: Sequence[dict[str, Any]]) -> str:
    """Return the report of results of samotion-bench on GPUs; without any, of what is still to be measured."""
    parts = [_judged(gpu_goals(results))]
    for record in results:
        found = {group: timings(record, group) for group in ("stages", *ON_GPU)}
        parts += [_setting(record), *(SECTIONS[group](own) for group, own in found.items() if own)]
    missing = [group for group in ON_GPU if not any(timings(record, group) for record in results)]
    parts += [SECTIONS[group]([]) for group in missing]
    return "\n\n".join(parts) + "\n"


def check_markers(path: Path, gpu: bool) -> None:
    """Raise InputError unless the file at ``path`` has the markers in order; gpu: those of a GPU, too."""
    text = _read(path)
    _replaced(path, text, BEGIN, END, "")
    if gpu or GPU_BEGIN in text:
        _replaced(path, text, GPU_BEGIN, GPU_END, "")


def insert(path: Path, text: str, gpu_text: str) -> None:
    """Replace what stands between the markers of the file at ``path`` by ``text``.

    gpu_text: for between those of a GPU's results, in a file that has them.
    """
    made = _replaced(path, _read(path), BEGIN, END, text)
    if GPU_BEGIN in made:
        made = _replaced(path, made, GPU_BEGIN, GPU_END, gpu_text)
    write_text(path, made)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _replaced(path: Path, whole: str, begin: str, end: str, text: str) -> str:
    """Return the ``whole`` text of the file at ``path`` with ``text`` between two markers."""
    before, first, rest = whole.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise InputError(f"{path}: expected the lines {begin} and {end}, between which the tables go")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def _judged(found: Sequence[Goal]) -> str:
    return table(("goal", "wanted", "measured", ""), [goal.row() for goal in found])


def _setting(record: dict[str, Any]) -> str:
    """Return a sentence that says where, when and with what it was measured."""
    machine, bundle = record["environment"], record["bundle"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    spent = record.get("measuring_seconds", {})
    took = ", ".join(f"{name} {seconds / 60:.1f}" for name, seconds in spent.items())
    return (
        f"{_card(machine)}{machine['cores']} cores of {machine['cpu']}, {machine['system']}, "
        f"Python {machine['python']}, {versions}; "
        f"samotion {record['version']}, bundle {bundle['name']} {bundle['digest']} on {bundle['provider']}, "
        f"{bundle['threads'] or machine['cores']} threads; {record['measured']}."
        + (f" Minutes of measuring: {took}." if took else "")
    )


def _card(machine: dict[str, Any]) -> str:
    """Return the GPU of a machine and a comma, nothing where none was measured on."""
    gpu = machine.get("gpu")
    if gpu is None:
        return ""
    memory = f"{gpu['memory'] / 2**30:.1f} GiB"
    return f"{gpu['name']} ({gpu['compute_capability']}), {memory}, driver for CUDA {gpu['driver']}, "
