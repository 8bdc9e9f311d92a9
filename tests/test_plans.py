"""Plans built by TensorRT-RTX on the CPU: all of nano, the rules of a build, and every error in one line."""

import dataclasses
import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from onnx import TensorProto, helper
from tests.tiny_bundle import tiny_bundle

from samotion.engines.backends import RTX, Target
from samotion.engines.bundle import Bundle
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import BundleError, EngineError, OutputError
from samotion.engines.machine import Gpu, Machine
from samotion.engines.manifest import (
    EMBEDDED,
    FILE,
    GRAPHS,
    DepthInput,
    MasksInput,
    SemanticsInput,
    hash_of,
    read,
    save,
)
from samotion.engines.plan_log import first_reason, monitor
from samotion.engines.plans import build
from samotion.engines.profiles import FIXED, profile, ranges
from samotion.export.cli import main
from samotion.runtime.masks import PROMPTS_A_BATCH
from samotion.runtime.preprocess import FRAMES_A_BATCH
from samotion.runtime.settings import Settings

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
    assert again["depth"].sha256 == hash_of(folder / "depth.tensorrt-rtx.plan") != plans["depth"].sha256


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
    with pytest.raises(EngineError, match=r"does not build for compute capability 9.9; it builds for 7.5, 8.0, 8.6"):
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

    monkeypatch.setattr("samotion.engines.plan_log.tqdm", interrupted)
    assert main(["--from", str(folder), "--backend", "tensorrt-rtx"]) == 130
    assert files(folder) == before


def test_the_bar_counts_the_steps_of_all_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted:
        def __init__(self, total: int, desc: str, **_: object) -> None:
            self.total, self.desc, self.done = total, desc, 0

        def update(self) -> None:
            self.done += 1

    monkeypatch.setattr("samotion.engines.plan_log.tqdm", Counted)
    bar = monitor(SimpleNamespace(IProgressMonitor=type("Base", (), {})), "depth")  # type: ignore[arg-type]
    bar.phase_start("building", None, 2)
    bar.phase_start("inside", "building", 3)
    assert all(bar.step_complete("inside", step) for step in range(3))
    bar.phase_finish("inside")
    assert bar.step_complete("building", 0)
    assert (bar.bar.desc, bar.bar.done, bar.bar.total) == ("depth", 4, 5)


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


def test_profiles_hold_what_the_runtime_sends() -> None:
    """The best lengths are the runtime's defaults, and its largest windows, tracks and memories fit."""
    own = {"max_tracks": 700, "clicks": 16, "background_clicks": 12}
    manifest = dataclasses.replace(read(EMBEDDED), settings=own, masks=MasksInput(256, 5, 16, max_clicked=2))
    settings = Settings()
    assert ranges(manifest, "mask_encoder")["B"][1] == ranges(manifest, "track_features")["T"][1] == FRAMES_A_BATCH
    assert ranges(manifest, "track_head")["N"][1] == settings.point_chunk
    assert ranges(manifest, "motion")["T"][1] == settings.window
    assert ranges(manifest, "motion")["N"][2] >= settings.max_tracks
    assert ranges(manifest, "motion")["N"][1] == 700
    assert Settings.published().max_frames in range(1, FIXED["T"][2] + 1)
    assert ranges(manifest, "memory_attention")["M"] == (1, 5, 6)  # 2 clicked and 4 recent frames
    assert ranges(manifest, "mask_decoder")["K"] == (1, 4, 16)
    assert PROMPTS_A_BATCH <= 16
    assert ranges(manifest, "mask_decoder")["P"] == (1, 28, 64)
    assert ranges(dataclasses.replace(manifest, settings={}), "mask_decoder")["P"] == (1, settings.clicks, 64)


@pytest.mark.parametrize("name", GRAPHS)
def test_profiles_are_in_order_and_of_the_specs_rank(name: str) -> None:
    manifest = read(EMBEDDED)
    shapes = profile(manifest, name)
    for spec in manifest.graphs[name].inputs:
        for least, best, most, axis in zip(*shapes[spec.name], spec.shape, strict=True):
            assert 0 < least <= best <= most
            assert isinstance(axis, str) or least == most == axis


@pytest.mark.parametrize("size", [(480, 854), (854, 480), (1000, 1000), (418, 1000), (180, 320)])
def test_profiles_hold_frames_of_every_usual_shape(size: tuple[int, int]) -> None:
    from samotion.runtime import depth, features

    for side, longest in ((518, None), (126, 448)):
        manifest = dataclasses.replace(
            read(EMBEDDED), depth=DepthInput(side, 14), semantics=SemanticsInput(14, longest)
        )
        for graph, sent in (
            ("depth", depth.network_size(size, manifest.depth)),
            ("semantics", features.network_size(size, manifest.semantics)),
        ):
            for axis, length in zip("hw", sent, strict=True):
                least, _, most = ranges(manifest, graph)[axis]
                assert least <= length <= most, (graph, axis, length)
    assert ranges(manifest, "depth")["h"][1:] == (126, 308)


def test_an_axis_without_a_range_is_named() -> None:
    manifest = read(EMBEDDED)
    entry = dataclasses.replace(manifest.graphs["depth"], inputs=(TensorSpec("image", "float32", ("Q", 3)),))
    odd = dataclasses.replace(manifest, graphs={**manifest.graphs, "depth": entry})
    with pytest.raises(EngineError, match="depth: axis Q of input image has no range for a plan; known are B, T, N"):
        profile(odd, "depth")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([], "no reason given"),
        (
            ["IBuilder::build: Error Code 1: Myelin ([p.cpp:3: check] No kernel for 'x'. In run at /_src/a.cpp:2)"],
            "Myelin (No kernel for 'x')",
        ),
        (
            ["[a/b.cpp::fill::12] Error Code 2: OutOfMemory (no further information)\nmore"],
            "OutOfMemory (no further information)",
        ),
    ],
)
def test_reasons_come_without_the_builders_file_names(said: list[str], wanted: str) -> None:
    assert first_reason(said) == wanted


class Config:
    """A builder's configuration that keeps what it is told."""

    hardware_compatibility_level = "none"
    progress_monitor: object = None

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.features: set[str] = set()
        self.cleared: set[str] = set()
        self.cache: Any = None

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def set_preview_feature(self, feature: str, on: bool) -> None:
        assert on
        self.features.add(feature)

    def clear_flag(self, flag: str) -> None:
        self.cleared.add(flag)

    def add_optimization_profile(self, shapes: Any) -> int:
        self.shapes = shapes
        return 0

    def create_timing_cache(self, data: bytes) -> Any:
        return SimpleNamespace(data=data, serialize=lambda: data + b"+")

    def set_timing_cache(self, cache: Any, ignore: bool) -> bool:
        self.cache = cache
        return not ignore and cache.data != b"another GPU's"

    def get_timing_cache(self) -> Any:
        return self.cache


def stand_in(version: str, seen: list[Any]) -> Any:
    """Return a tensorrt module of ``version`` whose plans hold its name; what it is told goes to ``seen``."""

    class Builder:
        def __init__(self, log: object) -> None:
            pass

        def create_network(self, flags: int) -> Any:
            seen.append(flags)
            tensor = SimpleNamespace(name="x", shape=(-1, 2), dtype="float32")
            return SimpleNamespace(num_outputs=1, num_inputs=1, get_input=lambda _: tensor)

        def create_builder_config(self) -> Config:
            made = Config()
            seen.append(made)
            return made

        def create_optimization_profile(self) -> Any:
            return SimpleNamespace(set_shape=nothing)

        def build_serialized_network(self, *_: Any) -> bytes:
            return f"plan of {version}".encode()

    class Base:
        ERROR, INTERNAL_ERROR = 1, 2

    features = {} if version.startswith("10.1.") else {"RUNTIME_ACTIVATION_RESIZE_10_10": "resize"}

    return SimpleNamespace(
        __version__=version,
        Builder=Builder,
        OnnxParser=lambda *_: SimpleNamespace(parse_from_file=lambda _: True, num_errors=0),
        ILogger=Base,
        IProgressMonitor=type("IProgressMonitor", (), {}),
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=1),
        BuilderFlag=SimpleNamespace(TF32="tf32", VERSION_COMPATIBLE="versions"),
        HardwareCompatibilityLevel=SimpleNamespace(AMPERE_PLUS="ampere"),
        PreviewFeature=SimpleNamespace(__members__=features),
        nptype=lambda name: name,
    )


@pytest.mark.parametrize("version", ["10.1.0.27", "10.13.2.6", "11.4.1.7"])
def test_tensorrt_10_and_11_are_told_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Held against a stand-in with the calls of both versions: neither installs here without gigabytes of CUDA."""
    seen: list[Any] = []
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in(version, seen))
    machine = dataclasses.replace(MACHINE, driver="13.0", gpu=Gpu("GPU", "8.9", 1 << 34, 1 << 34))
    cache = tmp_path / "new" / "cache"
    target = Target((), hardware_compatible=True, version_compatible=True, timing_cache=cache)
    manifest = build(folder, "tensorrt", target, nothing, machine)
    plan = manifest.plans["tensorrt"]["depth"]
    assert (folder / plan.file).read_bytes() == f"plan of {version}".encode()
    assert (plan.version, plan.compute_capabilities, plan.platform) == (version, ("8.9",), "linux-x86_64")
    assert plan.hardware_compatible
    assert plan.version_compatible
    assert seen[0] == 1 << 1  # strongly typed
    config = seen[1]
    assert (config.flags, config.cleared) == ({"versions"}, {"tf32"})
    assert config.hardware_compatibility_level == "ampere"
    assert config.features == (set() if version == "10.1.0.27" else {"resize"})
    assert cache.read_bytes() == b"+" * len(GRAPHS)  # each build adds to what the one before left
    cache.write_bytes(b"another GPU's")
    with pytest.raises(EngineError, match=r"no timing cache of tensorrt .* on this GPU; delete it"):
        build(folder, "tensorrt", target, nothing, machine)
    with pytest.raises(OutputError, match=r"cannot be read and written .*; name another file"):
        build(folder, "tensorrt", dataclasses.replace(target, timing_cache=tmp_path), nothing, machine)


def test_rtx_asks_for_its_compute_capabilities() -> None:
    told: list[tuple[str, int]] = []
    known = {"NONE": 0, "CURRENT": 1, "SM89": "ada", "SM120": "blackwell"}
    trt = SimpleNamespace(__version__="1.7", ComputeCapability=SimpleNamespace(__members__=known))
    config = SimpleNamespace(
        num_compute_capabilities=0, set_compute_capability=lambda value, index: told.append((value, index))
    )
    RTX.configure(trt, config, Target(("8.9", "12.0")))
    assert (config.num_compute_capabilities, told) == (2, [("ada", 0), ("blackwell", 1)])


@rtx
@pytest.mark.slow
def test_every_graph_of_fast_becomes_a_plan(tmp_path: Path) -> None:
    out = tmp_path / "fast"
    assert main(["--preset", "fast", "--weights", "random:0", "--backend", "tensorrt-rtx", "-o", str(out)]) == 0
    assert set(read(out).plans["tensorrt-rtx"]) == set(GRAPHS)
