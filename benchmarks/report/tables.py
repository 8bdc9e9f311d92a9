"""The tables of a report in Markdown, one function a measurement."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from samotion.benchmarks.report.compare import milliseconds
from samotion.benchmarks.report.goals import NOT_MEASURED
from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.report.noise import geometric_mean, percentiles, ratio
from samotion.benchmarks.speed.engine_inputs import BATCHED
from samotion.benchmarks.speed.gpu.gpu_kernels import CASES
from samotion.benchmarks.speed.roofline import COPY, PRODUCT

SIDES = ("published", "same tracks", "samotion")
LATENCY = ("one call", "p50", "p95", "p99", "a second", "samples")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def orchestration(record: dict[str, Any]) -> str:
    """Return the stages of both orchestrations, medians over all pairs of runs, and each clip's ratio."""
    pairs = [pair for clip in record["clips"] for pair in clip["pairs"]]
    sides = sides_of(pairs)
    stages = dict.fromkeys(stage for side in sides for stage in pairs[0][side]["stages"])
    rows = [
        (stage, *(_median(pair[side]["stages"].get(stage) for pair in pairs) for side in sides)) for stage in stages
    ]
    rows.append(("**all**", *(_median(pair[side]["seconds"] for pair in pairs) for side in sides)))
    clips = [
        f"{clip['name']}: {clip['frames']} frames of {clip['width']}×{clip['height']}, {len(clip['pairs'])} pairs of "
        f"runs, ratio {clip['ratio']:.1f}{_fair(clip)}, mean IoU {clip['mean_iou']:.4f}."
        for clip in record["clips"]
    ]
    return "\n\n".join(["### Against the published orchestration", *clips, table(("stage", *sides), rows)])


def sides_of(pairs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the sides that were compared: earlier results know nothing of the same tracks."""
    return [side for side in SIDES if side in pairs[0]]


def _fair(clip: dict[str, Any]) -> str:
    """Return the ratio where both sides follow the same tracks, in words, as far as it was measured."""
    return f", with the same tracks {clip['same_tracks_ratio']:.1f}" if "same_tracks_ratio" in clip else ""


def engines(found: list[Timing]) -> str:
    """Return latency and throughput of every engine and batch size."""
    rows = [(one.name, *_latency(one)) for one in found]
    return f"### Engines by themselves\n\n{table(('engine', *LATENCY), rows)}"


def gpu_engines(found: list[Timing]) -> str:
    """Return what every engine takes on a GPU; those that were not measured are named."""
    return f"### Engines on a GPU\n\n{_on_gpu('engine', list(BATCHED), found)}"


def gpu_kernels(found: list[Timing]) -> str:
    """Return what every kernel call takes; those that were not measured are named."""
    return f"### Kernels on a GPU\n\n{_on_gpu('kernel', [' '.join(key).strip() for key in CASES], found)}"


def roofline(found: list[Timing]) -> str:
    """Return how near every engine comes to the peak that was measured beside it, each by its fastest sample."""
    fastest = {one.name: min(map(min, one.rounds)) for one in found}
    facts = {one.name: one.facts for one in found}
    product = facts[PRODUCT]["flops"] / fastest[PRODUCT]
    copy = facts[COPY]["bytes"] / fastest[COPY]
    rows = []
    for one in found:
        if one.name not in (PRODUCT, COPY):
            taken, work = fastest[one.name], one.facts["flops"]
            amounts = f"{work / 1e9:.3f}", f"{one.facts['bytes'] / 1e6:.1f}"
            times = milliseconds(work / product), milliseconds(taken)
            rows.append((one.name, one.amount, *amounts, *times, f"{work / taken / product:.0%}"))
    header = ("graph", "one call", "GFLOP", "MB", "at the peak", "fastest", "of the peak")
    peaks = f"In the same run: {product / 1e9:.0f} GFLOP/s in a float32 product, copies at {copy / 1e9:.1f} GB/s."
    return f"### Against the processor's peak\n\n{peaks}\n\n{table(header, rows)}"


def torch(found: list[Timing]) -> str:
    """Return every engine beside PyTorch, eager and compiled, with the ratio's 95 % interval."""
    by = {(one.name, one.variant): one for one in found}
    rows = []
    gains: dict[str, list[float]] = {"eager": [], "compiled": []}
    for name in dict.fromkeys(one.name for one in found):
        engine, row = by[name, "onnx"], []
        for side, kept in gains.items():
            other = by.get((name, side))
            if other is None:
                row += [by[name, "eager"].facts["not_compiled"], ""]
                continue
            gain = ratio(other.rounds, engine.rounds)
            kept.append(gain.middle)
            row += [milliseconds(other.seconds), f"{gain.middle:.2f} ({gain.low:.2f} to {gain.high:.2f})"]
        rows.append((name, engine.amount, milliseconds(engine.seconds), *row))
    means = [f"**{geometric_mean(kept):.2f}**" if kept else "" for kept in gains.values()]
    rows.append(("geometric mean", "", "", "", means[0], "", means[1]))
    header = ("graph", "one call", "engine", "eager", "eager / engine", "compiled", "compiled / engine")
    return f"### Engines against PyTorch\n\n{table(header, rows)}"


def stages(found: list[Timing]) -> str:
    """Return the time of every stage of the whole pipeline."""
    facts, frames = found[0].facts, found[0].size
    rows = [
        (one.name, milliseconds(one.seconds), milliseconds(one.seconds / frames), f"{one.throughput:.1f}")
        for one in found
    ]
    about = f"{frames} frames of {facts['width']}×{facts['height']}, {facts['objects']} objects found."
    return f"### Stage by stage\n\n{about}\n\n{table(('stage', 'clip', 'a frame', 'frames a second'), rows)}"


def objects(found: list[Timing]) -> str:
    """Return what so many objects cost, and each further one."""
    rows = []
    least: dict[tuple[str, str], Timing] = {}
    for one in found:
        first = least.setdefault((one.name, one.variant), one)
        more = one.size - first.size
        further = milliseconds((one.seconds - first.seconds) / more) if more else ""
        times = milliseconds(one.seconds), f"{one.seconds / first.seconds:.2f}", further
        rows.append((one.name, one.variant, str(one.size), *times))
    header = ("clip", "what", "objects", "time", "of the fewest", "each further object")
    return f"### Many objects\n\n{table(header, rows)}"


def length(found: list[Timing]) -> str:
    """Return time a frame and peak memory of clips of several lengths."""
    rows = [
        (
            str(one.size),
            milliseconds(one.seconds),
            milliseconds(one.seconds / one.size),
            f"{max(one.facts['peak_memory']) / 2**20:.0f} MiB",
            str(len(one.rounds)),
        )
        for one in sorted(found, key=lambda one: one.size)
    ]
    header = ("frames", "time", "a frame", "peak memory", "runs")
    return f"### Length\n\nA fresh `samotion-run` each, all files written.\n\n{table(header, rows)}"


def cold(found: list[Timing]) -> str:
    """Return the parts of a first run in a fresh process."""
    rows = [(one.name, milliseconds(one.seconds), str(len(one.rounds))) for one in found]
    peak = max(found[0].facts["peak_memory"]) / 2**20
    return f"### Cold start\n\nPeak memory {peak:.0f} MiB.\n\n{table(('part', 'median', 'runs'), rows)}"


SECTIONS: dict[str, Callable[[list[Timing]], str]] = {
    "stages": stages,
    "torch": torch,
    "engines": engines,
    "gpu engines": gpu_engines,
    "gpu kernels": gpu_kernels,
    "roofline": roofline,
    "objects": objects,
    "length": length,
    "cold": cold,
}


def _latency(one: Timing) -> tuple[str, ...]:
    """Return the cells of LATENCY."""
    spread = percentiles(one.rounds)
    times = (milliseconds(spread[name]) for name in ("p50", "p95", "p99"))
    return one.amount, *times, f"{one.throughput:.0f}", str(sum(map(len, one.rounds)))


def _on_gpu(title: str, expected: Sequence[str], found: list[Timing]) -> str:
    """Return the table of what was found and of what was expected and not found."""
    rows = []
    for name in dict.fromkeys((*expected, *map(_name, found))):
        own = [(name, *_latency(one)) for one in found if _name(one) == name]
        rows += own or [(name, NOT_MEASURED, *[""] * (len(LATENCY) - 1))]
    return table((title, *LATENCY), rows)


def _name(one: Timing) -> str:
    return f"{one.name} {one.variant}".strip()


def _median(seconds: Iterable[float | None]) -> str:
    known = [value for value in seconds if value is not None]
    return milliseconds(percentiles([known])["p50"]) if known else ""
