"""Oracles: what the truth says in each stage's place, by hand, and the table on a tiny clip with shipped engines."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from samotion.benchmarks import oracles
from samotion.benchmarks.accuracy.oracle_stages import (
    AROUND,
    POINTS,
    average_precision,
    drawn_points,
    ids_under,
    oracle_masks,
    true_groups,
    true_labels,
)
from samotion.benchmarks.oracles import ROWS, Stages, evaluate
from samotion.calibration.comparison.iou import mask_ious
from samotion.engines.bundle import Bundle
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bytes, Prompt, TrackGroup, Tracks

FRAMES, HEIGHT, WIDTH = 4, 20, 30


def truth_of() -> Bytes:
    """Two objects, 1 on the left and 2 on the right, 2 only in the last three frames; a strip that is not scored."""
    truth = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    truth[:, 5:15, 2:12] = 1
    truth[1:, 5:15, 18:28] = 2
    truth[:, 19] = 255
    return truth


def tracks_at(places: list[list[tuple[float, float]]], visible: list[list[bool]] | None = None) -> Tracks:
    """Tracks through ``places``, one (x, y) a frame."""
    xy = np.array(places, np.float32).reshape(-1, FRAMES, 2)
    seen = np.ones(xy.shape[:2], np.bool_) if visible is None else np.array(visible, np.bool_)
    sure = seen.astype(np.float32)
    return Tracks(xy, seen, sure, sure, np.zeros(len(xy), np.int64))


LEFT, RIGHT, OFF, STRIP = (5.0, 10.0), (20.0, 10.0), (15.0, 2.0), (3.0, 19.0)


def test_ids_under_points() -> None:
    tracks = tracks_at([[LEFT, RIGHT, OFF, STRIP], [RIGHT] * 4], [[True] * 4, [True, True, False, True]])
    assert ids_under(tracks, truth_of()).tolist() == [[1, 2, 0, -1], [0, 2, -1, 2]]
    outside = tracks_at([[(-3, 10), (99, 10), (1.6, 4.6), (11.4, 14.4)]])
    assert ids_under(outside, truth_of()).tolist() == [[0, 0, 1, 1]]


def test_true_labels_take_more_than_half_of_the_visible_points() -> None:
    places = [
        [LEFT] * 4,
        [LEFT, LEFT, OFF, OFF],  # exactly half: it stands
        [LEFT, LEFT, LEFT, OFF],
        [OFF, OFF, OFF, LEFT],
        [LEFT, RIGHT, RIGHT, OFF],
        [LEFT, STRIP, STRIP, STRIP],  # what is not scored does not count
        [OFF] * 4,
    ]
    visible = [[True] * 4] * 7
    visible[3] = [False, False, False, True]  # seen once, on the object
    known = true_labels(tracks_at(places, visible), truth_of())
    assert known.dynamic.tolist() == [True, False, True, True, True, True, False]
    assert known.owner.tolist() == [1, 0, 1, 1, 2, 1, 0]
    nothing = true_labels(tracks_at(places), np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8))
    assert not nothing.dynamic.any()
    assert not nothing.owner.any()


def test_one_group_for_each_true_object() -> None:
    places = [[LEFT] * 4, [(6.0, 10.0)] * 4, [RIGHT] * 4, [LEFT] * 4]
    visible = [[False, True, True, True], [False, False, True, False], [True] * 4, [True] * 4]
    tracks = tracks_at(places, visible)
    owner = np.array([1, 1, 2, 3])
    tracks.confidence[3] = 0.5  # object 3 has no point that may be clicked
    first, second = true_groups(tracks, owner, Settings())
    assert first.tracks.tolist() == [True, True, False, False]
    assert first.prompt.frame == 2
    assert first.prompt.xy.tolist() in ([list(LEFT)], [[6.0, 10.0]])
    assert second.tracks.tolist() == [False, False, True, False]
    assert second.prompt.frame == 0
    assert true_groups(tracks.select(np.zeros(4, np.bool_)), owner[:0], Settings()) == []


def test_drawn_points_lie_where_they_should() -> None:
    truth = truth_of()
    points, owner, around = drawn_points(truth, 0)
    assert owner.tolist() == [1] * POINTS + [2] * POINTS
    assert points.visible[:POINTS].all()
    assert points.visible[POINTS:].all(axis=0).tolist() == [False, True, True, True]
    assert not points.visible[POINTS:, 0].any()
    ids = ids_under(points, truth)
    assert (ids == np.where(points.visible, owner[:, None], -1)).all()
    assert len(around.xy) == AROUND
    assert (ids_under(around, truth) == 0).all()
    again, _, _ = drawn_points(truth, 0)
    np.testing.assert_array_equal(again.xy, points.xy)
    other, _, _ = drawn_points(truth, 1)
    assert (other.xy != points.xy).any()
    empty, nobody, _ = drawn_points(np.zeros_like(truth), 0)
    assert len(empty.xy) == len(nobody) == 0


def test_true_masks_go_to_the_groups_that_lie_on_them() -> None:
    truth = truth_of()
    tracks = tracks_at([[LEFT] * 4, [RIGHT] * 4, [OFF] * 4, [OFF] * 4])
    prompt = Prompt(0, np.zeros((1, 2), np.float32), np.ones(1, np.bool_))
    groups = [TrackGroup(prompt, np.isin(np.arange(4), own)) for own in ([0], [0, 1], [2, 3], [0, 2])]
    found = np.zeros((4, FRAMES, HEIGHT, WIDTH), np.bool_)
    found[2:, :, :3] = True
    masks = oracle_masks(groups, tracks, truth, found)
    np.testing.assert_array_equal(masks[0], truth == 1)
    np.testing.assert_array_equal(masks[1], truth == 1)  # four points on 1, three on 2
    np.testing.assert_array_equal(masks[2], found[2])
    np.testing.assert_array_equal(masks[3], found[3])  # no more than half of its points are on an object
    assert not found[0].any()


def test_average_precision_by_hand() -> None:
    positive = np.array([True, False, True, False])
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), positive) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.array([0.9, 0.1, 0.8, 0.2]), positive) == 1
    assert average_precision(np.array([0.9]), np.array([False])) is None


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load(None, threads=1)


def write_tiny(data: Path, name: str = "tiny") -> None:
    """A disc that moves over noise that stands."""
    rng = np.random.default_rng(0)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (64, 96, 3), np.uint8), (0, 0), 1.5)
    for folder in ("frames", "masks"):
        (data / name / folder).mkdir(parents=True)
    for t in range(5):
        frame, mask = np.array(wall), np.zeros((64, 96), np.uint8)
        for canvas, colour in ((frame, (230, 40, 40)), (mask, 255)):
            cv2.circle(canvas, (30 + 6 * t, 32), 16, colour, -1)
        Image.fromarray(frame).save(data / name / "frames" / f"{t:05d}.png")
        Image.fromarray(mask).save(data / name / "masks" / f"{t:05d}.png")


def test_as_is_is_the_pipeline_itself(tmp_path: Path, bundle: Bundle) -> None:
    write_tiny(tmp_path)
    clip = read_clip(tmp_path / "tiny" / "frames")
    truth = np.stack(
        [np.asarray(Image.open(path)) // 255 for path in sorted((tmp_path / "tiny" / "masks").iterdir())]
    ).astype(np.uint8)
    # So low a threshold that objects are found, whatever the shipped weights think of a disc.
    settings = Settings().override(bundle.settings).override({"dynamic_above": 0.0, "max_tracks": 60})
    record = evaluate(Stages(clip, bundle, settings), truth)
    masks = segment(clip, bundle, settings).masks.values
    assert record["objects"]["as is"] == len(masks) > 0
    assert record["j"]["as is"] == mask_ious(truth > 0, np.asarray(masks.any(axis=0))).mean()
    assert list(record["j"]) == list(ROWS)
    assert record["tracks_chosen"] == record["tracks"] > record["tracks_moving"] > 0
    assert record["tracks_chosen_rightly"] == record["tracks_moving"]
    assert 0 < record["labels_ap"] <= 1
    assert record["objects"]["true groups"] == record["objects"]["true clicks"] == 1


def test_oracles_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tiny(tmp_path)
    report = tmp_path / "report.json"
    assert oracles.main(["--data", str(tmp_path), "--threads", "1", "-o", str(report)]) == 0
    record = json.loads(report.read_text())
    assert record["mean_j"] == record["clips"][0]["j"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["clip", "tiny", "mean"]
    (tmp_path / "tiny" / "masks" / "00004.png").unlink()
    assert oracles.main(["--data", str(tmp_path)]) == 2
    assert "tiny: 5 frames but 4 masks" in capsys.readouterr().err
    assert oracles.main(["--data", str(tmp_path), "-o", str(tmp_path / "none" / "report.json")]) == 2
    assert "folder does not exist" in capsys.readouterr().err
