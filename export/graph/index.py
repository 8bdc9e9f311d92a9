"""An ONNX graph to walk along: who makes a tensor, who reads it, what is constant, what is floating point."""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from samotion.engines.errors import EngineError

FEW = 64
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


class View:
    """The main graph of one model, its tensors by name.

    types: element type of every tensor that is known. made_by: the node of a tensor. read_by: the nodes of a tensor,
    those whose subgraphs read it included. constants: the initializers. Every node has a name of its own.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.graph = model.graph
        name_nodes(model.graph)
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.types = _types(model)
        self.made_by: dict[str, NodeProto] = {}
        self.read_by: dict[str, list[NodeProto]] = defaultdict(list)
        for node in model.graph.node:
            self.made_by.update((name, node) for name in node.output if name)
            for name in {*node.input, *captured(node)} - {""}:
                self.read_by[name].append(node)

    def is_float(self, name: str) -> bool:
        """Return whether a tensor is float32 or float16."""
        return self.types.get(name) in FLOATS

    def floats_in(self, node: NodeProto) -> list[str]:
        """Return the floating-point inputs of ``node`` that are no constants."""
        return [name for name in node.input if self.is_float(name) and name not in self.constants]

    def floats_out(self, node: NodeProto) -> list[str]:
        """Return the floating-point outputs of ``node``."""
        return [name for name in node.output if self.is_float(name)]

    def before(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield the nodes that make the floating-point inputs of ``node``."""
        for name in self.floats_in(node):
            if name in self.made_by:
                yield self.made_by[name]

    def after(self, node: NodeProto) -> Iterator[NodeProto]:
        """Yield the nodes that read the floating-point outputs of ``node``."""
        for name in self.floats_out(node):
            yield from self.read_by[name]

    def value(self, name: str) -> NDArray[np.float64] | None:
        """Return a floating-point constant's values; None for any other tensor."""
        if name not in self.constants or not self.is_float(name):
            return None
        return np.asarray(numpy_helper.to_array(self.constants[name]), np.float64)


def load(path: Path) -> ModelProto:
    """Return the model of a file with all its weights."""
    return onnx.load(path)


def save(model: ModelProto, path: Path, largest_inside: int) -> None:
    """Write a model; more bytes of weights than ``largest_inside`` go to a file beside it."""
    beside = path.with_name(f"{path.name}.data")
    beside.unlink(missing_ok=True)  # onnx would add to it
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) <= largest_inside:
        onnx.save(model, path)
        return
    copy = ModelProto()
    copy.CopyFrom(model)  # onnx takes the weights out of what it saves so
    onnx.save(copy, path, save_as_external_data=True, location=beside.name)


def name_nodes(graph: GraphProto) -> None:
    """Give every node that has none, or another's, a name of its own."""
    taken: set[str] = set()
    for number, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{number}"
        taken.add(node.name)


def subgraphs(node: NodeProto) -> list[GraphProto]:
    """Return the graphs that ``node`` runs, as If and Loop do."""
    kinds = AttributeProto
    single = [a.g for a in node.attribute if a.type == kinds.GRAPH]
    return single + [g for a in node.attribute if a.type == kinds.GRAPHS for g in a.graphs]


def captured(node: NodeProto) -> set[str]:
    """Return the names that subgraphs of ``node`` read from the graph around them."""
    found: set[str] = set()
    for graph in subgraphs(node):
        own = {tensor.name for tensor in [*graph.input, *graph.initializer]}
        own |= {name for inner in graph.node for name in inner.output}
        read = {name for inner in graph.node for name in {*inner.input, *captured(inner)}}
        # An output may be passed through from outside.
        found |= (read | {tensor.name for tensor in graph.output}) - own - {""}
    return found


def rename_inside(node: NodeProto, names: dict[str, str]) -> None:
    """Rename what subgraphs of ``node`` read from the graph around them."""
    for graph in subgraphs(node):
        for inner in graph.node:
            for index, name in enumerate(inner.input):
                inner.input[index] = names.get(name, name)
            rename_inside(inner, names)


def _types(model: ModelProto) -> dict[str, int]:
    """Return the element type of every tensor of the main graph; raises EngineError where one is unknown."""
    bare = ModelProto()
    bare.CopyFrom(model)
    for tensor in bare.graph.initializer:
        # 2 GB of weights could not be handed to the inference, which needs few values: scales, ends of ranges.
        if tensor.data_type in FLOATS and math.prod(tensor.dims) > FEW:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
            tensor.ClearField("int32_data")
            tensor.data_location = TensorProto.EXTERNAL
    inferred = onnx.shape_inference.infer_shapes(bare).graph
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for value in [*inferred.input, *inferred.output, *inferred.value_info]:
        types[value.name] = value.type.tensor_type.elem_type
    for node in model.graph.node:
        if unknown := [name for name in node.output if name and not types.get(name)]:
            raise EngineError(f"{node.op_type} {node.name}: onnx cannot tell the type of {unknown[0]}")
    return types
