"""What the builders are told, TensorRT 10, 11 and RTX alike, and what of their words is shown."""

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.errors import EngineError, OutputError
from samotion.engines.machine import Gpu, Machine
from samotion.engines.manifest import GRAPHS
from samotion.engines.trt.flavours import RTX, Target
from samotion.engines.trt.log import first_reason, monitor
from samotion.export.plans.build import build

MACHINE = Machine("linux-x86_64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "bundle")


def nothing(*_: object) -> None:
    pass


def test_the_bar_counts_the_steps_of_all_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted:
        def __init__(self, total: int, desc: str, **_: object) -> None:
            self.total, self.desc, self.done = total, desc, 0

        def update(self) -> None:
            self.done += 1

    monkeypatch.setattr("samotion.engines.trt.log.tqdm", Counted)
    bar = monitor(SimpleNamespace(IProgressMonitor=type("Base", (), {})), "depth")  # type: ignore[arg-type]
    bar.phase_start("building", None, 2)
    bar.phase_start("inside", "building", 3)
    assert all(bar.step_complete("inside", step) for step in range(3))
    bar.phase_finish("inside")
    assert bar.step_complete("building", 0)
    assert (bar.bar.desc, bar.bar.done, bar.bar.total) == ("depth", 4, 5)


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
    """Compared on a stand-in with the calls of both versions: neither installs here without gigabytes of CUDA."""
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
    hopper = Gpu("NVIDIA H100", "9.0", 80 << 30, 79 << 30)
    found = RTX.unknown(trt, Machine("linux-x86_64", "13.0", hopper))
    assert found == "tensorrt-rtx 1.7 has no kernels for compute capability 9.0, only for 8.9, 12.0"
    assert (
        RTX.unknown(trt, Machine("linux-x86_64", "13.0", dataclasses.replace(hopper, compute_capability="8.9")))
        is None
    )
