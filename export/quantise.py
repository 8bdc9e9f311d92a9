"""Image encoders in INT8: weights and what they are multiplied with quantised by explicit Q/DQ in the graph.

ONNX Runtime's static quantiser writes the graphs. Ranges come from real inputs; by which rule is chosen by measuring.
"""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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

from samotion.calibration.activations import Inputs
from samotion.calibration.ranges import Deviation
from samotion.engines.errors import BundleError
from samotion.engines.manifest import GraphEntry, Manifest, read, save, verify
from samotion.export.half_view import load, name_nodes
from samotion.export.half_view import save as save_model
from samotion.export.onnx_file import LARGEST_INSIDE, entry_of
from samotion.export.precision_gate import Graph
from samotion.export.precision_samples import gather
from samotion.export.staged import staged

ENCODERS = ("track_features", "depth", "semantics", "mask_encoder")
# What has weights. All else stays float32: in INT8 it gains nothing on a CPU, and a transformer's sums and
# normalisations lose most (cosine of nano's semantic keys 0.973 with them, 0.999 without).
OPERATORS = ("Conv", "MatMul", "Gemm")
METHODS = ("MinMax", "Percentile", "Entropy")
COSINE = 0.99  # at least, of every output and every input: eight bits hold three less than FP16
# At most, as a part of the output's greatest magnitude. Ranges that leave outliers out are off by most of those:
# what that costs is for the masks to show.
LARGEST_ERROR = 0.25
Tell = Callable[[str], None]


def convert(
    bundle: Path, out: Path, data: Path | None, tell: Tell, for_plans: bool = False, threads: int = 0
) -> tuple[Manifest, dict[str, Any]]:
    """Write ``bundle`` (float32) to ``out`` with its image encoders in INT8; return the manifest and the report.

    for_plans: quantise as TensorRT wants it, activations int8 around 0 and biases in float32, instead of as ONNX
    Runtime's CPU kernels do, activations uint8. data: as for samotion.export.precision.convert. An encoder that INT8
    puts past the bounds stays float32. Raises BundleError, InputError, OutputError.
    """
    manifest = read(bundle)
    for name, entry in manifest.graphs.items():
        verify(bundle, entry)
        if entry.precision != "float32":
            raise BundleError(f"{bundle}: {name} is {entry.precision} already; name a bundle of float32 graphs")
    with staged(out) as partial:
        tell("collecting activations")
        inputs = gather(bundle, manifest, data, threads)
        graphs = {
            name: _copied(bundle, entry, partial)
            if name not in ENCODERS
            else _encoder(bundle, entry, inputs.choosing[name], inputs.held[name], partial, for_plans, tell, threads)
            for name, entry in manifest.graphs.items()
        }
        changed = dataclasses.replace(manifest, graphs=graphs, plans={})
        save(partial, changed)
    return changed, {name: dict(graphs[name].precision_map) for name in ENCODERS}


def _encoder(
    bundle: Path,
    entry: GraphEntry,
    choosing: Sequence[Inputs],
    held: Sequence[Inputs],
    out: Path,
    for_plans: bool,
    tell: Tell,
    threads: int,
) -> GraphEntry:
    """Write one encoder, in INT8 if that holds on inputs that did not choose its ranges, and return its entry."""
    with tempfile.TemporaryDirectory() as scratch:
        quantiser = Quantiser(load(bundle / entry.file), entry, choosing, Path(scratch), threads)
        method, model = quantiser.best(for_plans)
        deviations = quantiser.deviations(model, held)
    record = _record(method, model, for_plans, deviations)
    cosine, largest = min(d.cosine for d in deviations.values()), max(d.largest for d in deviations.values())
    line = f"{Path(entry.file).stem}: {method}, cosine {cosine:.5f}, largest error {largest:.4f}"
    if not holds(deviations):
        tell(f"{line}, past the bounds ({COSINE}, {LARGEST_ERROR}): stays float32")
        return dataclasses.replace(_copied(bundle, entry, out), precision_map={"refused": record})
    tell(f"{line}, {record['nodes']} products in INT8")
    path = out / entry.file
    save_model(model, path, LARGEST_INSIDE)
    return dataclasses.replace(entry_of(path), precision="int8", parity=entry.parity, precision_map=record)


def _copied(bundle: Path, entry: GraphEntry, out: Path) -> GraphEntry:
    """Copy a graph as it is and return its entry."""
    for name in entry.sha256:
        shutil.copyfile(bundle / name, out / name)
    return entry


def holds(deviations: dict[str, Deviation]) -> bool:
    """Return whether every output is within INT8's bounds."""
    return all(d.not_finite == 0 and d.cosine >= COSINE and d.largest <= LARGEST_ERROR for d in deviations.values())


class Quantiser:
    """INT8 graphs of one float32 graph. samples: what ranges are taken from. folder: for trials."""

    def __init__(
        self, model: ModelProto, entry: GraphEntry, samples: Sequence[Inputs], folder: Path, threads: int = 0
    ) -> None:
        name_nodes(model.graph)
        self._model, self._entry, self._samples, self._folder, self._threads = model, entry, samples, folder, threads
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
            Graph(self._model, self._entry.inputs, self._folder / "float32.onnx", self._threads),
            Graph(model, self._entry.inputs, self._folder / "int8.onnx", self._threads),
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


def _record(method: str, model: ModelProto, for_plans: bool, held: dict[str, Deviation]) -> dict[str, Any]:
    """Return the manifest's precision map of an INT8 graph."""
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    quantised = [
        node
        for node in model.graph.node
        if node.op_type in OPERATORS and all(made.get(name) == "DequantizeLinear" for name in node.input[:2])
    ]
    return {
        "int8": dict(sorted({kind: sum(n.op_type == kind for n in quantised) for kind in OPERATORS}.items())),
        "activations": "int8" if for_plans else "uint8",
        "ranges": method,
        "nodes": len(quantised),
        "gate": {"held": {name: dataclasses.asdict(deviation) for name, deviation in held.items()}},
    }
