"""An FP32 graph becomes an FP16 graph with FP32 islands, every conversion written into it as a Cast.

The result is what TensorRT calls strongly typed: each operator computes in the type of its tensors and nothing is
left for a builder to choose. Graph inputs and outputs keep their names and types.
"""

from collections.abc import Collection
from functools import cache

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, defs, helper, numpy_helper

from samotion.export.graph.index import View, captured, rename_inside, subgraphs

LARGEST = 65504.0  # of FP16
# Operators that only move values: they take the type of what they are given, so that no casts surround them.
MOVES = frozenset(
    [
        "Reshape",
        "Transpose",
        "Slice",
        "Split",
        "Concat",
        "Squeeze",
        "Unsqueeze",
        "Expand",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "Flatten",
        "Tile",
        "DepthToSpace",
        "SpaceToDepth",
        "Pad",
    ]
)
LOOKS = frozenset(("Shape", "Size"))  # read a tensor's shape, not its values
HALF, WIDE = TensorProto.FLOAT16, TensorProto.FLOAT


def to_half(model: ModelProto, islands: Collection[str]) -> ModelProto:
    """Return ``model`` (float32) computing in float16, the nodes named in ``islands`` in float32.

    Integers and shapes are left alone; so are operators that ONNX does not define for float16, inputs that it wants
    in float32 (Resize's scales), casts, whatever makes floats of integers, and operators with subgraphs. A moving
    operator (MOVES) is float16 unless it is an island or given float32. A weight beyond 65504 becomes infinite:
    its node must be an island (samotion.export.precision.roles finds those).
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    return _Writer(View(copy), frozenset(islands)).written()


@cache
def _takes_half(operator: str, opset: int, index: int, output: bool) -> bool:
    """Return whether ONNX lets input or output ``index`` of an operator be float16."""
    schema = defs.get_schema(operator, opset)
    formal = schema.outputs if output else schema.inputs
    parameter = formal[min(index, len(formal) - 1)]
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    return "tensor(float16)" in allowed.get(parameter.type_str, [parameter.type_str])


class _Writer:
    """Writes the nodes of a graph again, in order, each in its type."""

    def __init__(self, view: View, islands: frozenset[str]) -> None:
        self._view = view
        self._islands = islands
        self._opset = next(entry.version for entry in view.model.opset_import if entry.domain in ("", "ai.onnx"))
        self._outputs = {value.name for value in view.graph.output}
        self._nodes: list[NodeProto] = []
        self._native = {value.name: WIDE for value in view.graph.input if view.is_float(value.name)}
        self._cast: dict[tuple[str, int], str] = {}
        self._wanted: dict[str, set[int]] = {name: set() for name in view.constants if view.is_float(name)}

    def written(self) -> ModelProto:
        """Return the rewritten model."""
        graph = self._view.graph
        for node in list(graph.node):
            self._write(node)
        for value in graph.output:  # in their order: the same graph, the same file
            self._as(value.name, WIDE)
        constants = self._constants()
        del graph.node[:], graph.initializer[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(constants)
        for value in [*graph.value_info]:
            if value.name in self._wanted:  # a constant states its type itself
                graph.value_info.remove(value)
            elif self._view.is_float(value.name):
                value.type.tensor_type.elem_type = self._native[value.name]
        return self._view.model

    def _write(self, node: NodeProto) -> None:
        """Write one node with its inputs in the types that it computes in."""
        if node.op_type not in LOOKS:
            half = self._is_half(node)
            for index, name in enumerate(node.input):
                if self._view.is_float(name):
                    fits = half and _takes_half(node.op_type, self._opset, index, False)
                    node.input[index] = self._as(name, HALF if fits else WIDE)
            outer = [name for name in captured(node) if self._view.is_float(name)]
            rename_inside(node, {name: self._as(name, WIDE) for name in outer})
            for index, name in enumerate(node.output):
                if self._view.is_float(name):
                    fits = half and _takes_half(node.op_type, self._opset, index, True)
                    self._native[name] = HALF if fits else WIDE
                    # The graph's own output keeps its name and type: a Cast makes it.
                    if fits and name in self._outputs:
                        node.output[index] = f"{name}_half"
        elif node.input[0] in self._outputs and self._native.get(node.input[0]) == HALF:
            node.input[0] = f"{node.input[0]}_half"
        self._nodes.append(node)

    def _is_half(self, node: NodeProto) -> bool:
        """Return whether a node computes in float16."""
        given = [name for name in node.input if self._view.is_float(name)]
        if node.name in self._islands or node.op_type == "Cast" or not given or subgraphs(node):
            return False
        if node.op_type in MOVES:
            made = [name for name in given if name in self._view.made_by]
            return all(self._native[name] == HALF for name in made)
        float_out = [i for i, name in enumerate(node.output) if self._view.is_float(name)]
        if float_out:
            return _takes_half(node.op_type, self._opset, float_out[0], True)
        return all(
            _takes_half(node.op_type, self._opset, i, False)
            for i, name in enumerate(node.input)
            if self._view.is_float(name)
        )

    def _as(self, name: str, kind: int) -> str:
        """Return the name of a tensor in the type ``kind``, cast once where it is of the other."""
        if name in self._wanted:
            self._wanted[name].add(kind)
            return _constant_name(name, kind)
        hidden = name in self._outputs and self._native[name] == HALF
        if self._native[name] == kind:
            return f"{name}_half" if hidden else name
        if (name, kind) not in self._cast:
            made = name if hidden else f"{name}_{'half' if kind == HALF else 'wide'}"
            given = f"{name}_half" if hidden else name
            self._nodes.append(helper.make_node("Cast", [given], [made], name=f"Cast_{made}", to=kind))
            self._cast[name, kind] = made
        return self._cast[name, kind]

    def _constants(self) -> list[TensorProto]:
        """Return the initializers in the types that are read, under their own names where that is one type."""
        found, names = [], {}
        for tensor in self._view.graph.initializer:
            kinds = self._wanted.get(tensor.name)
            if kinds is None:
                found.append(tensor)
                continue
            for kind in sorted(kinds):
                name = tensor.name if len(kinds) == 1 or kind == WIDE else f"{tensor.name}_half"
                names[_constant_name(tensor.name, kind)] = name
                found.append(_converted(tensor, name, kind))
        for node in self._nodes:
            for index, name in enumerate(node.input):
                node.input[index] = names.get(name, name)
            rename_inside(node, names)
        return found


def _constant_name(name: str, kind: int) -> str:
    """Return the working name of a constant in one type, until it is known in which types it is read."""
    return f"{name}\0{kind}"


def _converted(tensor: TensorProto, name: str, kind: int) -> TensorProto:
    """Return a constant in the type ``kind``."""
    if kind == WIDE:
        made = TensorProto()
        made.CopyFrom(tensor)
        made.name = name
        return made
    with np.errstate(over="ignore"):
        return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name)
