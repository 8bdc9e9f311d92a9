"""FP16 arithmetic on a machine that has none: every FP16 operator computes in FP32, then really rounds to FP16.

ONNX Runtime has few FP16 operators for CPUs. It puts casts around the others and then takes out each pair that
meets, so that an FP16 graph runs in FP32 from end to end and shows neither rounding nor overflow. Casts that stand
in the graph itself are kept. What this makes therefore shows both, sums being FP32 within one operator, as they are
in the matrix units of a GPU.
"""

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from samotion.export.graph.fp16 import HALF, LOOKS, MOVES, WIDE
from samotion.export.graph.index import View


def rounded(model: ModelProto) -> ModelProto:
    """Return a graph that answers on a CPU as ``model``, its FP16 operators and all, answers on a GPU."""
    copy = ModelProto()
    copy.CopyFrom(model)
    view = View(copy)
    return _Rounder(view).written()


class _Rounder:
    """Writes the nodes of a graph again, casts around each that computes in FP16."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._nodes: list[NodeProto] = []
        self._wide: dict[str, str] = {}
        self._constants: list[TensorProto] = []

    def written(self) -> ModelProto:
        """Return the rewritten model."""
        graph = self._view.graph
        for node in list(graph.node):
            exact = node.op_type in MOVES or node.op_type in LOOKS or node.op_type == "Cast"
            if not exact:
                self._widen(node)
            self._nodes.append(node)
            if not exact:
                self._round(node)
        del graph.node[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(self._constants)
        return self._view.model

    def _widen(self, node: NodeProto) -> None:
        """Give a node its FP16 inputs as FP32."""
        for index, name in enumerate(node.input):
            if self._view.types.get(name) == HALF:
                node.input[index] = self._widened(name)

    def _widened(self, name: str) -> str:
        """Return the name of an FP16 tensor in FP32."""
        if name not in self._wide:
            made = self._wide[name] = f"{name}_widened"
            if name in self._view.constants:
                values = numpy_helper.to_array(self._view.constants[name]).astype("float32")
                self._constants.append(numpy_helper.from_array(values, made))
            else:
                self._nodes.append(helper.make_node("Cast", [name], [made], name=f"Widen_{name}", to=WIDE))
        return self._wide[name]

    def _round(self, node: NodeProto) -> None:
        """Round a node's results to FP16."""
        for index, name in enumerate(node.output):
            if self._view.types.get(name) == HALF:
                node.output[index] = f"{name}_unrounded"
                cast = helper.make_node("Cast", [node.output[index]], [name], name=f"Round_{name}", to=HALF)
                self._nodes.append(cast)
