"""Bundles: the manifest survives a round trip; damage, gaps and wrong providers are named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle import EMBEDDED, Bundle
from samotion.engines.errors import BundleError, EngineError, OutputError
from samotion.engines.manifest import FILE, PlanEntry, read, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path)


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


def test_plans_are_kept_and_leave_the_graphs_name(folder: Path) -> None:
    manifest = read(folder)
    assert "plans" not in (folder / FILE).read_text()  # a bundle of graphs reads as it always did
    plan = PlanEntry(
        file="depth.plan",
        sha256=64 * "0",
        graph=manifest.graphs["depth"].digest,
        backend="tensorrt",
        version="10.13",
        compute_capabilities=("8.9",),
        platform="linux-x86_64",
        hardware_compatible=False,
        version_compatible=True,
        profile={"x": ((1, 2), (4, 2), (16, 2))},
        precision="float32",
        seconds=1.5,
        bytes=7,
    )
    planned = dataclasses.replace(manifest, plans={"tensorrt": {"depth": plan}})
    save(folder, planned)
    assert read(folder) == planned
    assert planned.digest == manifest.digest
    assert Bundle(folder, planned, "cpu", 1).digest == manifest.digest
    assert Bundle(folder, planned, "tensorrt", 1).digest != manifest.digest


def test_a_manifest_is_written_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder / FILE).read_text()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        save(folder, dataclasses.replace(read(folder), name="other"))
    assert (folder / FILE).read_text() == before
    assert not list(folder.glob(".*"))


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
