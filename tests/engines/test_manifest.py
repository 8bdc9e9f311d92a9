"""bundle.json from anybody: one line that names the field, whatever is wrong with it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from onnx.external_data_helper import convert_model_to_external_data
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle import Bundle
from samotion.engines.bundle_files import hash_of, must_be_bundle
from samotion.engines.errors import BundleError
from samotion.engines.manifest import EMBEDDED, FILE, read
from samotion.runtime.cli import main

Change = Callable[[dict[str, Any]], object]
SHA = "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path)


def put(data: dict[str, Any], path: str, value: object) -> None:
    """Set the value at a path such as graphs.depth.file."""
    *above, last = path.split(".")
    for key in above:
        data = data[key]
    data[last] = value


def plan(**changes: object) -> dict[str, Any]:
    about = {"backend": "tensorrt", "version": "10", "compute_capabilities": [], "platform": "linux-x86_64"}
    ways = {"hardware_compatible": False, "version_compatible": False, "precision": "float32", "seconds": 1}
    entry = {**about, **ways, "file": "depth.tensorrt.plan", "sha256": SHA, "graph": SHA, "bytes": 5}
    return {"tensorrt": {"depth": {**entry, "profile": {"x": [[1, 2], [2, 2], [3, 2]]}, **changes}}}


FAULTS: list[tuple[str, object, str]] = [
    ("depth.multiple", 0, r"depth\.multiple: expected int >= 1"),
    ("depth.size", True, r"depth\.size: expected int, got bool"),
    ("masks.memory_frames", 10**30, r"masks\.memory_frames: expected int <= "),
    ("masks.max_clicked", "x", r"masks\.max_clicked: expected int \| null, got str"),
    ("tracker", 3, "tracker: expected object, got int"),
    ("tracker", None, "tracker: expected object, got null"),
    ("name", ["a"], "name: expected str, got array"),
    ("name", "\x1b[31mred", "holds characters that cannot be printed"),
    ("name", "\ud800", "holds characters that cannot be printed"),
    ("settings.step", "x", r"settings\.step: expected a number"),
    ("settings.dynamic_above", "a", r"settings\.dynamic_above: expected a number"),
    ("settings", [], "settings: expected an object"),
    ("licences", {"all": 3}, "licences"),
    ("graphs", [], "graphs: expected an object"),
    ("graphs", {}, r"graphs\.track_features: missing"),
    ("graphs.depth", [], r"graphs\.depth: expected object, got array"),
    ("graphs.depth.precision", [], r"graphs\.depth\.precision: expected str, got array"),
    ("graphs.depth.sha256", ["a"], r"graphs\.depth\.sha256: expected object, got array"),
    ("graphs.depth.sha256", {}, r"graphs\.depth\.file: 'depth\.onnx' has no hash in sha256"),
    ("graphs.depth.sha256", {"depth.onnx": "a"}, r"graphs\.depth\.sha256: 'depth\.onnx' has 'a', expected a sha256"),
    ("graphs.depth.sha256", {"depth.onnx": SHA, "../x": SHA}, r"'\.\./x' is no bare file name"),
    ("graphs.depth.file", "../x.onnx", r"graphs\.depth\.file: '\.\./x\.onnx' has no hash"),
    ("graphs.depth.inputs", [], r"graphs\.depth\.inputs: none"),
    (
        "graphs.depth.inputs",
        2 * [{"name": "x", "dtype": "float32", "shape": []}],
        r"depth\.inputs: a name stands twice",
    ),
    ("graphs.depth.outputs", [{"name": "y", "dtype": "object", "shape": []}], r"depth\.outputs: y is 'object'"),
    ("graphs.depth.outputs", [{"name": "y", "dtype": "bool", "shape": [-1]}], r"depth\.outputs: y has a negative"),
    ("graphs.depth.outputs", [{"name": "y", "dtype": "bool", "shape": [1.5]}], r"depth\.outputs"),
    ("graphs.depth.outputs", [{"name": "y"}], r"graphs\.depth\.outputs\[0\]: missing required field dtype"),
    ("graphs.depth.opset", 2.5, r"graphs\.depth\.opset: expected int, got float"),
    ("graphs.depth.parity", {"y": "x"}, r"graphs\.depth\.parity"),
    ("plans", {"tensorrt": 1}, r"plans\.tensorrt: expected an object"),
    ("plans", plan(bytes=-1), r"plans\.tensorrt\.depth\.bytes: expected int >= 0"),
    ("plans", plan(file="/etc/passwd"), r"plans\.tensorrt\.depth: '/etc/passwd' is no bare file name"),
    ("plans", plan(profile={}), r"plans\.tensorrt\.depth\.profile: does not fit"),
    ("plans", plan(profile={"x": [[1], [1], [1]]}), r"plans\.tensorrt\.depth\.profile: does not fit"),
    ("plans", {"tensorrt": {"other": plan()["tensorrt"]["depth"]}}, r"plans\.tensorrt\.other: no such graph"),
    ("format", "1", "format: expected int, got str"),
    ("format", 0, "format: 0, expected 1"),
    ("format", 2, "format 2: this version reads 1.* newer version"),
    ("surprise", 1, "surprise: unknown field.* newer version"),
    ("graphs.depth.surprise", 1, r"graphs\.depth\.surprise: unknown field.* newer version"),
    ("masks.surprise", 1, r"masks\.surprise: unknown field.* newer version"),
    ("graphs.surprise", {}, r"graphs\.surprise: unknown graph.* newer version"),
]


@pytest.mark.parametrize(
    ("path", "value", "words"), FAULTS, ids=[f"{path}={value!s:.20}" for path, value, _ in FAULTS]
)
def test_a_wrong_field_is_named(
    folder: Path, path: str, value: object, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads((folder / FILE).read_text())
    put(data, path, value)
    (folder / FILE).write_text(json.dumps(data))
    with pytest.raises(BundleError, match=words):
        read(folder)
    assert main(["--demo", "--engines", str(folder), "-o", str(folder / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    "name", ["../depth.onnx", "/depth.onnx", "sub/depth.onnx", "..", ".", "", "a\\b", "C:depth.onnx"]
)
def test_a_graph_stays_in_the_folder(folder: Path, name: str) -> None:
    data = json.loads((folder / FILE).read_text())
    data["graphs"]["depth"] |= {"file": name, "sha256": {name: SHA}}
    (folder / FILE).write_text(json.dumps(data))
    with pytest.raises(BundleError, match="is no bare file name"):
        read(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "expected an object"),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"[" * 10_000 + b"]" * 10_000, "levels deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "levels deep"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "levels deep"),
        (b'{"name": 1, "name": 2}', "'name': stands twice"),
        (b'{"name": NaN}', "NaN is no number"),
        (b'{"name": ' + b"1" * 5000 + b"}", "no JSON"),
        (b" " * (9 << 20), "larger than 8 MiB"),
    ],
    ids=lambda value: f"{value!s:.15}",
)
def test_what_is_no_manifest_at_all(tmp_path: Path, text: bytes, words: str) -> None:
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(BundleError, match=words) as caught:
        read(tmp_path)
    assert str(caught.value).isprintable()


def test_places_that_are_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no engine bundle"):
        read(tmp_path / "nowhere")
    (tmp_path / FILE).mkdir()
    with pytest.raises(BundleError, match="no engine bundle"):
        read(tmp_path)


def with_weights_outside(path: Path, location: str, inside: str = "graph") -> None:
    """Write a graph that adds a tensor from another file, which stands among its weights or in a constant."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1, 2])
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    if inside == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=tensor))
    graph = helper.make_graph(nodes, "outside", [x], [y], [tensor] if inside == "graph" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    held = model.graph.initializer[0] if inside == "graph" else model.graph.node[0].attribute[0].t
    held.raw_data = b"\0" * 8
    held.ClearField("float_data")
    held.data_location = TensorProto.EXTERNAL
    held.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("inside", ["graph", "constant"])
@pytest.mark.parametrize("location", ["other.data", "../other.data", "/etc/passwd"])
def test_every_file_that_a_graph_reads_is_listed(folder: Path, location: str, inside: str) -> None:
    with_weights_outside(folder / "depth.onnx", location, inside)
    data = json.loads((folder / FILE).read_text())
    data["graphs"]["depth"]["sha256"] = {"depth.onnx": hash_of(folder / "depth.onnx")}
    (folder / FILE).write_text(json.dumps(data))
    with pytest.raises(BundleError, match=rf"reads '{location}', which sha256 does not list"):
        Bundle.load(folder)


def test_external_data_that_is_listed_is_checked(folder: Path) -> None:
    path = folder / "depth.onnx"
    model = onnx.load(path)
    model.graph.initializer.append(helper.make_tensor("unused", TensorProto.FLOAT, [2000], bytes(8000), raw=True))
    convert_model_to_external_data(model, location="depth.onnx.data")
    onnx.save(model, path)
    data = json.loads((folder / FILE).read_text())
    data["graphs"]["depth"]["sha256"] = {name: hash_of(folder / name) for name in ("depth.onnx", "depth.onnx.data")}
    (folder / FILE).write_text(json.dumps(data))
    Bundle.load(folder).close()
    must_be_bundle(folder)
    (folder / "depth.onnx.data").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"depth\.onnx\.data: damaged"):
        Bundle.load(folder)


def test_a_bundle_replaced_while_in_use_is_told(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tiny_bundle(tmp_path_factory.mktemp("other"))
    with Bundle.load(folder) as bundle:
        os.rename(folder, folder.with_name("old"))
        os.rename(other, folder)
        with pytest.raises(BundleError, match="was replaced while in use"):
            bundle.engine("depth")


def test_the_shipped_manifest_writes_as_it_reads() -> None:
    assert json.loads(read(EMBEDDED).dumps()) == json.loads((EMBEDDED / FILE).read_text())


@pytest.mark.parametrize("key", ["inputs", "outputs"])
def test_names_are_those_of_the_graph(folder: Path, key: str) -> None:
    data = json.loads((folder / FILE).read_text())
    data["graphs"]["depth"][key][0]["name"] = "other"
    (folder / FILE).write_text(json.dumps(data))
    with (
        Bundle.load(folder) as bundle,
        pytest.raises(BundleError, match=rf"graphs\.depth\.{key}: the graph has [xy]"),
    ):
        bundle.engine("depth")
