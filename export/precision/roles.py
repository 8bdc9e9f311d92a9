"""What nodes of a graph are for, as far as precision goes: indices, phases, attention, normalisation, module."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto

from samotion.export.graph.fp16 import LARGEST, MOVES
from samotion.export.graph.index import View

INTEGERS = (TensorProto.INT64, TensorProto.INT32)
REDUCTIONS = frozenset(["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2"])
# Arithmetic of single values: coordinates pass through these, features mostly through others.
ARITHMETIC = "Add Sub Mul Div Neg Abs Min Max Clip Floor Ceil Round Mod Where Sqrt Reciprocal Pow Exp Log Range"
COMPARISONS = "Less LessOrEqual Greater GreaterOrEqual Equal"
PLAIN = MOVES | REDUCTIONS | frozenset(f"{ARITHMETIC} {COMPARISONS}".split())
NORMALISATIONS = frozenset(
    ["LayerNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization"]
)
PRODUCTS = frozenset(["MatMul", "Gemm", "Einsum"])
COORDINATES = 4  # a product over at most so many channels is one of coordinates
LOST = 0.01  # relative: a scalar that FP16 changes by more is a guard or a scale that it does not hold


@dataclass(frozen=True)
class Roles:
    """Node names by role.

    exact: reason → nodes that are never FP16. attention, normalisation, whole: module → nodes. order: the modules
    as they run.
    """

    exact: dict[str, frozenset[str]]
    attention: dict[str, frozenset[str]]
    normalisation: dict[str, frozenset[str]]
    whole: dict[str, frozenset[str]]
    order: tuple[str, ...]


def roles(view: View) -> Roles:
    """Return the roles of a float32 graph's nodes.

    exact is: "indices", what becomes an integer or is made of integers alone, and what is answered of these, because
    FP16 holds whole numbers only to 2048 and pixels of an image of 1024 to a half; "phases", what sines and cosines
    are taken of; "constants", what reads a constant that FP16 does not hold (beyond 65504, or a scalar off by more
    than 1 %, as the 1e-12 that keeps a division finite), with the normalisation that such a constant guards.
    attention: scores, from the product of queries and keys to their softmax. normalisation: as one operator, or spelt
    out around a square root.
    """
    module = _modules(view)
    normal = [*_normalisations(view)]
    guarded = _constants(view)
    guarded |= {node for group in normal if group & guarded for node in group}
    nodes = {node.name: node for node in view.graph.node if view.floats_in(node) or view.floats_out(node)}

    def by_module(names: Iterable[str]) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for name in names:
            found.setdefault(module[name], set()).add(name)
        return {key: frozenset(value) for key, value in found.items()}

    return Roles(
        exact={
            "indices": frozenset(_indices(view)),
            "phases": frozenset(_phases(view)),
            "constants": frozenset(guarded),
        },
        attention=by_module(_attention(view)),
        normalisation=by_module({name for group in normal for name in group}),
        whole=by_module(nodes),
        order=tuple(dict.fromkeys(module[name] for name in nodes)),
    )


def _modules(view: View) -> dict[str, str]:
    """Return the module of every node, by the names of the weights around it.

    A node without weights belongs to the next that has some, as attention does to its output projection. A module
    ends with the first number in its name, so that a transformer's block is one.
    """
    found: dict[str, str] = {}
    following = ""
    for node in reversed(view.graph.node):
        named = [name for name in node.input if name in view.constants and "." in name]
        if named:
            following = _module(named[0])
        found[node.name] = following
    last = next((found[node.name] for node in reversed(view.graph.node) if found[node.name]), "graph")
    return {name: value or last for name, value in found.items()}


def _module(weight: str) -> str:
    """Return the module of a weight: model.blocks.3.attn.proj.bias → blocks.3."""
    parts = weight.removeprefix("model.").split(".")[:-1]
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    kept = parts[: numbers[0] + 1] if numbers else parts[:-1] or parts
    return ".".join(kept) or "graph"


def _closure(start: Iterable[NodeProto], step: Callable[[NodeProto], Iterable[NodeProto]]) -> set[str]:
    """Return the names of the nodes that ``step`` reaches from ``start``, those left out."""
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for node in step(waiting.pop()):
            if node.name not in found:
                found.add(node.name)
                waiting.append(node)
    return found


def _indices(view: View) -> set[str]:
    """Return coordinates: what ends in integers, and what is made of coordinates alone."""
    ends = [n for n in view.graph.node if n.op_type == "Cast" and view.types.get(n.output[0]) in INTEGERS]
    ends += [n for n in view.graph.node if n.op_type in ("Floor", "Ceil", "Round", "Mod") and view.floats_in(n)]
    found = {n.name for n in ends if n.op_type != "Cast"}
    found |= _closure(ends, lambda node: _made_of(view, node))
    inputs = {name for node in view.graph.node if node.name in found for name in node.input}
    for node in view.graph.node:
        made_of_these = [_from_coordinates(view, name, found, inputs) for name in view.floats_in(node)]
        if node.op_type in PLAIN and made_of_these and all(made_of_these):
            found.add(node.name)
    return found | _answered(view, found)


def _answered(view: View, coordinates: set[str]) -> set[str]:
    """Return the arithmetic between coordinates and the graph's outputs: a track's last update, for instance."""
    plain = [node for node in view.graph.node if node.op_type in PLAIN]
    names = {node.name for node in plain}
    made = [node for node in plain if node.name in coordinates]
    ends = [node for node in plain if {value.name for value in view.graph.output} & set(node.output)]
    after = _closure(made, lambda node: (n for n in view.after(node) if n.name in names))
    before = _closure(ends, lambda node: (n for n in view.before(node) if n.name in names))
    return after & (before | {node.name for node in ends})


def _from_coordinates(view: View, name: str, coordinates: set[str], inputs: set[str]) -> bool:
    """Return whether a tensor is a coordinate: made by one, of integers, or an input read as one."""
    if name not in view.made_by:
        return name in inputs
    node = view.made_by[name]
    if node.op_type == "Cast":
        return view.types.get(node.input[0]) in INTEGERS
    # Constants chosen by integers are as exact as these.
    return node.name in coordinates or (node.op_type == "Where" and not view.floats_in(node))


def _phases(view: View) -> set[str]:
    """Return sines and cosines and what they are taken of."""
    ends = [node for node in view.graph.node if node.op_type in ("Sin", "Cos")]
    return {node.name for node in ends} | _closure(ends, lambda node: _made_of(view, node))


def _made_of(view: View, node: NodeProto) -> Iterable[NodeProto]:
    """Return what makes the coordinates that ``node`` is given: plain arithmetic and products of coordinates."""
    return (n for n in view.before(node) if n.op_type in PLAIN or _of_coordinates(view, n))


def _of_coordinates(view: View, node: NodeProto) -> bool:
    """Return whether a node is a product of coordinates with a constant."""
    weights = [view.constants[name] for name in node.input if name in view.constants]
    return node.op_type in PRODUCTS and any(0 < min(w.dims, default=0) <= COORDINATES for w in weights)


def _constants(view: View) -> set[str]:
    """Return the nodes with a constant that FP16 does not hold."""
    lost = {name for name in view.constants if _is_lost(view, name)}
    return {node.name for node in view.graph.node if lost & set(node.input)}


def _is_lost(view: View, name: str) -> bool:
    values = view.value(name)
    if values is None or not values.size:
        return False
    finite = values[np.isfinite(values)]
    if np.abs(finite).max(initial=0.0) > LARGEST:
        return True
    return (
        values.size == 1 and finite.size == 1 and not np.isclose(np.float16(finite[0]), finite[0], rtol=LOST, atol=0)
    )


def _attention(view: View) -> set[str]:
    """Return every softmax with its scores, back to the product that makes them."""
    found: set[str] = set()
    for softmax in view.graph.node:
        if softmax.op_type not in ("Softmax", "LogSoftmax"):
            continue

        def before(node: NodeProto) -> Iterable[NodeProto]:
            # Scores are plain arithmetic on a product; what the product is taken of is none of them.
            return () if node.op_type in PRODUCTS else (n for n in view.before(node) if _scores(n))

        found |= {softmax.name} | _closure([softmax], before)
    return found


def _scores(node: NodeProto) -> bool:
    return node.op_type in PLAIN or node.op_type in PRODUCTS


def _normalisations(view: View) -> Iterable[set[str]]:
    """Yield the nodes of each normalisation."""
    for node in view.graph.node:
        if node.op_type in NORMALISATIONS:
            yield {node.name}
        elif node.op_type == "Sqrt" and (group := _spelt_out(view, node)):
            yield group


def _spelt_out(view: View, root: NodeProto) -> set[str]:
    """Return the nodes of a normalisation written around a square root; none where it takes no mean or sum."""
    # Backward through guard, mean or sum, square, difference and mean, in that order and each at most in its place.
    order = [r"Add|Clip|Max", r"Reduce\w+", r"Mul|Pow", r"Sub", r"Reduce\w+"]
    found = {root.name}
    edge, reduced = [root], False
    for pattern in order:
        next_edge = [n for node in edge for n in view.before(node) if re.fullmatch(pattern, n.op_type)]
        if next_edge:
            reduced |= next_edge[0].op_type in REDUCTIONS
            found |= {n.name for n in next_edge}
            edge = next_edge
    if not reduced:
        return set()
    return found | _closure([root], lambda node: _divisions(view, node))


def _divisions(view: View, node: NodeProto) -> Iterable[NodeProto]:
    """Return what divides by a root: the reciprocal and the product with it, or the division."""
    if node.op_type not in ("Sqrt", "Reciprocal"):
        return ()
    return (n for n in view.after(node) if n.op_type in ("Reciprocal", "Mul", "Div", "Clip", "Max"))
