"""Results on scenes by factor: what every factor stands for, the measures, the command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.support.datasets.labelled import FakeBundle, result_of

from samotion.benchmarks import command, factors
from samotion.benchmarks.datasets.scene_clips import UNSEEN, moving_truth
from samotion.benchmarks.factors import FACTORS, PLAIN, run_factor, score_scene, spec_of, summary
from samotion.calibration.recording.activations import clip_of
from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.runtime.values import Bool, Clip, ClipResult

TINY: dict[str, Any] = {"frames": 6, "height": 64, "width": 64}


def tiny(name: str) -> SceneSpec:
    return replace(spec_of(name, 6), **TINY)


def found(made: Scene, masks: list[Bool]) -> ClipResult:
    empty = np.zeros((0, *made.instance.shape), np.bool_)
    return result_of(clip_of("scene", made.frames), np.stack(masks) if masks else empty)


@pytest.mark.parametrize("name", FACTORS)
def test_every_factor_shows_in_its_scenes(name: str) -> None:
    expected = {
        "camouflage": "camouflage",
        "motion blur": "blur",
        "transparency": "transparent",
        "reflections": "reflection",
        "shadows": "shadow",
        "changing light": "light",
        "noise and compression": "jpeg",
        "occlusion by a post": "occluder",
        "look-alike stands still": "look-alike",
        "stops": "halting",
        "enters late": "entering",
        "two cross": "crossing",
    }
    quiet = name.startswith("nothing")
    for seed in range(3):
        made = scene(seed, tiny(name))
        assert made.moving.any() != quiet
        marks = made.factors & {*expected.values(), "vignette"}
        assert marks - {"noise"} == ({expected[name]} if name in expected else set())
    if name == "look-alike stands still":
        assert made.moving.tolist() == [True, False]
    if name == "nothing there but scenery":
        assert not made.instance.any()


def test_factors_start_from_the_plain_scene() -> None:
    assert spec_of("plain", PLAIN.frames) == PLAIN
    known = set(PLAIN.__dataclass_fields__)
    assert all(set(changes) <= known for changes in FACTORS.values())
    plain, lit = scene(5, tiny("plain")), scene(5, tiny("changing light"))
    np.testing.assert_array_equal(plain.instance, lit.instance)


def test_a_perfect_and_a_blind_answer() -> None:
    made = scene(2, tiny("look-alike stands still"))
    truth = moving_truth(made)
    assert truth.any()
    record, _, j = score_scene(made, found(made, [truth > 0]))
    assert record["j"] == 1
    assert record["thirds"] == [1, 1, 1]
    assert record["objects_j"] == [1]
    assert record["still"] == 0
    assert (record["found"], record["movers"]) == (1, 1)
    assert (j == 1).all()
    blind, _, _ = score_scene(made, found(made, []))
    assert blind["j"] == pytest.approx(float((~truth.any(axis=(1, 2))).mean()))
    assert blind["claimed"] == 0


def test_claims_on_what_stands_still_are_counted() -> None:
    made = scene(2, tiny("look-alike stands still"))
    everything = np.ones(made.instance.shape, np.bool_)
    record, _, _ = score_scene(made, found(made, [everything]))
    assert record["still"] == record["claimed"] == 1


def test_nothing_moves_must_be_answered() -> None:
    made = scene(1, tiny("nothing moves"))
    silent, _, _ = score_scene(made, found(made, []))
    alarmed, _, _ = score_scene(made, found(made, [made.instance > 0]))
    assert silent["j"] == 1
    assert alarmed["j"] < 1
    both = summary([silent, alarmed])
    assert both["alarms"] == 0.5
    assert both["objects_j"] is None
    assert both["movers"] == 0


def test_the_summary_by_hand() -> None:
    rows = [
        {"j": 0.2, "thirds": [0, 0.2, 0.4], "objects_j": [0.1, 0.3], "still": None, "found": 1, "movers": 2},
        {"j": 0.6, "thirds": [0.4, 0.6, 0.8], "objects_j": [0.8], "still": 0.5, "found": 2, "movers": 1},
    ]
    assert summary(rows) == {
        "j": pytest.approx(0.4),
        "j_error": pytest.approx(0.2),
        "thirds": pytest.approx([0.2, 0.4, 0.6]),
        "objects_j": pytest.approx(0.4),
        "still": 0.5,
        "alarms": None,
        "found": 1.5,
        "movers": 1.5,
    }
    assert summary(rows[:1])["j_error"] is None


def test_the_worst_scene_is_shown() -> None:
    asked: list[str] = []

    def blind(clip: Clip) -> ClipResult:
        asked.append(clip.name)
        return result_of(clip, np.zeros((0, *clip.frames.shape[:3]), np.bool_))

    record, picture = run_factor("plain", tiny("plain"), [3, 4], blind)
    assert asked == ["plain, seed 3", "plain, seed 4"]
    assert [row["seed"] for row in record["scenes"]] == [3, 4]
    assert record["j"] == pytest.approx(np.mean([row["j"] for row in record["scenes"]]))
    assert picture.any()


def blind_pipeline(clip: Clip, _bundle: object, _settings: object) -> ClipResult:
    return result_of(clip, np.zeros((0, *clip.frames.shape[:3]), np.bool_))


def test_factors_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "Bundle", FakeBundle)
    monkeypatch.setattr(factors, "segment", blind_pipeline)
    monkeypatch.setattr(factors, "PLAIN", replace(PLAIN, **TINY))
    report, sheets = tmp_path / "report.json", tmp_path / "sheets"
    chosen = "nothing moves,two cross"
    arguments = ["--factors", chosen, "--seeds", "2", "--frames", "6", "-o", str(report), "--pictures", str(sheets)]
    assert factors.main(arguments) == 0
    record = json.loads(report.read_text())
    assert [row["factor"] for row in record["factors"]] == chosen.split(",")
    assert record["factors"][0]["alarms"] == 0
    assert record["factors"][0]["j"] == 1
    assert record["factors"][1]["scenes"][0]["seed"] == UNSEEN
    assert record["plain"]["frames"] == 6
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert sorted(path.name for path in sheets.iterdir()) == ["nothing-moves.png", "two-cross.png"]
    with Image.open(sheets / "two-cross.png") as picture:
        assert picture.mode == "RGB"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--factors", "rain"], "no 'rain'; there are plain, camouflage"),
        (["--seeds", "0"], "--seeds is 0"),
        (["-o", "missing/report.json"], "folder does not exist"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert factors.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
