"""Plans built by TensorRT-RTX on the CPU: all of nano, the rules of a build, and every error in one line."""

import dataclasses
import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from onnx import TensorProto, helper
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle import Bundle
from samotion.engines.bundle_files import hash_of
from samotion.engines.errors import BundleError, EngineError, OutputError
from samotion.engines.machine import Machine
from samotion.engines.manifest import EMBEDDED, FILE, GRAPHS, read, save
from samotion.engines.trt.flavours import Target
from samotion.export.cli import main
from samotion.export.plans.build import build
from samotion.export.plans.profiles import profile

rtx = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
MACHINE = Machine("linux-x86_64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "bundle")


def put(folder: Path, name: str, model: bytes) -> None:
    """Replace one graph's file, with its hash."""
    path = folder / f"{name}.onnx"
    path.write_bytes(model)
    manifest = read(folder)
    entry = dataclasses.replace(manifest.graphs[name], sha256={path.name: hash_of(path)})
    save(folder, dataclasses.replace(manifest, graphs={**manifest.graphs, name: entry}))


def model(
    operator: str, kind: int = TensorProto.FLOAT, shape: tuple[str | int, ...] = ("N", 2), second: str = "x"
) -> bytes:
    """Return a model of one node, "odd", that takes x."""
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name in "xy")
    three = helper.make_tensor("three", kind, [3], [1, 2, 3])
    node = helper.make_node(operator, ["x", second] if operator == "Add" else ["x"], ["y"], name="odd")
    graph = helper.make_graph([node], "odd", [x], [y], [three] if second == "three" else [])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return made.SerializeToString()  # type: ignore[no-any-return]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def nothing(*_: object) -> None:
    pass


@rtx
def test_every_graph_of_nano_becomes_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "nano"
    assert main(["--preset", "nano", "--backend", "tensorrt-rtx", "-o", str(out)]) == 0
    manifest = read(out)
    plans = manifest.plans["tensorrt-rtx"]
    assert set(plans) == set(GRAPHS)
    for name, plan in plans.items():
        path = out / plan.file
        assert (path.stat().st_size, hash_of(path)) == (plan.bytes, plan.sha256)
        assert plan.bytes > 1000
        assert plan.graph == read(EMBEDDED).graphs[name].digest
        assert plan.profile == profile(manifest, name)
        assert (plan.compute_capabilities, plan.precision) == ((), manifest.graphs[name].precision)
    lines = capsys.readouterr().out.splitlines()
    for name in GRAPHS:
        assert any(line.startswith(f"tensorrt-rtx: {name} ") and " MB, " in line for line in lines)
    assert any("10 plans, " in line for line in lines)
    with Bundle.load(out) as bundle:  # and it still is a bundle for the CPU
        assert bundle.digest == read(EMBEDDED).digest


@rtx
def test_plans_are_added_to_a_bundle_for_chosen_gpus_and_replaced(folder: Path) -> None:
    before = files(folder)
    options = ["--from", str(folder), "--backend", "tensorrt-rtx"]
    assert main([*options, "--compute-capability", "8.9", "12.0"]) == 0
    plans = read(folder).plans["tensorrt-rtx"]
    assert {plan.compute_capabilities for plan in plans.values()} == {("8.9", "12.0")}
    assert files(folder) == before | {f"{name}.tensorrt-rtx.plan" for name in GRAPHS}
    assert main(options) == 0
    again = read(folder).plans["tensorrt-rtx"]
    assert {plan.compute_capabilities for plan in again.values()} == {()}
    assert again["depth"].sha256 == hash_of(folder / again["depth"].file) != plans["depth"].sha256
    assert files(folder) == before | {plan.file for plan in again.values()}  # the old ones are gone


@rtx
@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (model("Det", shape=("N", 2, 2)), r"does not take node odd \(Det\): unsupported node;"),
        (model("Add", second="three"), r"does not take node odd \(Add\): Shape Error \(broadcast dimensions must be"),
        (b"no model at all", r"depth.onnx: holds no ONNX graph; export the bundle again"),
        (b"", r"depth.onnx: holds no ONNX graph"),
        (model("Relu", shape=("N", 3)), r"input x is float32 \(-1, 3\), the manifest states float32 \(-1, 2\)"),
        (model("Relu", kind=TensorProto.FLOAT16), r"input x is float16 \(-1, 2\), the manifest states float32"),
    ],
    ids=["operator", "shapes", "no model", "empty", "shape", "dtype"],
)
def test_a_graph_that_is_refused_is_one_line_and_changes_nothing(folder: Path, spoiled: bytes, words: str) -> None:
    put(folder, "depth", spoiled)
    before = files(folder), (folder / FILE).read_text()
    with pytest.raises((EngineError, BundleError), match=words) as caught:
        build(folder, "tensorrt-rtx", Target(), nothing, MACHINE)
    line = str(caught.value)
    assert "\n" not in line
    assert ".cpp" not in line
    assert "Error Code" not in line
    assert (files(folder), (folder / FILE).read_text()) == before


@rtx
def test_an_unknown_compute_capability_names_the_known_ones(folder: Path) -> None:
    with pytest.raises(EngineError, match=r"no kernels for compute capability 9.9, only for 7.5, 8.0, 8.6"):
        build(folder, "tensorrt-rtx", Target(("9.9",)), nothing, MACHINE)


@rtx
def test_what_the_builder_cannot_do_for_a_gpu_is_one_line(tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "bundle")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy")
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], [1, 2, 3, 4])
    product = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "g", [x], [y], [weights]
    )
    opset = helper.make_opsetid("", 20)
    put(folder, "depth", helper.make_model(product, opset_imports=[opset], ir_version=10).SerializeToString())
    with pytest.raises(
        EngineError, match=r"cannot build it: .*Turing \(SM75\): FP32 GEMM is not supported\);"
    ) as caught:
        build(folder, "tensorrt-rtx", Target(("7.5",)), nothing, MACHINE)
    assert ".cpp" not in str(caught.value)


@rtx
def test_an_interrupt_ends_the_build_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(folder)

    def interrupted(*_: object, **__: object) -> Any:
        def update() -> None:
            raise KeyboardInterrupt

        return SimpleNamespace(update=update, close=nothing, total=0)

    monkeypatch.setattr("samotion.engines.trt.log.tqdm", interrupted)
    with pytest.raises(KeyboardInterrupt):  # which run_program turns into one line
        main(["--from", str(folder), "--backend", "tensorrt-rtx"])
    assert files(folder) == before


@rtx
def test_the_builders_log_is_never_shown(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put(folder, "depth", model("Det", shape=("N", 2, 2)))
    assert main(["--from", str(folder), "--backend", "tensorrt-rtx"]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("samotion-export: error: depth.onnx: tensorrt-rtx 1.")


def test_a_damaged_bundle_is_told_before_building(folder: Path) -> None:
    (folder / "depth.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"depth\.onnx: damaged"):
        build(folder, "tensorrt-rtx", Target(), nothing, MACHINE)


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_is_not_ours(folder: Path) -> None:
    folder.chmod(0o555)
    with pytest.raises(OutputError, match="cannot be written to"):
        build(folder, "tensorrt-rtx", Target(), nothing, MACHINE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "b"], "--from builds plans: name their --backend, tensorrt or tensorrt-rtx"),
        (["--from", "b", "--preset", "fast", "--backend", "tensorrt"], "leave out --preset"),
        (["--preset", "nano", "-o", "b", "--compute-capability", "8.9"], "need --backend tensorrt or tensorrt-rtx"),
        (
            ["--preset", "nano", "-o", "b", "--backend", "tensorrt", "--compute-capability", "ada"],
            "expected such as 8.9",
        ),
        (["--check", "b", "-o", "c"], "--check looks at a bundle and writes nothing"),
        (["--preset", "nano"], "required: -o/--output"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@rtx
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--timing-cache", "f"], "builds without timing anything; leave out --timing-cache"),
        (["--version-compatible"], "fit the release that built them alone; leave out --version-compatible"),
        (["--hardware-compatible"], "--hardware-compatible is for tensorrt"),
    ],
)
def test_what_rtx_does_not_do_is_told_before_anything_else(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--preset", "fast", "--offline", "--backend", "tensorrt-rtx", "-o", str(tmp_path / "b"), *options]
    assert main(asked) == 2
    assert words in capsys.readouterr().err


def test_another_folder_is_not_replaced(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorrt_rtx")
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").touch()
    assert main(["--from", str(folder), "--backend", "tensorrt-rtx", "-o", str(other)]) == 2
    assert "holds other files than an engine bundle" in capsys.readouterr().err
    assert files(other) == {"thesis.tex"}


@rtx
@pytest.mark.slow
def test_every_graph_of_fast_becomes_a_plan(tmp_path: Path) -> None:
    out = tmp_path / "fast"
    assert main(["--preset", "fast", "--weights", "random:0", "--backend", "tensorrt-rtx", "-o", str(out)]) == 0
    assert set(read(out).plans["tensorrt-rtx"]) == set(GRAPHS)
