"""FP16 end to end: a policy that a network's own gate lets pass is caught, blamed and repaired; bounds; truth."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.support.datasets.labelled import truth_of, write_clip
from tests.support.gpu.gpu_stand_in import install, stand_in_onnx_runtime

from samotion.calibration.comparison.end_to_end import (
    Agreement,
    Bounds,
    Sample,
    folder_samples,
    made_samples,
    means,
)
from samotion.calibration.recording.activations import Inputs, RecordingBundle, collect, made_scene
from samotion.engines.errors import InputError
from samotion.engines.manifest import EMBEDDED, read
from samotion.engines.ort.session import Execution
from samotion.export.graph.index import load
from samotion.export.precision import whole as whole_pipeline
from samotion.export.precision.search import Search
from samotion.export.precision.whole import Whole, repair
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings

NANO = read(EMBEDDED)
ONE = Execution(threads=1)
MANIFEST = dataclasses.replace(NANO, settings={**NANO.settings, "max_tracks": 250})  # enough of them, and quick
ROW = Agreement("a", 10, 0.99, 995, 1000, (1, 1), 0.5, 0.502)


@pytest.fixture(scope="module")
def moving() -> Sample:
    """A scene in which nano finds an object."""
    clip, made = made_scene(23, 8, 96, 128)
    return Sample(clip, np.isin(made.instance, np.flatnonzero(made.moving) + 1))


@pytest.fixture(scope="module")
def whole(moving: Sample, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(EMBEDDED, MANIFEST, [moving], tmp_path_factory.mktemp("whole"), ONE)


def followed(sample: Sample) -> list[Inputs]:
    """What the tracker's head reads on that scene."""
    with RecordingBundle.load(EMBEDDED, threads=1) as bundle:
        segment(sample.clip, bundle, Settings().override(MANIFEST.settings))
        return bundle.recorders["track_head"].samples


def test_positions_in_float16_are_caught_end_to_end_and_mended(moving: Sample, whole: Whole, tmp_path: Path) -> None:
    entry = MANIFEST.graphs["track_head"]
    inputs = followed(moving)
    search = Search(load(EMBEDDED / entry.file), entry, inputs[:1], [], tmp_path, ONE)
    broken = search.trial({})  # FP16 everywhere, positions in the frame too
    assert broken.passed, "the graph's own gate sees nothing wrong"
    quiet = Search(load(EMBEDDED / "depth.onnx"), MANIFEST.graphs["depth"], [], [], tmp_path, ONE)
    trials = {"track_head": broken, "depth": quiet.trial({})}
    told: list[str] = []
    rounds = repair(whole, {"track_head": search, "depth": quiet}, trials, told.append)
    assert rounds[0]["more_islands"] == "track_head"
    assert rounds[0]["without"]["track_head"] > 0.99
    assert rounds[0]["without"]["depth"] < whole_pipeline.BOUNDS.iou
    assert whole_pipeline.BOUNDS.hold([Agreement(**row) for row in rounds[-1]["clips"]])
    assert trials["track_head"].worst < broken.worst
    assert told[0].startswith("end to end: 0 of 1")


def test_nothing_in_float16_agrees_wholly(whole: Whole) -> None:
    (row,) = whole.compare({})
    assert (row.iou, row.labels, row.difference) == (1, 1, 0)
    assert row.objects[0] == row.objects[1] > 0


def test_the_search_runs_on_the_cuda_provider_as_well(
    moving: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stand-ins for the GPU and for ONNX Runtime's provider."""
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path))
    memory = install(monkeypatch)
    stand_in_onnx_runtime(monkeypatch, memory)
    cuda = Execution("cuda", 1)
    fed = collect(EMBEDDED, [(moving.clip, [])], 1, cuda)
    assert set(fed) == set(NANO.graphs)
    assert memory.count("kernel"), "arrays stay there between the networks"
    entry, model = NANO.graphs["depth"], load(EMBEDDED / "depth.onnx")
    trial = Search(model, entry, fed["depth"], [], tmp_path, cuda).satisfied()
    assert trial.is_half
    (row,) = Whole(EMBEDDED, MANIFEST, [moving], tmp_path, cuda).compare({"depth": trial.half})
    assert 0.9 < row.iou <= 1
    assert row.objects[1] > 0


def test_a_graph_all_in_islands_is_float32(tmp_path: Path) -> None:
    model = load(EMBEDDED / "track_queries.onnx")
    search = Search(model, MANIFEST.graphs["track_queries"], [], [], tmp_path, ONE)
    assert search.trial({}).is_half
    assert not search.trial({"whole": {"all": frozenset(node.name for node in model.graph.node)}}).is_half


def test_each_bound_is_one() -> None:
    assert Bounds().hold([ROW])
    for worse in ({"j": 0.49}, {"j": 0.51}, {"iou": 0.97}, {"same": 980}):
        assert not Bounds().hold([dataclasses.replace(ROW, **worse)])
    doubted = dataclasses.replace(ROW, probability=2e-4)
    assert Bounds().hold([doubted])
    assert not Bounds(probability=1e-4).hold([ROW, doubted]), "of every clip"
    unknown = dataclasses.replace(ROW, j=None, j_reference=None, frames=30, iou=0.97)
    difference, iou, _ = means([ROW, unknown])
    assert difference == pytest.approx(-0.002), "of the clips with a truth alone"
    assert iou == pytest.approx(0.975), "over frames"


def test_truth_is_read_from_beside_the_frames(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_clip(tmp_path / name / "frames", tmp_path / name / "masks", truth_of(frames=3))
    (tmp_path / "c" / "masks").rename(tmp_path / "c" / "none")
    found = {sample.clip.name: sample for sample in folder_samples(tmp_path, 3, Settings(), frames=2)}
    assert sorted(found) == ["a", "b", "c"]
    truth = found["a"].truth
    assert truth is not None
    np.testing.assert_array_equal(truth, truth_of(frames=3)[:2] > 0)
    assert found["c"].truth is None
    assert [s.clip.name for s in folder_samples(tmp_path, 3, Settings(), besides=2)] == ["b"]
    write_clip(tmp_path / "other", tmp_path / "larger", truth_of(frames=3)[:, :20])
    (tmp_path / "larger").rename(tmp_path / "c" / "masks")
    with pytest.raises(InputError, match="do not fit"):
        folder_samples(tmp_path, 3, Settings())


def test_scenes_know_what_moves() -> None:
    (sample,) = made_samples(1, 2)
    assert sample.truth is not None
    assert sample.truth.shape == sample.clip.frames.shape[:3]
    assert sample.truth.any()
