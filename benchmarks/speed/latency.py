"""How long each engine takes by itself, in several batch sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.speed.engine_inputs import BATCHED, batch
from samotion.calibration.comparison.paired_timing import Effort, in_turns
from samotion.calibration.recording.activations import Inputs
from samotion.engines.bundle import Bundle

SIZES = {
    "frames": (1, 2, 4, 8),
    "points": (8, 32, 64, 128),
    "tracks": (100, 350, 700),
    "objects": (1, 4, 16, 64),
}


@dataclass(frozen=True)
class Case:
    """An engine and inputs for it, with ``size`` items along the axis that batches."""

    graph: str
    size: int
    engine: Any
    inputs: Inputs

    @classmethod
    def of(cls, bundle: Bundle, recorded: Mapping[str, Inputs], graph: str, size: int) -> "Case":
        """Return the case of one graph; recorded: what the pipeline fed each graph."""
        engine = bundle.engine(graph)
        return cls(graph, size, engine, batch(graph, recorded[graph], engine.inputs, size))

    @property
    def name(self) -> str:
        """What tells it from all others."""
        return f"{self.graph} {self.size}"

    def timing(self, group: str, rounds: list[list[float]], variant: str = "") -> Timing:
        """Return what was measured of it as an entry of a result."""
        shapes = {name: list(value.shape) for name, value in self.inputs.items()}
        return Timing(group, self.graph, rounds, variant, self.size, BATCHED[self.graph][1], {"shapes": shapes})


def engines(bundle: Bundle, recorded: Mapping[str, Inputs], effort: Effort) -> list[Timing]:
    """Return one timing a graph and batch size; recorded: what the pipeline fed each graph.

    An engine returns its answer in host memory, so a sample ends when the device has.
    """
    cases = [Case.of(bundle, recorded, graph, size) for graph in BATCHED for size in sizes(bundle, graph)]
    rounds = in_turns({case.name: partial(case.engine, **case.inputs) for case in cases}, effort)
    return [case.timing("engines", rounds[case.name], "onnx") for case in cases]


def sizes(bundle: Bundle, graph: str) -> list[int]:
    """Return the batch sizes of one graph: those of SIZES that its plan takes, all where it has none."""
    axis, unit = BATCHED[graph]
    plan = bundle.manifest.plans.get(bundle.provider, {}).get(graph)
    if plan is None:
        return list(SIZES[unit])
    spec = next(spec for spec in bundle.manifest.graphs[graph].inputs if axis in spec.shape)
    least, _, most = (shape[spec.shape.index(axis)] for shape in plan.profile[spec.name])
    return [size for size in SIZES[unit] if least <= size <= most]
