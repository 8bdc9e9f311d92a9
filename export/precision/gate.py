"""What FP16 does to one graph on real inputs: its answers against FP32's, and every tensor's range and error."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto, helper

from samotion.calibration.recording.activations import Inputs
from samotion.calibration.recording.ranges import Deviation, Range
from samotion.engines.engine import Array, TensorSpec
from samotion.engines.ort.session import CPU, Execution, OnnxEngine
from samotion.export.graph.file import LARGEST_INSIDE
from samotion.export.graph.fp16 import HALF, LARGEST
from samotion.export.graph.index import View, save

COSINE = 0.999  # at least, of every output and every input
LARGEST_ERROR = 0.05  # at most, as a part of the output's greatest magnitude: twice what 0.999 allows on average
# Of outputs that the runtime cuts at a threshold: hundreds of tracks' probabilities lie closer together than 1 %, and
# one that turns changes every frame.
LARGEST_OF = {"probability": 0.001}
HEADROOM = 2.0  # so many times what was seen must a float16 tensor hold: other clips reach further
# Of a tensor in the report: its values in FP32, ‖error‖ / ‖value‖, largest error / largest value, how many values are
# not finite, and what it is itself.
COLUMNS = "least greatest norm largest not_finite type"
TENSORS_AT_ONCE = 64  # kept from one run of a graph, which bounds the memory of looking at all of them


@dataclass(frozen=True)
class Tensor:
    """One tensor of a graph: what it held in FP32, how far FP16 is off, whether it is FP16 itself."""

    range: Range
    deviation: Deviation
    half: bool

    @property
    def tight(self) -> bool:
        """Whether FP16 would not hold HEADROOM times what was seen."""
        return self.half and self.range.magnitude * HEADROOM > LARGEST

    def __str__(self) -> str:
        """Return COLUMNS in one line."""
        figures = (self.range.least, self.range.greatest, self.deviation.norm, self.deviation.largest)
        lost = self.range.not_finite + self.deviation.not_finite
        return f"{' '.join(f'{figure:.3g}' for figure in figures)} {lost} {'float16' if self.half else 'float32'}"


def holds(outputs: Mapping[str, Deviation]) -> bool:
    """Return whether every output is within the gate's bounds."""
    return all(
        d.not_finite == 0 and d.cosine >= COSINE and d.largest <= LARGEST_OF.get(name, LARGEST_ERROR)
        for name, d in outputs.items()
    )


class Graph:
    """One graph on disk, run on samples with more of its tensors as outputs; inputs are its manifest entry's."""

    def __init__(
        self, model: ModelProto, inputs: tuple[TensorSpec, ...], path: Path, execution: Execution = CPU
    ) -> None:
        save(model, path, LARGEST_INSIDE)
        self._path, self._inputs, self._execution = path, inputs, execution
        self.tensors = {name for node in model.graph.node for name in node.output}

    def run(self, names: Sequence[str], samples: Sequence[Inputs]) -> Iterator[dict[str, Array]]:
        """Yield the tensors ``names`` for each sample."""
        path = self._path.with_name(f"{self._path.stem}.looked.onnx")
        model = onnx.load(self._path, load_external_data=False)
        known = {value.name for value in model.graph.output}
        types = View(model).types
        model.graph.output.extend(
            helper.make_tensor_value_info(name, types[name], None) for name in names if name not in known
        )
        onnx.save(model, path)
        specs = tuple(TensorSpec(name, "float32", ()) for name in names)
        own = self._execution
        with OnnxEngine(path, self._inputs, specs, own.provider, own.threads) as engine:
            for sample in samples:
                yield dict(engine(**sample))
        path.unlink()

    def answers(self, names: Sequence[str], samples: Sequence[Inputs]) -> list[dict[str, Array]]:
        """Return the tensors ``names`` for each sample."""
        return list(self.run(names, samples))


def study(reference: Graph, trial: Graph, half: ModelProto, samples: Sequence[Inputs]) -> dict[str, Tensor]:
    """Return every tensor that ``half`` computes in floating point, FP32's values against the trial's.

    trial: ``half`` as it runs on a CPU (samotion.export.graph.fp16_emulation).
    """
    view = View(half)
    types = view.types
    floats = [n for node in half.graph.node for n in node.output if types.get(n) in (HALF, TensorProto.FLOAT)]
    # What the reference does not have is a copy in another type.
    ordered = [name for name in floats if name in reference.tensors]
    found: dict[str, Tensor] = {}
    for start in range(0, len(ordered), TENSORS_AT_ONCE):
        names = ordered[start : start + TENSORS_AT_ONCE]
        for wanted, got in zip(reference.run(names, samples), trial.run(names, samples), strict=True):
            for name in names:
                # The graph's own float16 output is cast back under its name.
                source = view.made_by[name].input[0] if view.made_by[name].op_type == "Cast" else name
                kind = types[source if source == f"{name}_half" else name]
                tensor = found.setdefault(name, Tensor(Range(), Deviation(), kind == HALF))
                tensor.range.add(wanted[name])
                tensor.deviation.add(got[name], wanted[name])
    return found
