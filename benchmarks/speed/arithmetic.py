"""How much an engine has to compute and to move: counted from the shapes of a real run of its graph."""

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from samotion.calibration.recording.activations import Inputs

Shape = list[int]


def flops(graph: Path, inputs: Inputs) -> int:
    """Return the floating-point operations of the products and convolutions in one run of ``graph``.

    A multiplication and an addition are two. Every node runs as it stands in the file, unfused, in the shapes that
    these inputs give it; nodes inside of loops count each time. What is done element by element is not counted.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights leave no shape behind
    options.enable_profiling = True
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "run")
        session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        session.run(None, dict(inputs))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return sum(_of(event["args"]) for event in events if event["name"].endswith("_kernel_time"))


def _of(node: Mapping[str, Any]) -> int:
    """Return the operations of one node that ONNX Runtime's profile tells of."""
    kind = node["op_name"]
    if kind not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return 0
    given, made = _shapes(node["input_type_shape"]), _shapes(node["output_type_shape"])[0]
    if kind == "MatMul":
        return 2 * math.prod(made) * given[0][-1]
    if kind == "Gemm":
        return 2 * math.prod(given[0]) * made[1]
    over = given[0] if kind == "ConvTranspose" else made
    return 2 * math.prod(over) * math.prod(given[1][1:])


def _shapes(tensors: list[dict[str, Shape]]) -> list[Shape]:
    return [shape for tensor in tensors for shape in tensor.values()]
