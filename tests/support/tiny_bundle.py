"""A bundle whose every graph doubles its input, made in a moment."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from samotion.engines.bundle_files import hash_of
from samotion.engines.engine import TensorSpec
from samotion.engines.manifest import (
    GRAPHS,
    DepthInput,
    GraphEntry,
    Manifest,
    MasksInput,
    SemanticsInput,
    TrackerInput,
    read,
    save,
)


def doubling_graph(path: Path) -> GraphEntry:
    """Write a graph that doubles its input."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"], name="double")], "double", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    specs = (TensorSpec("x", "float32", ("N", 2)),), (TensorSpec("y", "float32", ("N", 2)),)
    return GraphEntry(path.name, {path.name: hash_of(path)}, *specs, 20, "float32", {"y": 0.0})


def tiny_bundle(folder: Path) -> Path:
    """Write the bundle into ``folder`` and return that."""
    folder.mkdir(exist_ok=True)
    manifest = Manifest(
        name="tiny",
        version="0",
        licences={"all": "none"},
        settings={"step": 5},
        tracker=TrackerInput(64),
        depth=DepthInput(56, 14),
        semantics=SemanticsInput(14, None),
        masks=MasksInput(64, 7, 16),
        graphs={name: doubling_graph(folder / f"{name}.onnx") for name in GRAPHS},
    )
    save(folder, manifest)
    assert read(folder) == manifest
    return folder
