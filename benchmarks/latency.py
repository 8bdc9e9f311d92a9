"""How long each engine takes by itself, in several batch sizes."""

from collections.abc import Callable, Mapping
from functools import partial

from samotion.benchmarks.engine_inputs import BATCHED, batch
from samotion.benchmarks.measurement import Timing
from samotion.benchmarks.timing import Effort, in_turns
from samotion.calibration.activations import Inputs
from samotion.engines.bundle import Bundle

SIZES = {
    "frames": (1, 2, 4, 8),
    "points": (8, 32, 64, 128),
    "tracks": (100, 350, 700),
    "objects": (1, 4, 16, 64),
}


def engines(bundle: Bundle, recorded: Mapping[str, Inputs], effort: Effort) -> list[Timing]:
    """Return one timing a graph and batch size; recorded: what the pipeline fed each graph.

    An engine returns its answer in host memory, so a sample ends when the device has.
    """
    cases = [(graph, size) for graph, (_, unit) in BATCHED.items() for size in SIZES[unit]]
    calls: dict[str, Callable[[], object]] = {}
    shapes = {}
    for graph, size in cases:
        engine = bundle.engine(graph)
        inputs = batch(graph, recorded[graph], engine.inputs, size)
        shapes[f"{graph} {size}"] = {name: list(value.shape) for name, value in inputs.items()}
        calls[f"{graph} {size}"] = partial(engine, **inputs)
    rounds = in_turns(calls, effort)
    return [
        Timing("engines", graph, rounds[f"{graph} {size}"], "onnx", size, BATCHED[graph][1],
               {"shapes": shapes[f"{graph} {size}"]})
        for graph, size in cases
    ]  # fmt: skip
