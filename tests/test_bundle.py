"""Bundles: the manifest survives a round trip; damage, gaps and wrong providers are named."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from samotion.engines.bundle import EMBEDDED, Bundle
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import BundleError, EngineError
from samotion.engines.manifest import (
    FILE,
    GRAPHS,
    DepthInput,
    GraphEntry,
    Manifest,
    MasksInput,
    SemanticsInput,
    TrackerInput,
    hash_of,
    read,
)


def doubling_graph(path: Path) -> GraphEntry:
    """Write a graph that doubles its input."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "double", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    specs = (TensorSpec("x", "float32", ("N", 2)),), (TensorSpec("y", "float32", ("N", 2)),)
    return GraphEntry(path.name, {path.name: hash_of(path)}, *specs, 20, "float32", {"y": 0.0})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs = {name: doubling_graph(tmp_path / f"{name}.onnx") for name in GRAPHS}
    manifest = Manifest(
        name="tiny",
        version="0",
        licences={"all": "none"},
        settings={"step": 5},
        tracker=TrackerInput(64),
        depth=DepthInput(56, 14),
        semantics=SemanticsInput(14, None),
        masks=MasksInput(64, 7, 16),
        graphs=graphs,
    )
    (tmp_path / FILE).write_text(manifest.dumps(), encoding="utf-8")
    assert read(tmp_path) == manifest
    return tmp_path


def test_engine_runs_and_is_loaded_once(folder: Path) -> None:
    with Bundle.load(folder) as bundle:
        engine = bundle.engine("depth")
        assert bundle.engine("depth") is engine
        x = np.arange(6, dtype=np.float32).reshape(3, 2)
        np.testing.assert_array_equal(engine(x=x)["y"], 2 * x)
    with pytest.raises(EngineError, match="closed"):
        engine(x=x)


@pytest.mark.parametrize("x", [np.zeros((3, 3), np.float32), np.zeros((3, 2)), np.zeros(3, np.float32)])
def test_engine_names_both_shapes_and_types(folder: Path, x: np.ndarray) -> None:
    with (
        Bundle.load(folder) as bundle,
        pytest.raises(EngineError, match=r"input x is .* expected float32 \('N', 2\)"),
    ):
        bundle.engine("depth")(x=x)


def test_engine_names_a_missing_input(folder: Path) -> None:
    with Bundle.load(folder) as bundle, pytest.raises(EngineError, match="input x is missing"):
        bundle.engine("depth")(z=np.zeros((1, 2), np.float32))


def test_one_changed_byte_is_found(folder: Path) -> None:
    path = folder / "motion.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match=r"motion\.onnx: damaged"):
        Bundle.load(folder)


def test_a_missing_file_is_found(folder: Path) -> None:
    (folder / "depth.onnx").unlink()
    with pytest.raises(BundleError, match=r"depth\.onnx: missing"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(format=99), "format 99"),
        (lambda data: data["graphs"].pop("motion"), "damaged .*motion"),
        (lambda data: data.update(surprise=1), "damaged .*surprise"),
        (lambda data: data.update(tracker=3), "damaged"),
    ],
)
def test_a_wrong_manifest_is_one_clear_error(folder: Path, change: object, words: str) -> None:
    data = json.loads((folder / FILE).read_text())
    change(data)  # type: ignore[operator]
    (folder / FILE).write_text(json.dumps(data))
    with pytest.raises(BundleError, match=words):
        Bundle.load(folder)


def test_no_bundle_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no engine bundle"):
        Bundle.load(tmp_path / "nowhere")
    (tmp_path / FILE).write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        Bundle.load(tmp_path)


def test_providers_never_fall_back(folder: Path) -> None:
    with pytest.raises(EngineError, match="'tpu' is unknown; available here: cpu"):
        Bundle.load(folder, provider="tpu")
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(EngineError, match="'cuda' is not in this ONNX Runtime"):
            Bundle.load(folder, provider="cuda")


def test_the_digest_tells_bundles_apart(folder: Path) -> None:
    manifest = read(folder)
    assert manifest.digest == read(folder).digest
    assert manifest.digest != dataclasses.replace(manifest, settings={"step": 6}).digest


def test_shipped_bundle_is_whole_and_small() -> None:
    with Bundle.load() as bundle:
        assert bundle.name == "nano"
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) <= 25e6


@pytest.mark.parametrize(("threads", "lanes"), [(1, 1), (2, 2), (8, 4)])
def test_lanes_share_the_threads(folder: Path, threads: int, lanes: int) -> None:
    with Bundle.load(folder, threads=threads) as bundle:
        assert bundle.lanes == lanes
        assert (bundle.lane("depth") is bundle.engine("depth")) == (lanes == 1)
        engine, x = bundle.lane("depth"), np.arange(2, dtype=np.float32)[None]
        found = [answer["y"][0, 1] for answer in bundle.spread(lambda k: engine(x=k * x), map(np.float32, range(9)))]
    assert found == [2 * k for k in range(9)]
