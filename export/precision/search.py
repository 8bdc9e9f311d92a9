"""Which nodes of a graph stay FP32: FP16 everywhere, then islands, until the answers hold on real inputs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from samotion.calibration.recording.activations import Inputs
from samotion.calibration.recording.ranges import Deviation
from samotion.engines.errors import EngineError
from samotion.engines.manifest import GraphEntry
from samotion.engines.ort.session import CPU, Execution
from samotion.export.graph.fp16 import HALF, to_half
from samotion.export.graph.fp16_emulation import rounded
from samotion.export.graph.index import FLOATS, View
from samotion.export.precision.gate import Graph, Tensor, holds, study
from samotion.export.precision.roles import Roles, roles
from samotion.export.precision.ties import judge, ties

STEPS = ("attention", "normalisation", "whole")
NOTHING = 1e-9  # an error below this is none
RELIEF = 0.25  # of a graph's error, at most, is left by the islands that it gets for what it does end to end
NEAR = 0.5  # modules whose error is at least so much of the largest get their next island in the same round

Islands = Mapping[str, Mapping[str, frozenset[str]]]  # reason → module → nodes
Deviations = Mapping[str, Deviation]


@dataclass(frozen=True)
class Trial:
    """One choice of islands, measured. outputs: on the samples that chose; held: on those that did not.

    differing: rows (points, objects) in which FP16 chose otherwise (see samotion.export.precision.ties).
    """

    islands: Islands
    half: ModelProto
    outputs: Deviations
    held: Deviations
    tensors: Mapping[str, Tensor]
    differing: int = 0

    @property
    def passed(self) -> bool:
        """Whether the gate holds on both kinds of samples, no tensor overflows and none is near to it."""
        sound = not any(tensor.deviation.not_finite or tensor.tight for tensor in self.tensors.values())
        return sound and holds(self.outputs) and holds(self.held)

    @property
    def nodes(self) -> int:
        """How many nodes compute in floating point."""
        types = View(self.half).types
        return sum(any(types.get(name) in FLOATS for name in node.output) for node in self.half.graph.node)

    def record(self) -> dict[str, Any]:
        """Return the manifest's precision map: float32 nodes by reason and module, and the gate's figures."""
        return {
            "float32": {
                reason: {module: sorted(nodes) for module, nodes in modules.items()}
                for reason, modules in self.islands.items()
            },
            "gate": {
                "chosen_on": {name: asdict(deviation) for name, deviation in self.outputs.items()},
                "held": {name: asdict(deviation) for name, deviation in self.held.items()},
                "tensors": len(self.tensors),
                "ties": self.differing,
            },
        }

    @property
    def is_half(self) -> bool:
        """Whether anything of the graph is float16."""
        view = View(self.half)
        return any(view.types.get(name) == HALF for node in self.half.graph.node for name in node.output)

    @property
    def worst(self) -> float:
        """The largest ‖difference‖ / ‖reference‖ of an output."""
        return max(d.norm for d in (*self.outputs.values(), *self.held.values()))


class Search:
    """The search on one graph.

    model: the float32 graph. entry: of the manifest. chosen_on: samples that errors are ranked by; held: samples that
    only say whether the choice holds. folder: for trials.
    """

    def __init__(
        self,
        model: ModelProto,
        entry: GraphEntry,
        chosen_on: Sequence[Inputs],
        held: Sequence[Inputs],
        folder: Path,
        execution: Execution = CPU,
    ) -> None:
        self.name = Path(entry.file).stem
        self._model, self._inputs, self._folder, self._execution = model, entry.inputs, folder, execution
        self._view = View(model)
        self._roles = roles(self._view)
        self._names = [spec.name for spec in entry.outputs]
        self._samples, self._held = chosen_on, held
        self._reference = Graph(model, entry.inputs, folder / f"{self.name}.reference.onnx", execution)
        self._ties = ties(self._view, frozenset().union(*self._roles.exact.values()))
        self._wanted = self._reference.answers(self._ties.names(self._names), [*chosen_on, *held])
        self._level = dict.fromkeys(self._roles.order, 0)
        self.rounds: list[dict[str, Any]] = []

    def satisfied(self) -> Trial:
        """Return the first choice of islands, from where the search stands, that passes the gate."""
        while True:
            trial = self.trial(islands(self._roles, self._level))
            self.rounds.append(self._round(trial))
            if trial.passed:
                return trial
            self.further(trial)

    def trial(self, chosen: Islands) -> Trial:
        """Return a choice of islands with what it does to the answers."""
        half, graph = self._made(chosen)
        got = graph.answers(self._ties.names(self._names), [*self._samples, *self._held])
        first = len(self._samples)
        outputs, some = judge(self._ties, self._names, self._wanted[:first], got[:first])
        held, others = judge(self._ties, self._names, self._wanted[first:], got[first:])
        tensors = study(self._reference, graph, half, self._samples[:1])
        return Trial(chosen, half, outputs, held, tensors, some + others)

    def _made(self, chosen: Islands) -> tuple[ModelProto, Graph]:
        """Return the graph with these islands, and how a CPU runs it."""
        half = to_half(
            self._model, {name for modules in chosen.values() for nodes in modules.values() for name in nodes}
        )
        return half, Graph(rounded(half), self._inputs, self._folder / f"{self.name}.trial.onnx", self._execution)

    def further(self, trial: Trial) -> None:
        """Give the modules that add most error their next island; raises EngineError where all are FP32."""
        grown = growth(self._view, self._roles, trial.tensors)
        waiting = [name for name in self._roles.order if self._level[name] < len(STEPS)]
        if not waiting:
            raise EngineError(f"{self.name}: FP16 inputs alone put it off FP32; keep this graph in float32")
        most = max(grown[name] for name in waiting)
        for name in waiting:
            if grown[name] >= NEAR * most:
                self._level[name] = self._next(name)

    def relieved(self, trial: Trial) -> Trial:
        """Return a choice with at most RELIEF of ``trial``'s error: the next islands of all modules, step by step.

        All of the graph is FP32 where nothing less does.
        """
        aim = RELIEF * self._error(trial.islands)
        while self._error(islands(self._roles, self._level)) > aim and min(self._level.values()) < len(STEPS):
            step = min(self._level.values()) + 1
            self._level = {name: max(level, step) for name, level in self._level.items()}
        return self.satisfied()

    def _error(self, chosen: Islands) -> float:
        """Return the error of a choice: the geometric mean over outputs of ‖difference‖ / ‖reference‖."""
        got = self._made(chosen)[1].answers(self._ties.names(self._names), self._samples)
        outputs, _ = judge(self._ties, self._names, self._wanted[: len(got)], got)
        return float(np.exp(np.mean([np.log(max(outputs[name].norm, NOTHING)) for name in self._names])))

    def _next(self, module: str) -> int:
        """Return a module's next level that makes anything FP32 that was not."""
        level = self._level[module]
        given = {STEPS[i]: getattr(self._roles, STEPS[i]).get(module, frozenset()) for i in range(len(STEPS))}
        have = frozenset().union(*(given[step] for step in STEPS[:level]), *self._roles.exact.values())
        for further in range(level, len(STEPS)):
            if given[STEPS[further]] - have:
                return further + 1
        return len(STEPS)

    def _round(self, trial: Trial) -> dict[str, Any]:
        """Return what the report says of one round."""
        counts = {reason: sum(map(len, modules.values())) for reason, modules in trial.islands.items()}
        return {"float32_nodes": counts, "worst": _finite(trial.worst), "passed": trial.passed}


def islands(found: Roles, level: Mapping[str, int]) -> dict[str, dict[str, frozenset[str]]]:
    """Return reason → module → nodes that stay FP32, each node once, at the level that every module has."""
    chosen: dict[str, dict[str, frozenset[str]]] = {}
    taken: set[str] = set()

    def take(reason: str, module: str, nodes: Iterable[str]) -> None:
        if new := frozenset(nodes) - taken:
            chosen.setdefault(reason, {})[module] = new
            taken.update(new)

    for reason, nodes in found.exact.items():
        for module in found.order:
            take(reason, module, nodes & found.whole[module])
    for number, step in enumerate(STEPS):
        for module in found.order:
            if level[module] > number:
                take(step, module, getattr(found, step).get(module, ()))
    return chosen


def growth(view: View, found: Roles, tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Return by module how much relative error its nodes add to what they are given.

    Infinite where a value overflows that was finite before, or where FP16 would not hold much more than was seen.
    """
    error = {name: tensor.deviation.norm for name, tensor in tensors.items()}
    added = {}
    for node in view.graph.node:
        before = max((error.get(name, 0.0) for name in view.floats_in(node)), default=0.0)
        after = max((error.get(name, 0.0) for name in view.floats_out(node)), default=0.0)
        tight = any(tensors[name].tight for name in node.output if name in tensors)
        added[node.name] = np.inf if tight else 0.0 if np.isinf(before) else max(0.0, after - before)
    return {module: sum(added[name] for name in nodes) for module, nodes in found.whole.items()}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
