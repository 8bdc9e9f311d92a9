"""INT8 graphs: weights and what they are multiplied with quantised by explicit Q/DQ in the graph.

ONNX Runtime's static quantiser writes them. Ranges come from real inputs; by which rule is chosen by measuring.
"""

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from samotion.calibration.recording.activations import Inputs
from samotion.calibration.recording.ranges import Deviation
from samotion.engines.manifest import GraphEntry
from samotion.engines.ort.session import CPU, Execution
from samotion.export.graph.file import LARGEST_INSIDE
from samotion.export.graph.index import name_nodes
from samotion.export.graph.index import save as save_model
from samotion.export.precision.gate import Graph

# What has weights. All else stays float32: in INT8 it gains nothing on a CPU, and a transformer's sums and
# normalisations lose most (cosine of nano's semantic keys 0.973 with them, 0.999 without).
OPERATORS = ("Conv", "MatMul", "Gemm")
METHODS = ("MinMax", "Percentile", "Entropy")


class Quantiser:
    """INT8 graphs of one float32 graph. samples: what ranges are taken from. folder: for trials."""

    def __init__(
        self,
        model: ModelProto,
        entry: GraphEntry,
        samples: Sequence[Inputs],
        folder: Path,
        execution: Execution = CPU,
    ) -> None:
        name_nodes(model.graph)
        self._model, self._entry, self._samples = model, entry, samples
        self._folder, self._execution = folder, execution
        self._names = [spec.name for spec in entry.outputs]

    def best(self, for_plans: bool) -> tuple[str, ModelProto]:
        """Return the rule for ranges with the least error on the samples that they are from, and its graph."""
        graphs = {method: self.quantised(method, for_plans) for method in METHODS}
        error = {method: self._error(graph) for method, graph in graphs.items()}
        chosen = min(METHODS, key=lambda method: error[method])
        return chosen, graphs[chosen]

    def quantised(self, method: str, for_plans: bool) -> ModelProto:
        """Return the graph with Q/DQ around OPERATORS, weights int8 per channel."""
        source, made = self._folder / "source.onnx", self._folder / "quantised.onnx"
        save_model(self._model, source, LARGEST_INSIDE)
        activations = QuantType.QInt8 if for_plans else QuantType.QUInt8
        logging.getLogger().setLevel(logging.ERROR)  # the quantiser advises on the root logger
        with contextlib.redirect_stdout(io.StringIO()):  # and prints what it is at
            quantize_static(
                source,
                made,
                _Reader(self._samples),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                # Seven bits: two products of eight overflow the 16 bits in which CPUs without VNNI add them.
                reduce_range=True,
                activation_type=activations,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod[method],
                use_external_data_format=self._model.ByteSize() > LARGEST_INSIDE,
                extra_options={
                    "MatMulConstBOnly": True,
                    "WeightSymmetric": True,
                    "ActivationSymmetric": for_plans,
                    "QuantizeBias": not for_plans,
                },
            )
        return onnx.load(made)

    def deviations(self, model: ModelProto, samples: Sequence[Inputs]) -> dict[str, Deviation]:
        """Return by output how far ``model`` is off float32 on ``samples``."""
        found = {name: Deviation() for name in self._names}
        graphs = (
            Graph(self._model, self._entry.inputs, self._folder / "float32.onnx", self._execution),
            Graph(model, self._entry.inputs, self._folder / "int8.onnx", self._execution),
        )
        for wanted, got in zip(*(graph.run(self._names, samples) for graph in graphs), strict=True):
            for name, deviation in found.items():
                deviation.add(got[name], wanted[name])
        return found

    def _error(self, model: ModelProto) -> float:
        """Return the mean over outputs of ‖difference‖ / ‖reference‖."""
        return float(np.mean([d.norm for d in self.deviations(model, self._samples).values()]))


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the samples to the quantiser."""

    def __init__(self, samples: Sequence[Inputs]) -> None:
        self._left: Iterator[Inputs] = iter(samples)

    def get_next(self) -> Inputs | None:
        """Return the next sample, None after the last."""
        return next(self._left, None)
