"""Where FP16 does harm and how that is found: roles of nodes, the gate, the search, and a policy that must fail."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, helper, numpy_helper

from samotion.calibration.comparison.tracking import clicks, propagate
from samotion.calibration.recording.activations import Inputs, Recorder, RecordingBundle, made_scene
from samotion.calibration.recording.ranges import Deviation, Range
from samotion.engines.engine import Array, TensorSpec
from samotion.engines.errors import EngineError, InputError
from samotion.engines.manifest import EMBEDDED, read
from samotion.engines.ort.session import Execution
from samotion.export.graph.fp16 import to_half
from samotion.export.graph.index import View, load
from samotion.export.precision.gate import holds
from samotion.export.precision.roles import roles
from samotion.export.precision.samples import _complete
from samotion.export.precision.search import Search, islands
from samotion.export.precision.ties import judge, ties

ONE = Execution(threads=1)
ENTRY = read(EMBEDDED).graphs["memory_attention"]


@pytest.fixture(scope="module")
def attended() -> list[Inputs]:
    """What the memory attention of nano reads on a scene, with a full bank."""
    clip, made = made_scene(0, 20, 96, 128)
    with RecordingBundle.load(EMBEDDED, threads=1) as bundle:
        propagate(bundle, clip, clicks(made)[:1])
        return bundle.recorders["memory_attention"].samples


def memory_attention() -> ModelProto:
    return load(EMBEDDED / ENTRY.file)


def inflated(model: ModelProto, factor: float = 256.0) -> ModelProto:
    """The same function with attention scores factor² as large, divided again just before the softmax."""
    nodes = {name: node for node in model.graph.node for name in node.output}
    made: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type == "Softmax":
            scores = nodes[node.input[0]]
            product = scores if scores.op_type == "MatMul" else nodes[scores.input[0]]
            assert product.op_type == "MatMul"
            for index in (0, 1):
                large = f"{product.input[index]}_large"
                at = made.index(product)
                made.insert(at, helper.make_node("Mul", [product.input[index], "factor"], [large], name=large))
                product.input[index] = large
            name = product.output[0]
            product.output[0] = f"{name}_large"
            smaller = helper.make_node("Mul", [f"{name}_large", "back"], [name], name=f"{name}_back")
            made.insert(made.index(product) + 1, smaller)
        made.append(node)
    del model.graph.node[:]
    model.graph.node.extend(made)
    constants = {"factor": factor, "back": factor**-2}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.array(v, np.float32), name) for name, v in constants.items()
    )
    return model


def test_a_broken_policy_is_caught_and_mended(attended: list[Inputs], tmp_path: Path) -> None:
    search = Search(inflated(memory_attention()), ENTRY, attended[:1], attended[1:], tmp_path, ONE)
    broken = search.trial({})  # FP16 everywhere
    assert not broken.passed
    assert any(d.not_finite for d in broken.held.values())
    assert any(tensor.tight for tensor in broken.tensors.values())
    repaired = search.satisfied()
    assert repaired.passed
    assert len(search.rounds) > 1
    kept = {name for modules in repaired.islands.values() for nodes in modules.values() for name in nodes}
    assert {node.name for node in memory_attention().graph.node if node.op_type == "Softmax"} <= kept
    assert "attention" in repaired.islands


def test_nano_as_it_is_needs_no_islands_for_attention(attended: list[Inputs], tmp_path: Path) -> None:
    search = Search(memory_attention(), ENTRY, attended[:1], attended[1:], tmp_path, ONE)
    trial = search.satisfied()
    assert search.rounds[0]["passed"]
    assert set(trial.islands) <= {"phases", "indices"}
    record = json.loads(json.dumps(trial.record()))
    assert record["gate"]["held"]["conditioned"]["cosine"] >= 0.999
    # The search's own reference is right: the graph alone in FP32 is not off itself at all.
    whole = search.trial({"whole": {"all": frozenset(node.name for node in search._model.graph.node)}})
    assert max(d.largest for d in whole.outputs.values()) == 0


def test_banks_must_be_full(attended: list[Inputs]) -> None:
    manifest = read(EMBEDDED)
    found = {name: [attended[0]] for name in manifest.graphs}
    _complete(found, manifest)
    small = {name: value[:, :3] if name in ("memory", "pointers") else value for name, value in attended[0].items()}
    with pytest.raises(InputError, match="no full memory bank"):
        _complete({**found, "memory_attention": [small]}, manifest)
    with pytest.raises(InputError, match="never called motion"):
        _complete({**found, "motion": []}, manifest)


def test_roles_of_the_memory_attention() -> None:
    view = View(memory_attention())
    found = roles(view)
    kinds = {node.name: node.op_type for node in view.graph.node}
    for names in found.attention.values():
        operators = {kinds[name] for name in names}
        assert {"Softmax", "MatMul"} <= operators <= {"Softmax", "MatMul", "Add", "Where", "Unsqueeze"}
    assert {kinds[n] for names in found.normalisation.values() for n in names} == {"LayerNormalization"}
    assert {"Sin", "Cos"} <= {kinds[name] for name in found.exact["phases"]}
    assert set().union(*found.whole.values()) >= set().union(*found.exact.values())


def test_coordinates_and_guards_stay_float32() -> None:
    head = View(load(EMBEDDED / "track_head.onnx"))
    kinds = {node.name: node.op_type for node in head.graph.node}
    exact = roles(head).exact
    assert {name for name, kind in kinds.items() if kind == "Floor"} <= exact["indices"]
    half = View(to_half(head.model, frozenset().union(*exact.values())))
    assert half.made_by["xy"].op_type == "Add", "a track's position is not rounded to FP16, 1/8 px, at the very end"
    moments = next(node for node in head.graph.node if 3 in _dims(head, node))
    assert moments.name in exact["indices"], "nor is the mean position of a heat map"
    features = View(load(EMBEDDED / "track_features.onnx"))
    guarded = roles(features).exact["constants"]
    assert {n.name for n in features.graph.node if n.op_type in ("Sqrt", "Reciprocal")} <= guarded


def _dims(view: View, node: NodeProto) -> list[int]:
    """The sizes of a product's constant; nothing of another node."""
    constants = [view.constants[name] for name in node.input if name in view.constants]
    return [*constants[0].dims] if node.op_type == "MatMul" and constants else []


def test_islands_come_module_by_module() -> None:
    found = roles(View(memory_attention()))
    level = dict.fromkeys(found.order, 0)
    seen = [islands(found, level)]
    module = next(iter(found.attention))
    for step in (1, 2, 3):
        seen.append(islands(found, {**level, module: step}))
    added = [set(after) - set(before) for before, after in pairwise(seen)]
    assert added == [{"attention"}, {"normalisation"}, {"whole"}]
    names = [name for modules in seen[3].values() for nodes in modules.values() for name in nodes]
    assert len(names) == len(set(names))


def test_a_tie_may_fall_either_way() -> None:
    nodes = [
        helper.make_node("ArgMax", ["x"], ["best"], axis=1, keepdims=1, name="choice"),
        helper.make_node("GatherElements", ["x", "best"], ["y"], axis=1, name="take"),
        helper.make_node("Mul", ["x", "x"], ["z"], name="other"),
    ]
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", None]) for name in "xyz"]
    model = helper.make_model(helper.make_graph(nodes, "made", infos[:1], infos[1:]))
    found = ties(View(model), frozenset())
    assert found.below == {"best": frozenset("y")}
    assert ties(View(model), frozenset(["choice"])).below == {}
    wanted = {"best": np.array([[0], [1]]), "y": np.array([[5.0], [2.0]]), "z": np.ones((2, 2))}
    turned = {**wanted, "best": np.array([[1], [1]]), "y": np.array([[9.0], [2.0]])}
    outputs, rows = judge(found, ("y", "z"), [wanted], [turned])
    assert rows == 1
    assert outputs["y"].largest == 0  # of the row that was chosen alike
    wrong, _ = judge(found, ("y", "z"), [wanted], [{**turned, "z": np.zeros((2, 2))}])
    assert not holds(wrong)
    unchanged, none = judge(found, ("y", "z"), [wanted], [{**wanted, "y": turned["y"]}])
    assert none == 0
    assert not holds(unchanged)


def test_deviation_is_the_worst_of_all_runs() -> None:
    off = Deviation()
    off.add(np.array([3, 4], np.float16), np.array([3, 4], np.float32))
    assert (off.cosine, off.largest, off.norm, off.not_finite) == (1.0, 0.0, 0.0, 0)
    off.add(np.array([4.0, 3.0]), np.array([3.0, 4.0]))
    assert off.cosine == pytest.approx(24 / 25)
    assert off.largest == pytest.approx(1 / 4)
    assert off.norm == pytest.approx(np.sqrt(2) / 5)
    off.add(np.array([1.0, 5.0]), np.array([1.0, np.inf]))
    assert off.largest == pytest.approx(1 / 4), "infinite in the reference: left out"
    off.add(np.array([np.nan, 4.0]), np.array([3.0, 4.0]))
    assert off.not_finite == 1
    assert not holds({"y": off})
    nothing = Deviation()
    nothing.add(np.ones(2), np.zeros(2))
    assert nothing.cosine == 0


def test_range_counts_what_is_not_finite() -> None:
    held = Range()
    assert held.magnitude == 0
    held.add(np.array([-3.0, 2.0, np.inf]))
    held.add(np.array([1.0]))
    assert (held.least, held.greatest, held.magnitude, held.not_finite) == (-3.0, 2.0, 3.0, 1)


class Doubling:
    """An engine that counts."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        return {"y": np.asarray(2 * inputs["x"].astype(np.float32))}

    def close(self) -> None:
        pass


def test_a_recorder_keeps_the_largest_call_and_some_others() -> None:
    recorder = Recorder(Doubling(), 3)  # type: ignore[arg-type]
    x = np.zeros(2, np.float32)
    for size in (2, 5, 3, 1, 4):
        x = np.full(size, size, np.float32)
        assert (recorder(x=x)["y"] == 2 * size).all()
    x[:] = -1  # what is kept is a copy
    sizes = [len(sample["x"]) for sample in recorder.samples]
    assert sizes[0] == 5
    assert len(sizes) == 3
    assert all((sample["x"] == len(sample["x"])).all() for sample in recorder.samples)


def test_a_graph_whose_types_are_unknown_is_refused() -> None:
    infos = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n"]) for name in "xy"]
    nodes = [helper.make_node("Mystery", ["x"], ["m"]), helper.make_node("Identity", ["m"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "made", infos[:1], infos[1:]))
    with pytest.raises(EngineError, match="cannot tell the type of m"):
        to_half(model, ())


def test_what_is_cut_at_a_threshold_has_a_bound_of_its_own() -> None:
    off = Deviation(0.99999, 0.002, 0.002)
    assert holds({"disparity": off})
    assert not holds({"probability": off})
