"""What samotion-bench measures: inputs, turns, processes, known objects, PyTorch beside the engines."""

import json
from collections import Counter
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samotion.benchmarks import bench
from samotion.benchmarks.report.measurement import timings
from samotion.benchmarks.report.record import read
from samotion.benchmarks.speed import against_torch, clips, fresh, latency, suite
from samotion.benchmarks.speed.clips import NONE_LEFT_OUT, bounced, made_clip, moving_scene, write_clip
from samotion.benchmarks.speed.engine_inputs import BATCHED, batch, batch_size, record
from samotion.benchmarks.speed.many_objects import POINTS, known_objects, objects
from samotion.calibration.comparison.paired_timing import Effort, in_turns, seconds_of, visit
from samotion.calibration.recording.activations import Inputs, RecordingBundle
from samotion.engines.bundle import Bundle
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import EngineError, InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Clip

ONCE = Effort(rounds=1, seconds=0, fewest=1, warm_up=0)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Inputs]:
    with RecordingBundle.load() as bundle:
        settings = Settings().override(bundle.settings)
        folder = tmp_path_factory.mktemp("clips")
        path = made_clip(folder, lambda clip: len(segment(clip, bundle, settings).masks.values), 2, 12, 240, 428)
        return record(read_clip(path), bundle, settings)


def test_a_clip_is_made_in_which_so_much_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "SEEDS", 4)  # each seed is a scene to be drawn
    seen: list[Clip] = []

    def count(clip: Clip) -> int:
        seen.append(clip)
        return len(seen)

    path = made_clip(tmp_path, count, 3, 4, 64, 96)
    assert len(seen) == 3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert read_clip(path).frames.tobytes() == seen[2].frames.tobytes()
    with pytest.raises(InputError, match="in none of 4"):
        made_clip(tmp_path, lambda _: 1, 2, 2, 64, 96)


@pytest.mark.slow
def test_the_shipped_bundle_finds_three_objects_in_a_made_clip(tmp_path: Path) -> None:
    """What samotion-bench measures on: other networks may find too few, or all in one."""
    with Bundle.load() as bundle:
        settings = Settings().override(bundle.settings).override(NONE_LEFT_OUT)
        made_clip(tmp_path, lambda clip: len(segment(clip, bundle, settings).masks.values))


@given(st.integers(1, 40), st.integers(1, 200))
def test_a_bounced_clip_has_no_cuts(count: int, length: int) -> None:
    order = bounced(count, length)
    assert len(order) == length
    assert order.min() == 0
    assert order.max() == min(count, length) - 1
    assert set(np.abs(np.diff(order))) <= ({1} if count > 1 else {0})


def test_a_written_clip_is_read_again(tmp_path: Path) -> None:
    frames = moving_scene(1, 4, 64, 96).frames
    clip = read_clip(write_clip(frames, tmp_path / "made.mp4", 9))
    assert clip.frames.shape == (9, 64, 96, 3)
    for found, index in zip(clip.frames, bounced(4, 9), strict=True):
        nearest = np.abs(found.astype(int) - frames).mean(axis=(1, 2, 3)).argmin()
        assert nearest == index


def test_calls_take_turns_round_by_round() -> None:
    said: list[str] = []
    effort = Effort(rounds=3, seconds=0, fewest=2, warm_up=1)
    found = in_turns({"a": lambda: said.append("a"), "b": lambda: said.append("b")}, effort)
    assert said == (["a"] * 3 + ["b"] * 3) * 3
    assert {name: [len(part) for part in rounds] for name, rounds in found.items()} == {"a": [2] * 3, "b": [2] * 3}


@pytest.mark.parametrize(("effort", "calls"), [(Effort(seconds=1e9, most=7, warm_up=2), 9), (ONCE, 1)])
def test_a_visit_ends(effort: Effort, calls: int) -> None:
    counts: Counter[str] = Counter()
    samples = visit(partial(seconds_of, lambda: counts.update(["call"])), effort)
    assert counts["call"] == calls
    assert len(samples) == calls - effort.warm_up


def test_every_engine_s_inputs_are_recorded_and_fit_it(recorded: dict[str, Inputs]) -> None:
    with Bundle.load() as bundle:
        assert recorded.keys() == bundle.manifest.graphs.keys()
        for graph, inputs in recorded.items():
            size = batch_size(graph, inputs, bundle.engine(graph).inputs)
            made = batch(graph, inputs, bundle.engine(graph).inputs, size)
            assert all(np.array_equal(made[name], value) for name, value in inputs.items())
    assert (np.asarray(recorded["memory_attention"]["memory_time"], int) > 0).any()  # not clicked frames alone


def test_a_clip_without_movers_gives_no_inputs() -> None:
    still = np.full((3, 64, 96, 3), 90, np.uint8)
    clip = Clip("still", still, Fraction(24), (64, 96), np.arange(3), 3, np.arange(3) / 24.0)
    with RecordingBundle.load() as bundle, pytest.raises(InputError, match="no moving object"):
        record(clip, bundle, Settings().override(bundle.settings))


@given(st.integers(1, 9), st.integers(1, 30))
def test_batches_repeat_or_cut_the_batched_axis_alone(count: int, size: int) -> None:
    specs = (
        TensorSpec("points", "float32", ("K", "P", 2)),
        TensorSpec("features", "float32", ("F", 3)),
        TensorSpec("horizon", "float32", ()),
    )
    inputs: Inputs = {
        "points": np.arange(count * 8, dtype=np.float32).reshape(count, 4, 2),
        "features": np.ones((1, 3), np.float32),
        "horizon": np.asarray(7, np.float32),
    }
    made = batch("mask_decoder", dict(inputs), specs, size)
    assert made["points"].shape == (size, 4, 2)
    assert all(np.array_equal(made["points"][k], inputs["points"][k % count]) for k in range(size))
    assert made["features"].shape == (1, 3)
    assert made["horizon"].shape == ()
    assert batch_size("mask_decoder", made, specs) == size


def test_known_objects_lie_on_their_objects() -> None:
    scene = moving_scene(9, 6, 120, 214)
    groups, moving, static = known_objects(scene, 5)
    assert len(groups) == 5
    for group in groups:
        assert group.tracks.sum() == POINTS
        frame = group.prompt.frame
        x, y = moving.xy[group.tracks, frame].round().astype(int).T
        assert len(set(scene.instance[frame, y, x])) == 1
        assert moving.visible[group.tracks, frame].all()
    x, y = static.xy[:, 3].round().astype(int).T
    assert (scene.instance[3, y, x] == 0).all()
    with pytest.raises(InputError, match="fewer than"):
        known_objects(moving_scene(1, 2, 64, 96), 40)


def test_a_process_of_its_own_tells_its_memory() -> None:
    small, large = (fresh.run(["-c", f"x = b'x' * {size}; print('done')"]) for size in (1, 300_000_000))
    assert large.output == "done\n"
    assert 250_000_000 < large.peak_memory - small.peak_memory < 350_000_000
    with pytest.raises(EngineError, match="lost it"):
        fresh.run(["-c", "raise SystemExit('lost it')"])


def test_lengths_and_cold_starts_are_run_afresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []

    def run(arguments: list[str]) -> fresh.Ended:
        ran.append([str(argument) for argument in arguments])
        return fresh.Ended(2.0, 100 * len(ran), json.dumps({"import": 0.5}))

    monkeypatch.setattr(fresh, "run", run)
    frames = moving_scene(1, 4, 64, 96).frames
    found = {one.size: one for one in fresh.lengths(frames, (4, 12, 8), ["--threads", "1"], tmp_path)}
    assert [Path(arguments[2]).name for arguments in ran] == ["4.mp4", "8.mp4", "12.mp4", "8.mp4", "4.mp4"]
    assert all(arguments[-2:] == ["--threads", "1"] for arguments in ran)
    assert found[8].rounds == [[2.0], [2.0]]
    assert found[8].facts["peak_memory"] == [200, 400]
    assert len(read_clip(tmp_path / "12.mp4").frames) == 12
    (cold,) = fresh.cold_starts(tmp_path / "4.mp4", ["--threads", "1"], 3)
    assert (cold.name, cold.rounds) == ("import", [[0.5]] * 3)


def test_every_engine_is_timed_in_every_size(monkeypatch: pytest.MonkeyPatch, recorded: dict[str, Inputs]) -> None:
    monkeypatch.setattr(latency, "SIZES", dict.fromkeys(latency.SIZES, (1, 2)))
    with Bundle.load() as bundle:
        found = latency.engines(bundle, recorded, ONCE)
    assert [(one.name, one.size) for one in found] == [(graph, size) for graph in BATCHED for size in (1, 2)]
    assert found[-1].facts["shapes"]["memory"][0] == 2


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_clip(moving_scene(1, 4, 64, 96).frames, tmp_path / "tiny.mp4")


def test_a_cold_start_has_all_its_parts(tiny: Path) -> None:
    found = {one.name: one for one in fresh.cold_starts(tiny, ["--threads", "1"], 1)}
    seconds = {name: one.seconds for name, one in found.items()}
    parts = ("interpreter", "import", "load engines", "first masks")
    assert sum(seconds[name] for name in parts) == pytest.approx(seconds["start to first masks"])
    assert found["import"].facts["peak_memory"][0] > 50e6


def test_objects_share_what_does_not_depend_on_them() -> None:
    with Bundle.load() as bundle:
        settings = Settings().override(bundle.settings).override({"max_tracks": 60})
        found = objects(moving_scene(6, 6, 120, 214), (1, 2), bundle, settings, 1)
    by = {(one.variant, one.size): one.seconds for one in found}
    rest = [by["clip to masks", count] - by["masks and merging", count] for count in (1, 2)]
    assert rest[0] == pytest.approx(rest[1])
    assert rest[0] > 0


def test_the_command_measures_what_it_is_asked_for(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "now.json"
    assert bench.main(["stages", "--quick", "--runs", "2", "--clip", str(tiny), "-o", str(out)]) == 0
    result = read(out, suite.PROGRAM)
    by = {one.name: one for one in timings(result)}
    assert {one.group for one in by.values()} == {"stages"}
    assert by["clip to masks"].size == 4
    assert [len(part) for part in by["clip to masks"].rounds] == [1, 1]
    assert by["clip to files"].seconds > by["clip to masks"].seconds > by["tracks"].seconds
    assert (result["clip"], result["plan"]["runs"]) == ("tiny", 2)
    with Bundle.load() as bundle:
        assert result["bundle"]["digest"] == bundle.digest
        hashes = {name: dict(entry.sha256) for name, entry in bundle.manifest.graphs.items()}
    assert result["bundle"]["graphs"] == hashes
    assert "### Stage by stage" in capsys.readouterr().out


def test_pytorch_must_be_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else object())
    assert bench.main(["torch"]) == 2
    assert "pip install 'samotion[export]'" in capsys.readouterr().err


def test_pytorch_runs_the_same_networks(monkeypatch: pytest.MonkeyPatch, recorded: dict[str, Inputs]) -> None:
    import torch

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no compiler\nhere")

    monkeypatch.setattr(torch, "compile", fail)
    with Bundle.load() as bundle:
        found = against_torch.against_torch(bundle, recorded, 1, ONCE)
        assert [(one.name, one.variant) for one in found if one.name == "depth"] == [
            ("depth", "onnx"),
            ("depth", "eager"),
        ]
        assert {one.name for one in found} == bundle.manifest.graphs.keys()
        assert found[1].facts == {"not_compiled": "RuntimeError: no compiler"}
        # An engine with other weights than PyTorch's is no fair opponent.
        recorded = {**recorded, "depth": {"image": np.full_like(recorded["depth"]["image"], np.nan)}}
        with pytest.raises(EngineError, match="not the same networks"):
            against_torch.against_torch(bundle, recorded, 1, ONCE)
