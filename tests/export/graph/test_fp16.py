"""FP16 graphs: types, islands, what ONNX does not define for FP16, and that rounding really happens on a CPU."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from samotion.engines.engine import TensorSpec
from samotion.engines.manifest import EMBEDDED, GRAPHS
from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.file import entry_of
from samotion.export.graph.fp16 import to_half
from samotion.export.graph.fp16_emulation import rounded
from samotion.export.graph.index import View, load, save

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def model_of(nodes: Sequence[NodeProto], constants: dict[str, NDArray[np.generic]], *outputs: str) -> ModelProto:
    """A graph from x (2, 4) to ``outputs`` of whatever shape."""
    graph = helper.make_graph(
        list(nodes),
        "made",
        [helper.make_tensor_value_info("x", FLOAT, ["n", 4])],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: ModelProto, folder: Path, x: NDArray[np.float32], *outputs: str) -> list[NDArray[np.float32]]:
    """Answers of a model as the runtime's own engine gives them."""
    path = folder / "made.onnx"
    onnx.save(model, path)
    specs = tuple(TensorSpec(name, "float32", ()) for name in outputs)
    with OnnxEngine(path, (TensorSpec("x", "float32", ("n", 4)),), specs, threads=1) as engine:
        answers = engine(x=x)
    return [answers[name] for name in outputs]


def squares(*, islands: Sequence[str] = ()) -> ModelProto:
    """√(x²) in FP16: 300² is beyond it."""
    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"], name="square"),
        helper.make_node("Sqrt", ["square"], ["y"], name="root"),
    ]
    return to_half(model_of(nodes, {}, "y"), islands)


X = np.array([[300, 1.001, 0.1, 3.3333]], np.float32)


def test_rounding_and_overflow_show_on_a_cpu(tmp_path: Path) -> None:
    half = X.astype(np.float16)
    with np.errstate(over="ignore"):
        wanted = np.sqrt((half * half).astype(np.float32)).astype(np.float16)
    assert np.isinf(wanted[0, 0])
    (found,) = run(rounded(squares()), tmp_path, X, "y")
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


def test_runtime_alone_would_hide_the_overflow(tmp_path: Path) -> None:
    # Why half_rounded is needed. Should this fail, ONNX Runtime rounds by itself now.
    (found,) = run(squares(), tmp_path, X, "y")
    assert np.isfinite(found).all()


def test_islands_compute_in_float32(tmp_path: Path) -> None:
    model = squares(islands=("square", "root"))
    assert {node.op_type for node in model.graph.node} == {"Mul", "Sqrt"}
    (found,) = run(rounded(model), tmp_path, X, "y")
    np.testing.assert_allclose(found, X, rtol=1e-6)
    (first,) = run(rounded(squares(islands=("square",))), tmp_path, X, "y")
    assert np.isinf(first[0, 0]), "the root is given the square in FP16"


def test_what_onnx_does_not_define_for_half_stays(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Resize", ["image", "", "scales"], ["larger"], mode="nearest"),
        helper.make_node("Range", ["zero", "four", "one"], ["steps"]),
        helper.make_node("Add", ["x", "steps"], ["sum"]),
        helper.make_node("LayerNormalization", ["sum", "gain"], ["normal"], epsilon=1e-6),
        helper.make_node("Softmax", ["normal"], ["y"]),
        helper.make_node("Shape", ["larger"], ["size"]),
        helper.make_node("Cast", ["size"], ["z"], to=FLOAT),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "shape": np.array([1, 1, -1, 4]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "zero": np.array(0, np.float32),
        "four": np.array(4, np.float32),
        "one": np.array(1, np.float32),
        "gain": np.ones(4, np.float32),
    }
    plain = model_of(nodes, constants, "y", "z")
    model = to_half(plain, ())
    types = View(model).types
    assert (types["normal"], types["larger"], types["steps"]) == (HALF, HALF, FLOAT)
    assert [types[name] for name in ("x", "y", "z")] == [FLOAT] * 3
    assert next(t for t in model.graph.initializer if t.name == "scales").data_type == FLOAT
    found, wanted = (run(m, tmp_path, X, "y", "z") for m in (rounded(model), plain))
    np.testing.assert_allclose(found[0], wanted[0], atol=2e-3)
    np.testing.assert_array_equal(found[1], wanted[1])


def test_a_subgraph_reads_what_is_half_outside_as_float32(tmp_path: Path) -> None:
    def branch(name: str, operator: str) -> onnx.GraphProto:
        node = helper.make_node(operator, ["double", "double"], [name])
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, FLOAT, None)])

    nodes = [
        helper.make_node("Add", ["x", "x"], ["double"]),
        helper.make_node("ReduceSum", ["double"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=branch("a", "Add"), else_branch=branch("b", "Mul")),
    ]
    model = to_half(model_of(nodes, {"zero": np.array(0, np.float32)}, "y"), ())
    assert View(model).types["double"] == HALF
    (found,) = run(rounded(model), tmp_path, X, "y")
    np.testing.assert_allclose(found, 4 * X, rtol=1e-3)


def test_a_constant_of_both_types_is_kept_in_both(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["a"], name="half"),
        helper.make_node("Mul", ["x", "w"], ["b"], name="wide"),
        helper.make_node("Add", ["a", "b"], ["y"], name="sum"),
    ]
    model = to_half(model_of(nodes, {"w": np.array(1.0001, np.float32)}, "y", "b"), ("wide",))
    assert {t.name: t.data_type for t in model.graph.initializer} == {"w": FLOAT, "w_half": HALF}
    found = run(rounded(model), tmp_path, X, "b")[0]
    np.testing.assert_allclose(found, X * np.float32(1.0001), rtol=1e-6)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_nano_graph_becomes_half(name: str) -> None:
    plain = load(EMBEDDED / f"{name}.onnx")
    model = to_half(plain, ())
    for made in (model, rounded(model)):
        onnx.checker.check_model(made, full_check=True)
        assert not {node.domain for node in made.graph.node} - {""}
        assert [v.type.tensor_type.elem_type for v in (*made.graph.input, *made.graph.output)] == [
            v.type.tensor_type.elem_type for v in (*plain.graph.input, *plain.graph.output)
        ]
    assert HALF in View(model).types.values()


def test_large_weights_lie_beside_the_graph(tmp_path: Path) -> None:
    model = to_half(load(EMBEDDED / "memory_encoder.onnx"), ())
    for _ in range(2):  # the second replaces the first, and the model keeps its weights
        save(model, tmp_path / "memory_encoder.onnx", 0)
    assert (tmp_path / "memory_encoder.onnx.data").stat().st_size < model.ByteSize()
    entry = entry_of(tmp_path / "memory_encoder.onnx")
    assert sorted(entry.sha256) == ["memory_encoder.onnx", "memory_encoder.onnx.data"]
    assert View(load(tmp_path / "memory_encoder.onnx")).types == View(model).types


def test_the_same_graph_is_the_same_file() -> None:
    model = to_half(load(EMBEDDED / "mask_encoder.onnx"), ())
    outputs = [value.name for value in model.graph.output]
    made = [name for node in model.graph.node for name in node.output if name in outputs]
    assert made == outputs, "in the graph's order, not in that of a set"
