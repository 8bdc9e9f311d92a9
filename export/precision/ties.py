"""Choices that a graph makes by comparing floats: of two nearly equal candidates FP16 may take the other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from samotion.calibration.recording.ranges import Deviation
from samotion.engines.engine import Array
from samotion.export.graph.index import View
from samotion.runtime.values import Bool

DECIDES = frozenset(["Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
PICKS = frozenset(("ArgMax", "ArgMin"))  # decide whatever becomes of their answer, coordinates for instance
CHOOSES = frozenset(["Where", "Gather", "GatherElements", "GatherND"])


@dataclass(frozen=True)
class Ties:
    """below: boolean or integer tensor by which floats are chosen → every tensor that follows from it.

    candidates: what is chosen of and by.
    """

    below: Mapping[str, frozenset[str]]
    candidates: tuple[str, ...]

    def names(self, outputs: Sequence[str]) -> list[str]:
        """Return outputs, decisions and candidates, each once."""
        return list(dict.fromkeys((*outputs, *self.below, *self.candidates)))


def ties(view: View, exact: frozenset[str]) -> Ties:
    """Return the choices of a graph but those of nodes named in ``exact``, which are never float16."""
    below: dict[str, frozenset[str]] = {}
    candidates: list[str] = []
    for node in view.graph.node:
        given = view.floats_in(node)
        if node.op_type in DECIDES | PICKS and given and node.name not in exact:
            chosen = [name for user in _users(view, node) for name in view.floats_in(user)]
            if chosen or node.op_type in PICKS:
                below[node.output[0]] = _following(view, node)
                candidates += [*given, *chosen]
    return Ties(below, tuple(name for name in dict.fromkeys(candidates) if name in view.made_by))


def _following(view: View, node: NodeProto) -> frozenset[str]:
    """Return every tensor that depends on what ``node`` answers."""
    found: set[str] = set()
    waiting = list(node.output)
    while waiting:
        for user in view.read_by[waiting.pop()]:
            new = set(user.output) - found
            found |= new
            waiting += new
    return frozenset(found)


def _users(view: View, decision: NodeProto) -> Iterable[NodeProto]:
    """Yield the nodes that choose floats by a decision, reached through booleans and integers alone."""
    waiting, seen = [decision], set()
    while waiting:
        node = waiting.pop()
        for name in node.output:
            for user in view.read_by[name]:
                if user.name in seen:
                    continue
                seen.add(user.name)
                if view.floats_out(user):
                    if user.op_type in CHOOSES:
                        yield user
                else:
                    waiting.append(user)


def judge(
    found: Ties, outputs: Sequence[str], wanted: Iterable[Mapping[str, Array]], got: Iterable[Mapping[str, Array]]
) -> tuple[dict[str, Deviation], int]:
    """Return by tensor how far ``got`` is off ``wanted``, over all samples, and how many rows were chosen otherwise.

    Outputs are compared row by row (points, objects) except for the rows that follow from a choice that turned out
    otherwise. Where there are any, so is what all choices were made of and by: a tie may fall either way, but nothing
    else may differ.
    """
    worst = {name: Deviation() for name in outputs}
    differing = 0
    for reference, answer in zip(wanted, got, strict=True):
        turned = [name for name in found.below if not np.array_equal(reference[name], answer[name])]
        others = 0
        for name in dict.fromkeys((*outputs, *(found.candidates if turned else ()))):
            alike = np.ones(len(reference[name]), np.bool_)
            for decision in turned:
                if name in found.below[decision]:
                    alike &= _same_rows(reference[decision], answer[decision], len(alike))
            others = max(others, int((~alike).sum()))
            worst.setdefault(name, Deviation()).add(answer[name][alike], reference[name][alike])
        differing += others
    return worst, differing


def _same_rows(wanted: Array, got: Array, rows: int) -> Bool:
    """Return in which rows of what follows a decision is the same; in none where it does not divide into rows."""
    if wanted.shape != got.shape or wanted.size % rows:
        return np.zeros(rows, np.bool_)
    return np.asarray((wanted == got).reshape(rows, -1).all(axis=1))
