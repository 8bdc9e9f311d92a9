"""Which INT8 encoders are worth it: faster on this CPU, and at no more than half a point of J end to end."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from onnx import ModelProto

from samotion.calibration.comparison.end_to_end import Agreement, means
from samotion.calibration.comparison.paired_timing import by_turns
from samotion.calibration.recording.activations import Inputs
from samotion.engines.engine import TensorSpec
from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.file import LARGEST_INSIDE
from samotion.export.graph.index import save
from samotion.export.precision.whole import Whole

FASTER = 0.95  # of float32's CPU time, at most: what is nearer to it is no gain that another run would show
LOST = 0.005  # of J, at most, mean over the clips whose truth is known
ROUNDS = 20


def cpu_ratio(
    models: tuple[ModelProto, ModelProto], inputs: tuple[TensorSpec, ...], sample: Inputs, folder: Path
) -> float:
    """Return the CPU time of one call of the second graph as a part of the first's: medians, alternately, one thread.

    inputs: of both. sample: what they are given. folder: for the graphs.
    """
    paths = [folder / f"timed.{number}.onnx" for number in range(2)]
    for path, model in zip(paths, models, strict=True):
        save(model, path, LARGEST_INSIDE)
    names = tuple(TensorSpec(value.name, "float32", ()) for value in models[0].graph.output)
    with (
        OnnxEngine(paths[0], inputs, names, threads=1) as reference,
        OnnxEngine(paths[1], inputs, names, threads=1) as tested,
    ):
        taken = by_turns([functools.partial(one, **sample) for one in (reference, tested)], ROUNDS)
    return taken[1]["cpu"]["p50"] / taken[0]["cpu"]["p50"]


def affordable(
    whole: Whole, models: Mapping[str, ModelProto], tell: Callable[[str], None]
) -> tuple[list[str], list[Agreement]]:
    """Return which of ``models`` together lose no more than LOST, and how each clip's answers then agree.

    While they lose more, the one without which J is best is left out.
    """
    kept = dict(models)
    while True:
        rows = whole.compare(kept)
        difference, iou, labels = means(rows)
        tell(f"{', '.join(kept) or 'none'} in INT8: ΔJ {difference:+.4f}, IoU {iou:.4f}, labels {labels:.4f}")
        if not kept or difference >= -LOST:
            return list(kept), rows
        without = {name: means(whole.compare(_but(kept, name)))[0] for name in kept}
        kept = _but(kept, max(without, key=without.__getitem__))


def _but(models: Mapping[str, ModelProto], name: str) -> dict[str, ModelProto]:
    return {other: model for other, model in models.items() if other != name}
