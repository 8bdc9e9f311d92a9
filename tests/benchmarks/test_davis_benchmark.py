import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.support.datasets.labelled import (
    FRAMES,
    HEIGHT,
    WIDTH,
    perfect,
    put_in_place_of_engines,
    result_of,
    truth_of,
    write_clip,
)

from samotion.benchmarks import davis
from samotion.benchmarks.accuracy.evaluation import evaluate, evaluate_clip, means, predicted_ids
from samotion.benchmarks.datasets.davis_sets import SETS
from samotion.benchmarks.datasets.layouts import find_clips
from samotion.benchmarks.datasets.truth import Truth
from samotion.benchmarks.report.pictures import BAR, COLOURS, TILE, contact_sheet, write_sheets
from samotion.engines.errors import InputError, OutputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Clip, ClipResult


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_clip(tmp_path / name / "frames", tmp_path / name / "masks", truth_of(), (0, 255))
    return tmp_path


@pytest.fixture
def fake_pipeline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return put_in_place_of_engines(monkeypatch)


def run(*arguments: str | Path) -> int:
    return davis.main([str(argument) for argument in arguments])


def test_plain_layout_from_the_command_line(
    plain: Path, fake_pipeline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    report = plain / "report.json"
    assert run("--data", plain, "-o", report) == 0
    assert len(fake_pipeline) == 2
    record: dict[str, Any] = json.loads(report.read_text())
    assert record["mean"] == record["objects_mean"] == {"j": 1, "f": 1}
    assert [clip["name"] for clip in record["clips"]] == ["a", "b"]
    entry = record["clips"][0]
    assert entry["frames"] == FRAMES
    assert entry["seconds"] == {"tracks": 0.25, "masks": 0.5}
    assert entry["objects"][0]["prediction"] == 1
    assert entry["peak_memory_bytes"] > 0
    assert record["bundle"]["digest"] == "0123"
    assert record["environment"]["cpu"]
    assert record["environment"]["versions"]["numpy"] == np.__version__
    keys = {"program", "version", "protocol", "mean", "objects_mean", "seconds_per_frame", "peak_memory_bytes"}
    assert keys | {"clips", "failed", "bundle", "settings", "environment"} <= set(record)
    keys = {"name", "frames", "j", "f", "objects_found", "objects", "per_frame", "seconds", "seconds_total"}
    assert keys | {"seconds_per_frame", "peak_memory_bytes"} <= set(entry)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["clip", "frames", "J"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "b", "mean"]


def test_davis_layout_with_objects_and_a_list(tmp_path: Path, fake_pipeline: list[str]) -> None:
    for name in ("bear", "dog", "cat"):
        write_clip(tmp_path / "JPEGImages/480p" / name, tmp_path / "Annotations/480p" / name, truth_of(2))
    lists = tmp_path / "ImageSets" / "2016"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text(
        "/JPEGImages/480p/dog/00000.jpg /Annotations/480p/dog/00000.png\n"
        "/JPEGImages/480p/dog/00001.jpg /Annotations/480p/dog/00001.png\n"
    )
    (lists / "train.txt").write_text("cat\nbear\n")
    report = tmp_path / "report.json"
    assert run("--data", tmp_path, "--subset", "2016/val", "-o", report) == 0
    assert fake_pipeline == ["dog"]
    record = json.loads(report.read_text())
    assert [(entry["truth"], entry["prediction"]) for entry in record["clips"][0]["objects"]] == [(1, 1), (2, 2)]
    assert [clip.name for clip in find_clips(tmp_path, subset="2016/train")] == ["cat", "bear"]
    assert [clip.name for clip in find_clips(tmp_path)] == ["bear", "cat", "dog"]
    with pytest.raises(InputError, match="nowhere"):
        find_clips(tmp_path, subset="nowhere")


def test_a_clip_that_fails_is_named_and_the_others_go_on(
    plain: Path, fake_pipeline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (plain / "a" / "masks" / "00003.png").unlink()
    report = plain / "report.json"
    assert run("--data", plain, "-o", report) == 2
    assert fake_pipeline == ["b"]
    record = json.loads(report.read_text())
    assert record["failed"] == ["a"]
    assert record["mean"] == {"j": 1, "f": 1}
    assert "a: 4 frames but 3 masks" in record["clips"][0]["error"]
    assert "a: 4 frames but 3 masks" in capsys.readouterr().err


@pytest.mark.usefixtures("fake_pipeline")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--clips", "c"], "no clip c; it has a, b"),
        (["--subset", "val"], "val.txt"),
        (["-o", "missing/report.json"], "folder does not exist"),
        (["--seed", "-1"], "negative"),
        (["--count", "0"], "--count is 0"),
        (["--threads", "-1"], "--threads is -1"),
        (["--set", "davis16-moving"], "no clip blackswan, bmx-trees, "),
        (["--set", "davis16", "--clips", "judo"], "judo is not in davis16"),
    ],
)
def test_errors_are_one_line_and_status_two(
    plain: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", plain, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_folders_without_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips; expected"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        find_clips(tmp_path / "missing")


def test_broken_truth_is_named(plain: Path) -> None:
    masks = plain / "a" / "masks"
    clip = find_clips(plain, ["a"])[0]
    (masks / "00001.png").rename(masks / "other.png")
    with pytest.raises(InputError, match="no mask for frame 00001"):
        clip.truth()
    (masks / "other.png").unlink()
    (masks / "00001.png").write_text("not an image")
    with pytest.raises(InputError, match=r"00001\.png: cannot be read"):
        clip.truth()
    Image.new("L", (5, 6)).save(masks / "00001.png")
    with pytest.raises(InputError, match="5×6 pixels, but the first mask has 32×24"):
        clip.truth()
    for path in masks.iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no images"):
        clip.truth()
    masks.rmdir()
    with pytest.raises(InputError, match="a: no masks"):
        find_clips(plain, ["a"])[0].truth()


def test_masks_of_every_kind(plain: Path) -> None:
    masks = plain / "a" / "masks"
    expected = truth_of()[0] * 255
    clip = find_clips(plain, ["a"])[0]
    Image.fromarray(expected).convert("1").save(masks / "00000.png")
    np.testing.assert_array_equal(clip.truth(), truth_of())
    Image.fromarray(np.stack([expected] * 3, axis=-1)).save(masks / "00000.png")
    np.testing.assert_array_equal(clip.truth(), truth_of())

    coloured = Image.fromarray(truth_of(2)[0])
    coloured.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    coloured.save(masks / "00000.png")
    assert clip.truth()[0].max() == 2


def test_smaller_and_strided_predictions_are_held_against_every_frame(plain: Path) -> None:
    clip = find_clips(plain, ["a"])[0]
    settings = Settings(max_frames=2)
    result = perfect(read_clip(clip.frames, settings))
    small = np.stack([cv2.resize(mask.astype(np.uint8), (16, 12)) for mask in result.masks.values[0]])
    frames = np.zeros((2, 12, 16, 3), np.uint8)
    read = result.clip
    halved = Clip(read.name, frames, Fraction(24), (24, 32), read.source_index, read.source_count, read.times)
    found = predicted_ids(result_of(halved, small[None] > 0), clip.truth())
    assert found.shape == (FRAMES, HEIGHT, WIDTH)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[[0, 2]], truth_of()[[0, 2]])


def test_a_bug_in_one_clip_is_reported_too(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: object) -> ClipResult:
        raise ZeroDivisionError("by zero")

    reports = evaluate(find_clips(plain), broken, lambda _: None)
    assert [report.error for report in reports] == ["ZeroDivisionError: by zero"] * 2
    assert means(reports)["mean"] == {"j": None, "f": None}
    assert "Traceback" in capsys.readouterr().err


def test_nothing_found_scores_zero(plain: Path) -> None:
    def blind(clip: Any) -> ClipResult:
        read = read_clip(clip.frames)
        return result_of(read, np.zeros((0, FRAMES, HEIGHT, WIDTH), np.bool_))

    report = evaluate_clip(find_clips(plain, ["a"])[0], blind)
    assert report.objects == 0
    assert report.record()["j"]["mean"] == 0
    assert report.record()["objects"][0]["prediction"] is None


def test_the_papers_sets() -> None:
    assert {name: len(one.clips) for name, one in SETS.items()} == {
        "davis16": 20,
        "davis16-moving": 16,
        "davis17": 30,
        "davis17-moving": 22,
    }
    assert set(SETS["davis16-moving"].clips) <= set(SETS["davis16"].clips) & set(SETS["davis17-moving"].clips)
    assert all(set(one.clips) <= set(SETS["davis17"].clips) for one in SETS.values())
    assert [one.masks.parts[0] for one in SETS.values()] == ["Annotations"] * 2 + ["Annotations_unsupervised"] * 2


def test_a_set_takes_its_own_masks_and_states_the_paper(
    tmp_path: Path, fake_pipeline: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*SETS["davis17-moving"].clips, "camel"):
        write_clip(tmp_path / "JPEGImages/480p" / name, tmp_path / "Annotations/480p" / name, truth_of(1, 3))
    assert run("--data", tmp_path, "--set", "davis17-moving") == 2
    assert "no folder Annotations_unsupervised" in capsys.readouterr().err
    for name in SETS["davis17-moving"].clips:
        scratch = tmp_path / "scratch" / name
        write_clip(scratch, tmp_path / "Annotations_unsupervised/480p" / name, truth_of(2, 3))
    report = tmp_path / "report.json"
    assert run("--data", tmp_path, "--set", "davis17-moving", "-o", report) == 0
    assert fake_pipeline == SETS["davis17-moving"].clips
    record = json.loads(report.read_text())
    assert record["mean"]["j"] == pytest.approx(0.5)  # the frames show one square, these masks have two
    assert record["published"] == {"j": 0.9, "f": 0.89, "objects_j": 0.774, "objects_f": 0.836}
    assert capsys.readouterr().out.splitlines()[-1].split() == ["the", "paper", "0.900", "0.890", "0.774", "0.836"]
    assert run("--data", tmp_path, "--set", "davis17-moving", "--clips", "dog", "-o", report) == 0
    assert json.loads(report.read_text())["published"] == {}


def test_without_first_and_last_frame() -> None:
    truth = Truth(truth_of())
    scores = np.array([0.0, 0.5, 1.0, 0.0])
    assert davis.without_ends(truth, truth.labels, scores, scores / 2) == {"without_ends": {"j": 0.75, "f": 0.375}}
    assert davis.without_ends(truth, truth.labels, scores[:2], scores[:2]) == {}


@pytest.mark.usefixtures("fake_pipeline")
def test_pictures_of_the_best_and_worst(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = plain / "b" / "masks"
    for path in masks.iterdir():
        Image.fromarray(np.roll(np.asarray(Image.open(path)), 4, axis=1)).save(path)
    sheets = plain / "new" / "sheets"
    assert run("--data", plain, "--pictures", sheets, "--count", "1") == 0
    assert sorted(path.name for path in sheets.iterdir()) == ["best-1-a.png", "worst-1-b.png"]
    assert str(sheets / "best-1-a.png") in capsys.readouterr().out
    with Image.open(sheets / "worst-1-b.png") as picture:
        assert picture.size == (3 * TILE, BAR + 2 * TILE * HEIGHT // WIDTH)


def test_a_sheet_shows_truth_in_white_and_objects_in_colours(plain: Path) -> None:
    clip = find_clips(plain, ["a"])[0]
    result = perfect(read_clip(clip.frames))
    labels = clip.truth()
    off = np.roll(labels, 4, axis=2)
    one = contact_sheet(result.clip, Truth(labels[[2]], np.array([2])), off[[2]], np.array([0.5]))
    scale = TILE / WIDTH
    y = BAR + int(5 * scale)  # halfway down the squares of frame 2, which reach from x = 8 to 14, and 12 to 18
    assert np.abs(one[y, int(8 * scale)].astype(int) - 255).max() < 40
    assert np.abs(one[y, int(18 * scale) - 1].astype(int) - COLOURS[0]).max() < 60
    assert one.shape == (BAR + round(scale * HEIGHT), 3 * TILE, 3)
    assert not one[BAR:, TILE:].any()  # one annotated frame, one tile


def test_pictures_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_sheets(tmp_path / "file", [("a", 0.5, np.zeros((4, 4, 3), np.uint8))], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("clips", "best", "worst"), [(1, "a", ""), (3, "ab", "c"), (5, "ab", "ed")])
def test_no_clip_is_best_and_worst(tmp_path: Path, clips: int, best: str, worst: str) -> None:
    sheets = [(name, 1 - index / 10, np.zeros((4, 4, 3), np.uint8)) for index, name in enumerate("abcde"[:clips])]
    written = [path.name for path in write_sheets(tmp_path, sheets, 2)]
    expected = [f"best-{i}-{name}.png" for i, name in enumerate(best, 1)]
    assert written == expected + [f"worst-{i}-{name}.png" for i, name in enumerate(worst, 1)]
