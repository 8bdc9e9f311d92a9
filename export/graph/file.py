"""An ONNX file as the manifest describes it: checked, hashed, with the types and axes of its tensors. No PyTorch."""

from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import ValueInfoProto
from onnx.external_data_helper import ExternalDataInfo

from samotion.engines.bundle_files import hash_of
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import EngineError
from samotion.engines.manifest import GraphEntry

OPSET = 20
# Protobuf ends at 2 GB; well before, weights in a file beside the graph are mapped instead of parsed and copied.
LARGEST_INSIDE = 256_000_000
NUMPY_NAMES = {1: "float32", 7: "int64", 9: "bool", 10: "float16"}


def entry_of(path: Path) -> GraphEntry:
    """Return the manifest entry of a graph on disk, checked by onnx with full shape inference; raises EngineError."""
    inputs, outputs = _check(path)
    return GraphEntry(
        file=path.name,
        sha256={name: hash_of(path.parent / name) for name in _files(path)},
        inputs=inputs,
        outputs=outputs,
        opset=OPSET,
        precision="float32",
    )


def _files(path: Path) -> list[str]:
    """Return the names of the graph's file and of the external data it refers to."""
    model = onnx.load(path, load_external_data=False)
    parts = {
        ExternalDataInfo(tensor).location
        for tensor in model.graph.initializer
        if tensor.HasField("data_location") and tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    return [path.name, *sorted(parts)]


def _check(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Check the graph and return its inputs and outputs."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path, load_external_data=False)
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if foreign or model.functions:
        raise EngineError(f"{path.name}: holds operators outside the standard domain: {', '.join(sorted(foreign))}")
    return _specs(model.graph.input), _specs(model.graph.output)


def _specs(tensors: Iterable[ValueInfoProto]) -> tuple[TensorSpec, ...]:
    """Return TensorSpecs of a graph's value infos."""
    return tuple(
        TensorSpec(
            tensor.name,
            NUMPY_NAMES[tensor.type.tensor_type.elem_type],
            tuple(dim.dim_param or int(dim.dim_value) for dim in tensor.type.tensor_type.shape.dim),
        )
        for tensor in tensors
    )
