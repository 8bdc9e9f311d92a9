"""From a network part in PyTorch to one checked ONNX file."""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor

from samotion.engines.engine import TensorSpec
from samotion.engines.errors import EngineError
from samotion.engines.manifest import GraphEntry
from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.file import LARGEST_INSIDE, OPSET, entry_of
from samotion.export.networks.spec import GraphSpec

RELATIVE_ERROR = 1e-3  # float32 sums in another order; a wrong detail is off by far more


def export(spec: GraphSpec, folder: Path, compare: bool = True) -> GraphEntry:
    """Write FOLDER/NAME.onnx for ``spec`` and return its manifest entry.

    The file is checked by onnx with full shape inference, holds standard-domain operators only, and answers as
    PyTorch does on the example and on the unseen sizes, unless ``compare`` is off. Raises EngineError where it
    does not.
    """
    path = folder / f"{spec.name}.onnx"
    _write(spec, path)
    entry = entry_of(path)
    if compare:
        entry = replace(entry, parity=_parity(spec, path, entry.inputs, entry.outputs))
    for output, error in entry.parity.items():
        if not error <= RELATIVE_ERROR:
            raise EngineError(f"{path.name}: {output} is off PyTorch's by {error:.2e}, expected {RELATIVE_ERROR:.0e}")
    return entry


def _write(spec: GraphSpec, path: Path) -> None:
    """Trace ``spec`` and write the graph; large weights go to a file beside it."""
    dims = {name: dict.fromkeys(spec.dynamic.get(name, {}), torch.export.Dim.DYNAMIC) for name in spec.inputs}
    for chatty in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            spec.module.eval(),
            tuple(spec.inputs.values()),
            dynamo=True,
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
            dynamic_shapes=tuple(dims.values()),
            opset_version=OPSET,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    weights = (value.const_value for value in program.model.graph.initializers.values())
    size = sum(weight.nbytes for weight in weights if weight is not None)
    program.save(path, external_data=size > LARGEST_INSIDE)
    _rename_axes(path, spec)


def _rename_axes(path: Path, spec: GraphSpec) -> None:
    """Give the dynamic axes of the inputs the names that the spec states, throughout the graph."""
    model = onnx.load(path, load_external_data=False)
    names: dict[str, str] = {}
    for tensor in model.graph.input:
        for axis, name in spec.dynamic.get(tensor.name, {}).items():
            names[tensor.type.tensor_type.shape.dim[axis].dim_param] = name
    for tensor in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dim in tensor.type.tensor_type.shape.dim:
            if dim.dim_param in names:
                dim.dim_param = names[dim.dim_param]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    onnx.save(model, path)


def _parity(
    spec: GraphSpec, path: Path, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> Mapping[str, float]:
    """Return the largest relative error of each output against PyTorch, over the example and the unseen sizes."""
    worst = dict.fromkeys(spec.outputs, 0.0)
    with OnnxEngine(path, inputs, outputs, threads=torch.get_num_threads()) as engine:
        for case in filter(None, (spec.inputs, spec.unseen)):
            answers = engine(**{name: value.numpy() for name, value in case.items()})
            for name, wanted in _torch_answers(spec, case).items():
                worst[name] = max(worst[name], relative_error(answers[name], wanted))
    return worst


def _torch_answers(spec: GraphSpec, case: dict[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Return what PyTorch answers, by output name."""
    with torch.no_grad():
        answer = spec.module.eval()(*case.values())
    tensors = (answer,) if isinstance(answer, Tensor) else answer
    return {name: tensor.numpy() for name, tensor in zip(spec.outputs, tensors, strict=True)}


def relative_error(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """Return ‖found−wanted‖/‖wanted‖, infinite for another shape."""
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.linalg.norm(found - wanted) / max(float(np.linalg.norm(wanted)), 1e-12))
