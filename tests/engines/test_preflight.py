"""Preflight: what does not fit this machine is named with the one command that fixes it, before anything loads."""

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle import Bundle
from samotion.engines.bundle_files import hash_of
from samotion.engines.errors import EngineError
from samotion.engines.machine import Gpu, Machine, this_machine
from samotion.engines.manifest import EMBEDDED, FILE, GRAPHS, Manifest, PlanEntry, read, save
from samotion.engines.preflight import check, rebuild, require, table
from samotion.engines.trt.flavours import BACKENDS, RTX, Target
from samotion.export.cli import main
from samotion.export.plans.add import add_plans

ADA = Gpu("NVIDIA GeForce RTX 4090", "8.9", 24 << 30, 20 << 30)
HERE = Machine("linux-x86_64", "13.0", ADA)
VERSION = "10.13.2.6"


def with_plans(folder: Path, backend: str = "tensorrt", **changes: Any) -> Manifest:
    """Record a plan of every graph, built for this test's machine except for ``changes``."""
    manifest = read(folder)
    plans = {}
    for name, graph in manifest.graphs.items():
        path = folder / f"{name}.{backend}.plan"
        path.write_bytes(name.encode())
        plain = PlanEntry(
            file=path.name,
            sha256=hash_of(path),
            graph=graph.digest,
            backend=backend,
            version=VERSION,
            compute_capabilities=("8.9",),
            platform="linux-x86_64",
            hardware_compatible=False,
            version_compatible=False,
            profile={"x": ((1, 2), (2, 2), (4, 2))},
            precision="float32",
            seconds=1.0,
            bytes=100,
        )
        plans[name] = dataclasses.replace(plain, **changes)
    manifest = dataclasses.replace(manifest, plans={**manifest.plans, backend: plans})
    save(folder, manifest)
    assert read(folder) == manifest
    return manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The real find_spec looks for a module's __spec__; where they are not installed it must look so.
    for module in ("pycuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(__spec__=object()))
    return tiny_bundle(tmp_path / "bundle")


def problem(folder: Path, backend: str = "tensorrt", machine: Machine = HERE, version: str = VERSION) -> str | None:
    """Return what ``require`` says, None if all fits."""
    try:
        require(folder, read(folder), backend, machine, version)
    except EngineError as error:
        return str(error)
    return None


def test_plans_for_this_machine_fit(folder: Path) -> None:
    manifest = with_plans(folder)
    assert problem(folder) is None
    findings = check(folder, manifest, "tensorrt", HERE, VERSION)
    assert [finding.graph for finding in findings] == list(GRAPHS)
    assert all(line.endswith("fits") for line in table(findings).splitlines())


def test_a_plan_for_another_compute_capability_is_refused_with_the_remedy(folder: Path) -> None:
    with_plans(folder, compute_capabilities=("9.0",))
    line = problem(folder)
    assert line == (
        "track_features does not run on tensorrt: built for compute capability 9.0, this GPU has 8.9 "
        f"(10 of 10 graphs do not); samotion-export --from {folder} --backend tensorrt"
    )


def test_rtx_plans_for_another_compute_capability_are_refused_with_the_remedy(folder: Path) -> None:
    with_plans(folder, "tensorrt-rtx", compute_capabilities=("12.0", "8.6"))
    line = problem(folder, "tensorrt-rtx")
    assert line is not None
    assert "built for compute capability 12.0, 8.6, this GPU has 8.9" in line
    assert line.endswith(f"samotion-export --from {folder} --backend tensorrt-rtx --compute-capability 8.9")


BLACKWELL = dataclasses.replace(HERE, gpu=dataclasses.replace(ADA, compute_capability="12.0"))
TURING = dataclasses.replace(HERE, gpu=dataclasses.replace(ADA, compute_capability="7.5"))
WINDOWS = dataclasses.replace(HERE, platform="windows-x86_64")
ARM = dataclasses.replace(HERE, platform="linux-aarch64")


@pytest.mark.parametrize(
    ("backend", "changes", "machine", "version", "words"),
    [
        ("tensorrt", {}, HERE, "10.13.3.9", "built by tensorrt 10.13.2.6, here is 10.13.3.9"),
        ("tensorrt", {"version_compatible": True}, HERE, "11.0.1.2", None),
        (
            "tensorrt",
            {"version_compatible": True},
            HERE,
            "10.9.0.34",
            "built by tensorrt 10.13.2.6, here is 10.9.0.34",
        ),
        ("tensorrt", {"hardware_compatible": True}, BLACKWELL, VERSION, None),
        ("tensorrt", {"hardware_compatible": True}, TURING, VERSION, "capability 8.9, this GPU has 7.5"),
        ("tensorrt", {}, WINDOWS, VERSION, "built on linux-x86_64, here is windows-x86_64"),
        ("tensorrt-rtx", {"compute_capabilities": ()}, WINDOWS, VERSION, None),
        ("tensorrt-rtx", {"compute_capabilities": ()}, ARM, VERSION, "built on linux-x86_64, here is linux-aarch64"),
        ("tensorrt-rtx", {"compute_capabilities": ()}, BLACKWELL, VERSION, None),
        ("tensorrt-rtx", {"compute_capabilities": ()}, TURING, VERSION, "capability 8.0 and later, this GPU has 7.5"),
        ("tensorrt-rtx", {"compute_capabilities": ("7.5",)}, TURING, VERSION, None),
        ("tensorrt-rtx", {"version_compatible": True}, HERE, "11.0", "built by tensorrt-rtx 10.13.2.6, here is 11.0"),
    ],
)
def test_each_backend_has_its_own_rules(
    folder: Path, backend: str, changes: dict[str, Any], machine: Machine, version: str, words: str | None
) -> None:
    with_plans(folder, backend, **changes)
    line = problem(folder, backend, machine, version)
    assert (line is None) if words is None else (line is not None and words in line)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (
            Machine("linux-x86_64"),
            "no NVIDIA driver here (linux-x86_64) (10 of 10 graphs do not); install NVIDIA's driver",
        ),
        (Machine("linux-x86_64", "12.4"), "no GPU answers here"),
        (dataclasses.replace(HERE, gpu=dataclasses.replace(ADA, free=999)), "the plans take 0.00 GiB"),
    ],
)
def test_a_machine_that_lacks_something_is_told_first(folder: Path, machine: Machine, words: str) -> None:
    with_plans(folder, version="9.9")
    if machine.gpu is not None:
        with_plans(folder)
    assert words in (problem(folder, machine=machine) or "")


def test_damaged_missing_and_stale_plans_are_told_apart(folder: Path) -> None:
    manifest = with_plans(folder)
    (folder / "depth.tensorrt.plan").write_bytes(b"other")
    (folder / "motion.tensorrt.plan").unlink()
    graphs = dict(manifest.graphs)
    graphs["semantics"] = dataclasses.replace(graphs["semantics"], sha256={"semantics.onnx": "0" * 64})
    plans = {name: plan for name, plan in manifest.plans["tensorrt"].items() if name != "track_head"}
    manifest = dataclasses.replace(manifest, graphs=graphs, plans={"tensorrt": plans})
    said = {f.graph: f.problem or "" for f in check(folder, manifest, "tensorrt", HERE, VERSION) if f.problem}
    assert set(said) == {"depth", "motion", "semantics", "track_head"}
    assert "is damaged (sha256 " in said["depth"]
    assert "is missing" in said["motion"]
    assert said["semantics"] == "built from another graph than is here"
    assert said["track_head"] == "no plan is built"


def test_a_bundle_without_plans_names_the_command(folder: Path) -> None:
    line = problem(folder)
    assert line is not None
    assert line.endswith(
        f"no plan is built (10 of 10 graphs do not); samotion-export --from {folder} --backend tensorrt"
    )
    assert rebuild(EMBEDDED, "tensorrt").startswith(
        "samotion-export --preset nano --backend tensorrt -o nano-tensorrt"
    )


def test_a_backend_that_is_not_installed_names_its_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match=r"tensorrt is not installed here.*; pip install 'samotion\[gpu\]'$"):
        require(folder, with_plans(folder), "tensorrt", HERE)
    monkeypatch.setitem(sys.modules, "tensorrt", SimpleNamespace(__version__="8.6.1"))
    with pytest.raises(EngineError, match=r"tensorrt 8.6.1 is too old, expected 10.1 or later"):
        BACKENDS["tensorrt"].load()


@pytest.mark.parametrize(("flags", "words"), [(2 | 16, "unsupported cc, insufficient gpu memory"), (0, "refused by")])
def test_rtx_has_the_last_word_on_its_plans(
    folder: Path, monkeypatch: pytest.MonkeyPatch, flags: int, words: str
) -> None:
    class Runtime:
        engine_header_size = 4

        def __init__(self, log: object) -> None:
            pass

        def get_engine_validity(self, header: bytes) -> tuple[str, int]:
            return ("invalid" if header == b"dept" else "valid", flags)

    diagnostics = {"VERSION_MISMATCH": 1, "UNSUPPORTED_CC": 2, "INSUFFICIENT_GPU_MEMORY": 16}
    module = SimpleNamespace(
        __version__="1.7.1.116",
        Logger=type("Logger", (), {"INTERNAL_ERROR": 0, "__init__": lambda *_: None}),
        Runtime=Runtime,
        EngineValidity=SimpleNamespace(INVALID="invalid"),
        EngineInvalidityDiagnostics=SimpleNamespace(__members__=diagnostics),
        ComputeCapability=SimpleNamespace(__members__={"SM89": 89}),
    )
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", module)
    manifest = with_plans(folder, "tensorrt-rtx", version="1.7.1.116")
    (bad,) = [f for f in check(folder, manifest, "tensorrt-rtx", HERE) if f.problem]
    assert bad.graph == "depth"
    assert words in (bad.problem or "")
    assert bad.remedy.startswith("samotion-export --from")


def test_loading_asks_the_preflight(folder: Path) -> None:
    if this_machine().gpu is not None:
        pytest.skip("says that there is no GPU")
    with pytest.raises(EngineError, match=r"does not run on tensorrt-rtx: .*; "):
        Bundle.load(folder, provider="tensorrt-rtx")
    with pytest.raises(EngineError, match="with plans: tensorrt, tensorrt-rtx"):
        Bundle.load(folder, provider="tpu")


def test_check_prints_a_table_and_says_by_its_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(GRAPHS)
    assert all(line.startswith("onnxruntime") and line.endswith("fits") for line in lines[1:])
    with_plans(folder, compute_capabilities=("1.0",))
    assert main(["--check", str(folder)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("tensorrt ")]) == len(GRAPHS)
    assert lines[-1].startswith("remedy: ")
    (folder / "depth.onnx").write_bytes(b"other")
    assert main(["--check", str(folder), "--backend", "onnxruntime"]) == 2
    assert "damaged" in capsys.readouterr().out
    (folder / FILE).unlink()
    assert main(["--check", str(folder)]) == 2
    assert "no bundle.json found" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")
def test_a_gpu_that_rtx_has_no_kernels_for_is_sent_elsewhere(folder: Path) -> None:
    """The list of compute capabilities is the library's own."""
    manifest = with_plans(folder, "tensorrt-rtx", compute_capabilities=())
    maxwell = dataclasses.replace(HERE, gpu=dataclasses.replace(ADA, compute_capability="5.2"))
    found = check(folder, manifest, "tensorrt-rtx", maxwell)
    words = " has no kernels for compute capability 5.2, only for 7.5, 8.0, 8.6, 8.9, "
    assert all(words in (finding.problem or "") for finding in found)
    assert "--provider cuda" in found[0].remedy
    assert "--provider tensorrt" in found[0].remedy


@pytest.mark.parametrize(
    ("target", "machine", "words"),
    [
        (Target(), Machine("linux-x86_64"), "here is none .*--backend tensorrt-rtx, which needs no GPU"),
        (Target(("9.0",)), HERE, "for the GPU at hand alone, compute capability 8.9, not for 9.0"),
        (Target(hardware_compatible=True), TURING, "needs a GPU of compute capability 8.0 or later, here is 7.5"),
    ],
)
def test_tensorrt_builds_for_its_own_gpu(target: Target, machine: Machine, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        BACKENDS["tensorrt"].aim(target, machine)
    assert BACKENDS["tensorrt"].aim(Target(("8.9",)), HERE) == ("8.9",)


@pytest.mark.parametrize(
    "target",
    [Target(hardware_compatible=True), Target(version_compatible=True), Target(timing_cache=Path("x"))],
)
def test_rtx_says_what_it_does_not_do(target: Target) -> None:
    with pytest.raises(EngineError, match="--"):
        RTX.aim(target, HERE)
    assert RTX.aim(Target(("8.9", "12.0")), Machine("linux-x86_64")) == ("8.9", "12.0")


@pytest.mark.gpu
@pytest.mark.skipif(this_machine().gpu is None, reason="needs an NVIDIA GPU")
def test_plans_built_on_a_real_gpu_fit_it(tmp_path: Path) -> None:
    for backend in BACKENDS:
        trt = pytest.importorskip(BACKENDS[backend].module)
        if BACKENDS[backend].unknown(trt, this_machine()):
            continue
        manifest = add_plans(EMBEDDED, tmp_path / backend, backend, Target(), lambda _: None)
        assert not [f for f in check(tmp_path / backend, manifest, backend) if f.problem]
