"""Image encoders in INT8: what is quantised and how, the gate, what a bundle says of it, and TensorRT's plans."""

import dataclasses
import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto
from tests.support.datasets.labelled import truth_of, write_clip
from tests.support.tiny_bundle import tiny_bundle

from samotion.calibration.comparison.end_to_end import Agreement, Sample
from samotion.calibration.recording.activations import Inputs, RecordingBundle, made_scene
from samotion.calibration.recording.ranges import Deviation
from samotion.engines.manifest import EMBEDDED, GraphEntry, read, save
from samotion.engines.ort.session import Execution
from samotion.engines.trt.flavours import Target
from samotion.export.graph.file import entry_of
from samotion.export.graph.index import load
from samotion.export.plans.add import tell_whether_it_fits
from samotion.export.plans.build import build
from samotion.export.precision import int8, int8_quantiser, int8_selection
from samotion.export.precision.int8 import ENCODERS, convert, holds
from samotion.export.precision.int8_quantiser import Quantiser
from samotion.export.precision.samples import Activations
from samotion.runtime import cli
from samotion.runtime.pipeline import segment

MANIFEST = read(EMBEDDED)
ONE = Execution(threads=1)
rtx = pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx is not installed")


@pytest.fixture(scope="module")
def seen() -> dict[str, list[Inputs]]:
    """What nano's encoders see of a small scene, three calls each."""
    clip, _ = made_scene(22, 6, 96, 128)
    with RecordingBundle.load(EMBEDDED, threads=1) as bundle:
        segment(clip, bundle)
        return {name: bundle.recorders[name].samples for name in ENCODERS}


def scene() -> Sample:
    """That scene with what moves in it."""
    clip, made = made_scene(22, 6, 96, 128)
    return Sample(clip, np.isin(made.instance, np.flatnonzero(made.moving) + 1))


def quantiser(name: str, seen: dict[str, list[Inputs]], folder: Path) -> Quantiser:
    entry: GraphEntry = MANIFEST.graphs[name]
    return Quantiser(load(EMBEDDED / entry.file), entry, seen[name], folder, ONE)


def products(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node if node.op_type in int8_quantiser.OPERATORS]


@pytest.mark.parametrize("for_plans", [False, True])
def test_what_has_weights_is_int8(seen: dict[str, list[Inputs]], tmp_path: Path, for_plans: bool) -> None:
    made = quantiser("depth", seen, tmp_path)
    model = made.quantised("MinMax", for_plans)
    assert sorted(products(model)) == sorted(products(load(EMBEDDED / "depth.onnx")))
    record = int8._record("MinMax", model, for_plans, {})
    assert record["nodes"] == sum(record["int8"].values()) > 40
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    zeros = [constants[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    kind = TensorProto.INT8 if for_plans else TensorProto.UINT8
    assert zeros
    assert {zero.data_type for zero in zeros} == {kind}
    weights = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and node.input[0] in constants]
    widths = {constants[node.input[0]].data_type for node in weights}
    assert widths == ({TensorProto.INT8} if for_plans else {TensorProto.INT8, TensorProto.INT32})
    scales = [constants[node.input[1]].dims for node in weights]
    assert any(dims and dims[0] > 1 for dims in scales), "a scale a channel"
    deviations = made.deviations(model, seen["depth"])
    assert holds(deviations)
    assert deviations["disparity"].norm > 1e-4, "INT8 is not float32"


def test_the_rule_with_least_error_is_taken(
    seen: dict[str, list[Inputs]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = quantiser("track_features", seen, tmp_path)
    model = load(EMBEDDED / "track_features.onnx")
    tried: list[str] = []

    def quantised(method: str, _: bool) -> ModelProto:
        tried.append(method)
        return model

    errors = iter((0.3, 0.1, 0.2))
    monkeypatch.setattr(made, "quantised", quantised)
    monkeypatch.setattr(made, "_error", lambda _: next(errors))
    assert made.best(False) == (int8_quantiser.METHODS[1], model)
    assert tried == [*int8_quantiser.METHODS]


def test_bounds_of_int8() -> None:
    assert holds({"y": Deviation(0.995, 0.1, 0.1)})
    for worse in ({"cosine": 0.98}, {"largest": 0.3}, {"not_finite": 1}):
        assert not holds({"y": dataclasses.replace(Deviation(0.995, 0.1, 0.1), **worse)})


def quick(monkeypatch: pytest.MonkeyPatch, seen: dict[str, list[Inputs]], wrong: str = "") -> None:
    """Calibrate on the scene alone, by one rule, and find ``wrong`` past its bounds; all are faster, none loses J."""
    monkeypatch.setattr(int8_quantiser, "METHODS", ("MinMax",))
    monkeypatch.setattr(int8, "samples", lambda *_: [scene()])
    monkeypatch.setattr(int8, "cpu_ratio", lambda *_: 0.7)
    monkeypatch.setattr(int8_selection, "LOST", 1.0)
    monkeypatch.setattr(int8, "gather", lambda *_: Activations(seen, seen, {}))
    if wrong:
        spoiled = {**seen, wrong: [{k: 50 * v for k, v in sample.items()} for sample in seen[wrong]]}
        monkeypatch.setattr(int8, "gather", lambda *_: Activations(seen, spoiled, {}))


def test_a_bundle_says_what_is_int8_and_what_was_refused(
    seen: dict[str, list[Inputs]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(int8, "ENCODERS", ("depth", "semantics"))
    quick(monkeypatch, seen, wrong="semantics")  # far brighter than what ranges were taken from
    told: list[str] = []
    manifest, _ = convert(EMBEDDED, tmp_path / "int8", None, told.append, execution=ONE)
    again = read(tmp_path / "int8")
    assert again.digest == manifest.digest
    kinds = {name: entry.precision for name, entry in again.graphs.items()}
    assert {name for name, kind in kinds.items() if kind == "int8"} == {"depth"}
    assert any("semantics" in line and "stays float32" in line for line in told)
    assert again.graphs["semantics"].precision_map["refused"]["reason"].startswith("past the bounds")
    assert again.graphs["semantics"].sha256 == MANIFEST.graphs["semantics"].sha256
    about = again.graphs["depth"].precision_map
    assert about["gate"]["held"]["disparity"]["cosine"] > 0.99
    assert about["cpu_time"] == 0.7
    assert about["end_to_end"]["with"] == ["depth"]
    assert len(about["end_to_end"]["clips"]) == 1
    assert -1 <= about["end_to_end"]["difference"] <= 1
    assert again.precision == "float32, but int8 in depth"
    assert MANIFEST.precision == "float32"
    lines: list[str] = []
    assert tell_whether_it_fits(tmp_path / "int8", None, lines.append)
    assert ", but int8 in " in lines[0]
    write_clip(tmp_path / "square", tmp_path / "masks", truth_of(frames=2))
    run = [
        str(tmp_path / "square"),
        "--engines",
        str(tmp_path / "int8"),
        "-o",
        str(tmp_path / "out"),
        "--threads",
        "1",
    ]
    assert cli.main(run) == 0
    assert ", but int8 in " in capsys.readouterr().err
    result = json.loads((tmp_path / "out" / "square" / "result.json").read_text(encoding="utf-8"))
    assert result["bundle"]["precision"] == again.precision


def test_an_encoder_that_is_not_faster_here_stays_float32(
    seen: dict[str, list[Inputs]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "ENCODERS", ("depth",))
    quick(monkeypatch, seen)
    monkeypatch.setattr(int8, "cpu_ratio", lambda *_: 1.47)
    told: list[str] = []
    manifest, _ = convert(EMBEDDED, tmp_path / "int8", None, told.append, execution=ONE)
    assert manifest.precision == "float32"
    assert any("stays float32: takes 1.47 of float32's CPU time, gains from 0.95 on" in line for line in told)
    # For a GPU how fast this CPU is does not count.
    manifest, _ = convert(EMBEDDED, tmp_path / "plans", None, told.append, for_plans=True, execution=ONE)
    assert manifest.precision == "float32, but int8 in depth"
    assert "cpu_time" not in manifest.graphs["depth"].precision_map


def test_the_encoder_that_takes_most_of_j_is_left_out() -> None:
    class Toy:
        """Each encoder takes its part of J."""

        def compare(self, models: dict[str, float]) -> list[Agreement]:
            return [Agreement("a", 6, 0.9, 9, 10, (1, 1), 0.6 + sum(models.values()), 0.6)]

    told: list[str] = []
    models: Any = {"depth": -0.004, "semantics": 0.002, "mask_encoder": -0.01}
    kept, rows = int8_selection.affordable(Toy(), models, told.append)  # type: ignore[arg-type]
    assert kept == ["depth", "semantics"]
    assert rows[0].difference == pytest.approx(-0.002)
    assert [line.split(" in INT8")[0] for line in told] == ["depth, semantics, mask_encoder", "depth, semantics"]
    kept, _ = int8_selection.affordable(Toy(), {"depth": -0.1}, told.append)  # type: ignore[arg-type, dict-item]
    assert kept == []


def test_an_encoder_that_ruins_masks_is_refused_end_to_end(
    seen: dict[str, list[Inputs]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask encoder that answers with noise, let pass by its own gate, is caught by what it does to J."""
    monkeypatch.setattr(int8, "ENCODERS", ("depth", "mask_encoder"))
    quick(monkeypatch, seen)
    monkeypatch.setattr(int8_selection, "LOST", 0.005)
    monkeypatch.setattr(int8, "holds", lambda _: True)
    best = Quantiser.best

    def spoiled(own: Quantiser, for_plans: bool) -> tuple[str, ModelProto]:
        method, model = best(own, for_plans)
        if "depth" not in own._entry.file:
            for tensor in model.graph.initializer:
                if tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1:
                    tensor.raw_data = bytes(len(tensor.raw_data))
        return method, model

    monkeypatch.setattr(Quantiser, "best", spoiled)
    told: list[str] = []
    manifest, _ = convert(EMBEDDED, tmp_path / "int8", None, told.append, execution=ONE)
    assert manifest.precision == "float32, but int8 in depth"
    assert manifest.graphs["mask_encoder"].precision_map["refused"]["reason"] == "J falls by more than 0.005 with it"


def test_time_is_measured_on_the_graphs_themselves(seen: dict[str, list[Inputs]], tmp_path: Path) -> None:
    entry, model = MANIFEST.graphs["depth"], load(EMBEDDED / "depth.onnx")
    ratio = int8_selection.cpu_ratio((model, model), entry.inputs, seen["depth"][0], tmp_path)
    assert 0 < ratio < math.inf


@rtx
def test_an_int8_encoder_becomes_a_plan(seen: dict[str, list[Inputs]], tmp_path: Path) -> None:
    folder = tiny_bundle(tmp_path / "bundle")
    path = folder / "track_features.onnx"
    onnx.save(quantiser("track_features", seen, tmp_path).quantised("MinMax", for_plans=True), path)
    tiny = read(folder)
    entry = dataclasses.replace(entry_of(path), precision="int8")
    save(folder, dataclasses.replace(tiny, graphs={**tiny.graphs, "track_features": entry}, tracker=MANIFEST.tracker))
    plans = build(folder, "tensorrt-rtx", Target((), False, False, None), lambda *_: None).plans["tensorrt-rtx"]
    assert plans["track_features"].precision == "int8"
    assert plans["track_features"].bytes > 50_000


@rtx
@pytest.mark.slow
def test_all_int8_encoders_become_plans(
    seen: dict[str, list[Inputs]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, seen)
    manifest, _ = convert(EMBEDDED, tmp_path / "int8", None, lambda _: None, for_plans=True, execution=ONE)
    plans = build(tmp_path / "int8", "tensorrt-rtx", Target((), False, False, None), lambda *_: None).plans
    assert {name for name, entry in manifest.graphs.items() if entry.precision == "int8"} == set(ENCODERS)
    assert {name for name, plan in plans["tensorrt-rtx"].items() if plan.precision == "int8"} == set(ENCODERS)
