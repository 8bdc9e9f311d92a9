"""What ONNX Runtime is asked for on a GPU that is not here."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import onnxruntime
import pytest
from onnx import GraphProto
from tests.support.tiny_bundle import doubling_graph

from samotion.engines.errors import EngineError
from samotion.engines.manifest import EMBEDDED
from samotion.engines.ort import session
from samotion.engines.ort.placement import SHAPE_ARITHMETIC
from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.index import subgraphs


class Cuda(onnxruntime.InferenceSession):  # type: ignore[misc]
    """ONNX Runtime's CPU, which says that it is its CUDA provider, with ``stray`` nodes outside of it."""

    asked: dict[str, str]
    stray: tuple[str, ...] = ()

    def __init__(self, path: Path, options: Any, providers: list[tuple[str, dict[str, str]]]) -> None:
        ((_, type(self).asked),) = providers
        super().__init__(path, options, providers=["CPUExecutionProvider"])

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        found = []
        for part in super().get_provider_graph_assignment_info():
            for node in part.get_nodes():
                place = "CPUExecutionProvider" if node.op_type in self.stray else "CUDAExecutionProvider"
                found.append(SimpleNamespace(ep_name=place, get_nodes=lambda node=node: [node]))
        return found


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let the CUDA provider be there; yield what was loaded ahead of it."""
    calls: list[str] = []
    monkeypatch.setattr(onnxruntime, "InferenceSession", Cuda)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: calls.append("dlls"))
    yield calls
    Cuda.stray = ()


def test_float32_is_float32_and_runs_are_alike(tmp_path: Path, loaded: list[str]) -> None:
    entry = doubling_graph(tmp_path / "double.onnx")
    OnnxEngine(tmp_path / entry.file, entry.inputs, entry.outputs, "cuda").close()
    assert Cuda.asked == {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert loaded == ["dlls"]


def test_a_node_on_the_cpu_is_named(loaded: list[str]) -> None:
    assert not loaded
    path = EMBEDDED / "memory_encoder.onnx"
    Cuda.stray = ("Shape", "Concat")  # lengths
    OnnxEngine(path, (), (), "cuda").close()
    Cuda.stray = ("Shape", "Sigmoid")
    with pytest.raises(EngineError, match=r"memory_encoder.onnx: node \w+ \(Sigmoid\) would run on the CPU"):
        OnnxEngine(path, (), (), "cuda")


def test_an_onnx_runtime_that_does_not_tell_is_refused(monkeypatch: pytest.MonkeyPatch, loaded: list[str]) -> None:
    assert not loaded
    monkeypatch.setattr(onnxruntime, "__version__", "1.23.2")
    with pytest.raises(EngineError, match=r"1\.23\.2 is too old for --provider cuda, expected 1\.24"):
        session.require("cuda")


def test_shape_arithmetic_is_what_the_shipped_graphs_do_with_shapes() -> None:
    found: Counter[str] = Counter()
    for path in EMBEDDED.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        found += shape_arithmetic(model.graph, set(), {tensor.name for tensor in model.graph.initializer})
    assert set(found) <= SHAPE_ARITHMETIC
    assert not SHAPE_ARITHMETIC & {"Conv", "MatMul", "Gemm", "Softmax", "LayerNormalization", "Resize", "Scan"}


def shape_arithmetic(graph: GraphProto, shapes: set[str], constants: set[str]) -> Counter[str]:
    """Return how often each operator reads nothing but shapes and constants."""
    found: Counter[str] = Counter()
    for node in graph.node:
        inner = subgraphs(node)
        given = {name for name in node.input if name}
        if not inner and given <= constants:
            constants.update(node.output)
        elif node.op_type == "Shape" or (not inner and given <= shapes | constants):
            shapes.update(node.output)
            found[node.op_type] += 1
        for body in inner:
            found += shape_arithmetic(body, set(shapes), constants | {tensor.name for tensor in body.initializer})
    return found
