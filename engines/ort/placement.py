"""Where ONNX Runtime placed a graph's nodes: one without a CUDA kernel would run on the CPU without a word."""

from typing import Any

from samotion.engines.errors import EngineError

# What tells ONNX Runtime to write down where it places nodes; read by get_provider_graph_assignment_info (1.24).
RECORD = ("session.record_ep_graph_assignment_info", "1")
# Operators that our graphs compute lengths and grids of positions with; ONNX Runtime keeps such small integers on the
# CPU by itself. Measured: what reads nothing but shapes and constants in the shipped graphs.
SHAPE_ARITHMETIC = frozenset(
    "Abs Add And Cast Clip Concat Div Einsum Equal Expand Gather Less LessOrEqual Mul Range Reciprocal Reshape Shape "  # noqa: SIM905
    "Slice Squeeze Sub Unsqueeze Where".split()
)


def require_placed(session: Any, graph: str, provider: str) -> None:
    """Raise EngineError that names a node of ``session`` outside ``provider`` which is no shape arithmetic.

    provider: ONNX Runtime's name of it.
    """
    elsewhere = [
        f"{node.name or 'unnamed'} ({node.op_type})"
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name != provider
        for node in part.get_nodes()
        if node.op_type not in SHAPE_ARITHMETIC
    ]
    if elsewhere:
        more = f" and {len(elsewhere) - 1} more" if len(elsewhere) > 1 else ""
        raise EngineError(
            f"{graph}: node {elsewhere[0]}{more} would run on the CPU: this ONNX Runtime has no CUDA kernel for it",
            "use another onnxruntime-gpu, --provider tensorrt or --provider cpu",
        )
