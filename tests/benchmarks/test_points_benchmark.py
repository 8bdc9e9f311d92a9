"""The tracker's check: measures by hand and by property, joints in BADJA's form, Lucas-Kanade, the command."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.datasets.labelled import FakeBundle

from samotion.benchmarks import command, points
from samotion.benchmarks.accuracy.lucas_kanade import follow_lucas_kanade
from samotion.benchmarks.accuracy.point_metrics import pck, tap_scores
from samotion.benchmarks.datasets.joints import MARKED, read_joints
from samotion.benchmarks.datasets.scene_clips import UNSEEN, first_queries, moving_truth
from samotion.calibration.recording.activations import clip_of
from samotion.calibration.scenes.scene import SceneSpec, scene
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bool, Bytes, Clip, Float

SMALL = SceneSpec(frames=6, height=64, width=96)
SIZE = (256, 256)


def test_pck_by_hand() -> None:
    truth = np.array([[10.0, 10.0]] * 4)
    found = truth + np.array([[0, 0], [0.99, 0], [0, 1.01], [3, 4]])
    assert pck(found, truth, np.full(4, 25.0)).tolist() == [True, True, False, False]
    assert pck(found, truth, np.full(4, 25.0), 1.01).tolist() == [True, True, True, True]
    assert not pck(truth, truth, np.zeros(4)).any()  # nearer than nothing is nobody


def one_track(truth: list[float], found: list[float]) -> tuple[Float, Float]:
    """Tracks along x at y = 0, (1, T, 2)."""
    return tuple(np.array([[(x, 0) for x in xs]], np.float32) for xs in (truth, found))  # type: ignore[return-value]


def test_tap_scores_by_hand() -> None:
    truth, found = one_track([0, 0, 0, 0, 0], [9, 0.5, 3, 20, 0])
    visible = np.array([[True, True, True, True, False]])
    claimed = np.array([[False, True, False, True, True]])
    scores = tap_scores(np.zeros(1, np.int64), truth, visible, found, claimed, SIZE)
    # After the query: off by 0.5 (seen, told), 3 (seen, not told), 20 (seen, told), hidden but told.
    assert scores.occlusion == pytest.approx(2 / 4)
    assert scores.delta == pytest.approx(np.mean([1, 1, 2, 2, 2]) / 3)
    assert scores.jaccard == pytest.approx(1 / (3 + 2))  # true 1, claimed wrongly 2, at every distance


def test_frames_up_to_the_query_do_not_count() -> None:
    truth, found = one_track([0, 0, 0, 0], [99, 99, 99, 0])
    seen = np.ones((1, 4), np.bool_)
    scores = tap_scores(np.array([2]), truth, seen, found, seen, SIZE)
    assert (scores.delta, scores.occlusion, scores.jaccard) == (1, 1, 1)
    none = tap_scores(np.array([3]), truth, seen, found, seen, SIZE)
    assert np.isnan([none.delta, none.occlusion, none.jaccard]).all()


def test_positions_are_scaled_to_256() -> None:
    truth, found = one_track([0, 0], [0, 6])
    seen = np.ones((1, 2), np.bool_)
    wide = tap_scores(np.zeros(1, np.int64), truth, seen, found, seen, (128, 512))  # 6 px are 3 of 256
    assert wide.delta == pytest.approx(3 / 5)


def random_tracks(seed: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 255, (5, 7, 2)).astype(np.float32)
    found = (truth + rng.normal(0, 6, truth.shape)).astype(np.float32)
    visible, claimed = rng.random((2, 5, 7)) < 0.7
    return rng.integers(0, 6, 5), truth, visible, found, claimed


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_tap_scores_have_their_properties(seed: int) -> None:
    start, truth, visible, found, claimed = random_tracks(seed)
    counted = np.arange(7) > start[:, None]
    if not (visible & counted).any():
        return
    perfect = tap_scores(start, truth, visible, truth, visible, SIZE)
    assert (perfect.delta, perfect.occlusion, perfect.jaccard) == (1, 1, 1)
    scores = tap_scores(start, truth, visible, found, claimed, SIZE)
    assert 0 <= scores.jaccard <= scores.delta <= 1  # what counts in jaccard counts in delta, over no more points
    order = np.random.default_rng(seed).permutation(5)
    shuffled = tap_scores(start[order], truth[order], visible[order], found[order], claimed[order], SIZE)
    assert shuffled == pytest.approx(scores) or shuffled == scores
    worse = tap_scores(start, truth, visible, found + np.float32(300), claimed, SIZE)
    assert worse.delta == worse.jaccard == 0
    assert worse.occlusion == scores.occlusion


def sliding(step: tuple[int, int], frames: int = 5, height: int = 80, width: int = 120) -> Bytes:
    """A random texture that slides by ``step`` (x, y) pixels a frame."""
    rng = np.random.default_rng(0)
    large = cv2.GaussianBlur(rng.integers(0, 255, (height + 100, width + 100, 3), np.uint8), (0, 0), 2)
    large = cv2.normalize(large, np.empty(0), 0, 255, cv2.NORM_MINMAX)
    cuts = [(50 - t * step[0], 50 - t * step[1]) for t in range(frames)]
    return np.stack([np.asarray(large[y : y + height, x : x + width], np.uint8) for x, y in cuts])


def test_lucas_kanade_follows_a_sliding_texture() -> None:
    queries = np.array([[0, 40, 60], [2, 30, 50.5]], np.float32)
    xy, alive = follow_lucas_kanade(sliding((3, -2)), queries)
    assert alive.tolist() == [[True] * 5, [False, False, True, True, True]]
    for track, (t, y, x) in zip(xy, queries, strict=True):
        for frame in range(int(t), 5):
            np.testing.assert_allclose(track[frame], (x + 3 * (frame - t), y - 2 * (frame - t)), atol=0.2)
    np.testing.assert_array_equal(xy[1, :2], [(50.5, 30)] * 2)


def test_lucas_kanade_says_when_a_point_left() -> None:
    _, alive = follow_lucas_kanade(sliding((8, 0)), np.array([[0, 40, 105]], np.float32))
    assert alive[0, 0]
    assert not alive[0, 4]


def test_queries_of_scenes_are_first_sights() -> None:
    made = scene(UNSEEN, SMALL)
    queries = first_queries(made, 64, 0)
    assert 32 < len(queries) <= 64
    _, visible, owner = made.tracks(queries)
    start = queries[:, 0].astype(int)
    before = np.arange(SMALL.frames) < start[:, None]
    # A position in float32 on an outline may fall to the layer beside it.
    assert (visible & before).any(axis=1).mean() < 0.05
    assert start.max() < SMALL.frames - 1
    assert (owner > 0).mean() > 0.3
    np.testing.assert_array_equal(queries, first_queries(made, 64, 0))


def test_only_movers_are_true() -> None:
    made = scene(3, replace(SMALL, objects=(3, 3), moving=1e-9, nothing_moves=0))
    assert made.moving.tolist() == [True, False, False]
    np.testing.assert_array_equal(moving_truth(made) > 0, made.instance == 1)


# --- joints --------------------------------------------------------------------------------------------------------

HEIGHT, WIDTH, FRAMES, KEYS = 90, 160, 7, (0, 3, 6)
STEP = (3, -2)
SCALE = MARKED[1] / WIDTH


def write_joints(data: Path, clip: str = "bear", group: str = "train") -> None:
    """A texture that slides, joints that slide with it: three, the last one hidden at first."""
    folder = data / group / clip
    (folder / "frames").mkdir(parents=True)
    (folder / "masks").mkdir()
    (data / "joints").mkdir(exist_ok=True)
    for index, frame in enumerate(sliding(STEP, FRAMES, HEIGHT, WIDTH)):
        cv2.imwrite(str(folder / "frames" / f"{index:05d}.png"), frame)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[20:60, 20:120] = 255
        cv2.imwrite(str(folder / "masks" / f"{index:05d}.png"), mask)
    entries = []
    for key in KEYS:
        places = [(x + STEP[0] * key, y + STEP[1] * key) for x, y in ((40, 40), (90, 50), (60, 60))]
        shown = [True, True, key > 0]
        joints = [
            (round(y * SCALE), round(x * SCALE)) if s else (0, 0) for (x, y), s in zip(places, shown, strict=True)
        ]
        entries.append(
            {
                "image_path": f"DAVIS/JPEGImages/Full-Resolution/{clip}/{key:05d}.jpg",
                "segmentation_path": f"DAVIS/Annotations/Full-Resolution/{clip}/{key:05d}.png",
                "visibility": shown,
                "joints": joints,
            }
        )
    (data / "joints" / f"{clip}.json").write_text(json.dumps(entries))


def test_joints_are_read_in_pixels_of_the_frames(tmp_path: Path) -> None:
    write_joints(tmp_path)
    (joints,) = read_joints(tmp_path)
    assert joints.keyframes.tolist() == list(KEYS)
    np.testing.assert_allclose(joints.xy[1, :2], [(49, 34), (99, 44)], atol=0.1)
    assert joints.visible.tolist() == [[True, True, False], [True, True, True], [True, True, True]]
    assert joints.area.tolist() == [4000, 4000, 4000]


def test_hits_by_hand(tmp_path: Path) -> None:
    write_joints(tmp_path)
    (joints,) = read_joints(tmp_path)
    clip = read_clip(joints.frames)
    asked: list[Float] = []

    def standing(seen: Clip, queries: Float) -> tuple[Float, Bool]:
        """Never moves, so every keyframe further it is 3·3 and 3·2 pixels off."""
        asked.append(queries)
        xy = np.repeat(queries[:, None, :0:-1], len(seen.frames), axis=1)
        return xy, np.ones(xy.shape[:2], np.bool_)

    hits = points.joint_hits(joints, clip, standing)  # the bound is 0.2 · √4000 = 12.6: one step is in, two are not
    assert asked[0][:, 0].tolist() == [0, 0, 3, 3, 3]
    assert hits["next"].tolist() == [True] * 5
    assert hits["first"].tolist() == [True, True, False, False, True]
    hits = points.joint_hits(joints, clip, points.classical_tracker)
    assert hits["next"].all()
    assert hits["first"].all()


def test_broken_joints_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no joints/<clip>\.json"):
        read_joints(tmp_path)
    write_joints(tmp_path)
    file = tmp_path / "joints" / "bear.json"
    good = file.read_text()
    for old, new, message in (
        ("00003.jpg", "00030.jpg", "keyframe 00030 is not among the frames"),
        ("00003.jpg", "00000.jpg", "not in the order"),
        ("[true, true, false]", "[true, true]", "differ in their number of joints"),
        ("image_path", "image", "no list of keyframes"),
        ("[", "{", "no list of keyframes"),
    ):
        assert old in good
        file.write_text(good.replace(old, new, 1))
        with pytest.raises(InputError, match=message):
            read_joints(tmp_path)
    file.write_text(good)
    (tmp_path / "train" / "bear" / "masks" / "00001.png").unlink()
    with pytest.raises(InputError, match="7 frames but 6 masks"):
        read_joints(tmp_path)
    file.rename(tmp_path / "joints" / "dog.json")
    with pytest.raises(InputError, match=r"joints/dog\.json has no clip"):
        read_joints(tmp_path)


@pytest.fixture
def classical_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lucas-Kanade in the bundle's place: the command without engines."""
    monkeypatch.setattr(command, "Bundle", FakeBundle)
    monkeypatch.setattr(points, "bundle_tracker", lambda _bundle, _settings: points.classical_tracker)


@pytest.mark.usefixtures("classical_everywhere")
def test_points_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(points, "SPEC", SMALL)
    write_joints(tmp_path)
    report = tmp_path / "report.json"
    assert points.main(["--data", str(tmp_path), "--scenes", "2", "--points", "20", "-o", str(report)]) == 0
    record = json.loads(report.read_text())
    assert record["joints"]["pooled"]["lucas_kanade"] == {"next": 1, "first": 1}
    assert record["joints"]["clips"][0]["joints"] == {"next": 5, "first": 5}
    assert record["scenes"]["mean"]["tracker"] == record["scenes"]["mean"]["lucas_kanade"]
    assert [row["seed"] for row in record["scenes"]["scenes"]] == [UNSEEN, UNSEEN + 1]
    assert 0 < record["scenes"]["mean"]["tracker"]["delta"] <= 1
    printed = capsys.readouterr().out
    assert "all joints" in printed
    assert "always visible" in printed


@pytest.mark.usefixtures("classical_everywhere")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenes", "0"], "nothing to do"),
        (["--scenes", "-1"], "--scenes is -1"),
        (["--data", "missing"], "not a folder"),
        (["-o", "missing/report.json"], "folder does not exist"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert points.main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_the_shipped_tracker_answers() -> None:
    made = scene(UNSEEN, SMALL)
    queries = first_queries(made, 8, 0)
    with Bundle.load(None, threads=1) as bundle:
        xy, claimed = points.bundle_tracker(bundle, Settings().override(bundle.settings))(
            clip_of("scene", made.frames), queries
        )
    assert xy.shape == (len(queries), SMALL.frames, 2)
    assert claimed.shape == xy.shape[:2]
    rows = np.arange(len(queries))
    np.testing.assert_array_equal(xy[rows, queries[:, 0].astype(int)], queries[:, :0:-1])
