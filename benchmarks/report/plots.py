"""Results as pictures."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from samotion.benchmarks.report.measurement import timings
from samotion.benchmarks.report.noise import percentiles
from samotion.benchmarks.report.tables import sides_of
from samotion.engines.errors import EngineError, OutputError

# The same result gives the same bytes: ids of clip paths are salted, and dates left out.
STYLE: Any = {"svg.hashsalt": "samotion", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
Axes = Any


def check_matplotlib() -> None:
    """Raise EngineError where matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise EngineError("plots need matplotlib: pip install 'samotion[bench]', or leave --plots out")


def draw(bench: dict[str, Any], other: dict[str, Any] | None, folder: Path) -> list[Path]:
    """Draw every plot that the results hold data for as FOLDER/NAME.svg and return their paths.

    other: a result of samotion.benchmarks.orchestration. Raises OutputError where they cannot be written.
    """
    check_matplotlib()
    data = {group: timings(bench, group) for group in PLOTS}
    drawn = [_save(folder, group, PLOTS[group], found) for group, found in data.items() if found]
    return [*drawn, _save(folder, "orchestration", _orchestration, other)] if other else drawn


def _save(folder: Path, name: str, plot: Callable[[Axes, Any], None], data: Any) -> Path:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    path = folder / f"{name}.svg"
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
        plot(axes, data)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, metadata={"Date": None})
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        finally:
            plt.close(figure)
    return path


def _engines(axes: Axes, found: list[Any]) -> None:
    for name in dict.fromkeys(one.name for one in found):
        own = [one for one in found if one.name == name]
        axes.plot([one.size for one in own], [1e3 * one.seconds / one.size for one in own], marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="batch size", ylabel="ms an item, median", title="Engines")
    axes.legend(fontsize=7, ncols=2)


def _torch(axes: Axes, found: list[Any]) -> None:
    names = list(dict.fromkeys(one.name for one in found))
    engine = {one.name: one.seconds for one in found if one.variant == "onnx"}
    for side, shift in (("eager", -0.2), ("compiled", 0.2)):
        own = {one.name: one.seconds / engine[one.name] for one in found if one.variant == side}
        axes.barh([names.index(name) + shift for name in own], list(own.values()), 0.4, label=f"PyTorch {side}")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xlabel="times as long as the engine, median", title="Engines against PyTorch")
    axes.legend()


def _stages(axes: Axes, found: list[Any]) -> None:
    own = [one for one in found if not one.name.startswith("clip to")]
    axes.barh([one.name for one in own], [1e3 * one.seconds / one.size for one in own])
    axes.invert_yaxis()
    axes.set(xlabel="ms a frame, median", title="Stage by stage")


def _objects(axes: Axes, found: list[Any]) -> None:
    for name, variant in dict.fromkeys((one.name, one.variant) for one in found):
        own = [one for one in found if (one.name, one.variant) == (name, variant)]
        axes.plot([one.size for one in own], [one.seconds for one in own], marker="o", label=f"{name}, {variant}")
    axes.set(xlabel="objects", ylabel="seconds, median", title="Many objects", ylim=(0, None))
    axes.legend()


def _length(axes: Axes, found: list[Any]) -> None:
    own = sorted(found, key=lambda one: one.size)
    frames = [one.size for one in own]
    axes.plot(frames, [1e3 * one.seconds / one.size for one in own], marker="o")
    axes.set(xscale="log", xlabel="frames", ylabel="ms a frame (circles)", title="Length", ylim=(0, None))
    memory = axes.twinx()
    memory.plot(frames, [max(one.facts["peak_memory"]) / 2**20 for one in own], marker="s", color="C1")
    memory.set(ylabel="peak memory, MiB (squares)", ylim=(0, None))


def _orchestration(axes: Axes, record: dict[str, Any]) -> None:
    pairs = [pair for clip in record["clips"] for pair in clip["pairs"]]
    sides = sides_of(pairs)
    stages = dict.fromkeys(stage for side in sides for stage in pairs[0][side]["stages"])
    left = dict.fromkeys(sides, 0.0)
    for stage in stages:
        for side in sides:
            taken = [pair[side]["stages"][stage] for pair in pairs if stage in pair[side]["stages"]]
            if taken:
                wide = percentiles([taken])["p50"]
                axes.barh(side, wide, left=left[side], color=f"C{list(stages).index(stage)}")
                left[side] += wide
    for number, stage in enumerate(stages):
        axes.barh(0, 0, color=f"C{number}", label=stage)
    axes.set(xlabel="seconds, median", title=f"One clip, the same engines: ratio {record['ratio']:.0f}")
    axes.legend(fontsize=7, ncols=3)


PLOTS: dict[str, Callable[[Axes, Any], None]] = {
    "engines": _engines,
    "torch": _torch,
    "stages": _stages,
    "objects": _objects,
    "length": _length,
}
