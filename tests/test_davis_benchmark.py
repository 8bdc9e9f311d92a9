import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import cv2
import numpy as np
import pytest
from PIL import Image

from samotion.benchmarks import davis
from samotion.benchmarks.datasets import find_clips
from samotion.benchmarks.evaluation import evaluate, evaluate_clip, means, predicted_ids
from samotion.engines.errors import InputError
from samotion.runtime.clip import read_clip
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip, MotionLabels, ObjectMasks, Result, Tracks

HEIGHT, WIDTH, FRAMES = 24, 32, 4


def truth_of(objects: int = 1) -> np.ndarray:
    """Squares that move right, one below the other; (T, H, W) ids."""
    truth = np.zeros((FRAMES, HEIGHT, WIDTH), np.uint8)
    for frame in range(FRAMES):
        for k in range(objects):
            truth[frame, 2 + 10 * k : 8 + 10 * k, 2 + 3 * frame : 8 + 3 * frame] = k + 1
    return truth


def write_clip(frames: Path, masks: Path, truth: np.ndarray, values: tuple[int, ...] = (0, 1, 2)) -> None:
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, labels in enumerate(truth):
        grey = (labels * 100 + 20).astype(np.uint8)
        Image.fromarray(np.stack([grey] * 3, axis=-1)).save(frames / f"{index:05d}.png")
        Image.fromarray(np.array(values, np.uint8)[labels]).save(masks / f"{index:05d}.png")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_clip(tmp_path / name / "frames", tmp_path / name / "masks", truth_of(), (0, 255))
    return tmp_path


def result_of(clip: Clip, masks: np.ndarray) -> Result:
    none = np.zeros((0, len(clip.frames)), np.float32)
    tracks = Tracks(np.zeros((*none.shape, 2), np.float32), none > 0, none, none, np.zeros(0, np.int64))
    labels = MotionLabels(np.zeros(0, np.float32), np.zeros(0, np.bool_))
    return Result(clip, tracks, labels, ObjectMasks(masks), {"tracks": 0.25, "masks": 0.5})


def perfect(clip: Clip) -> Result:
    """Finds every square, by its brightness."""
    grey = clip.frames[..., 0]
    masks = [grey == value for value in (120, 220) if (grey == value).any()]
    return result_of(clip, np.stack(masks) if masks else np.zeros((0, *grey.shape), np.bool_))


@pytest.fixture
def fake_pipeline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts a stand-in for the engines under the command line; returns the names of the clips it saw."""
    seen: list[str] = []

    class FakeBundle(SimpleNamespace):
        @classmethod
        def load(cls, path: Path | None, provider: str) -> Self:
            return cls(name="fake", digest="0123", settings={}, path=path, provider=provider)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def segment(clip: Clip, _bundle: object, _settings: Settings) -> Result:
        seen.append(clip.name)
        return perfect(clip)

    monkeypatch.setattr(davis, "Bundle", FakeBundle)
    monkeypatch.setattr(davis, "segment", segment)
    return seen


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
    def broken(_: object) -> Result:
        raise ZeroDivisionError("by zero")

    reports = evaluate(find_clips(plain), broken, lambda _: None)
    assert [report.error for report in reports] == ["ZeroDivisionError: by zero"] * 2
    assert means(reports)["mean"] == {"j": None, "f": None}
    assert "Traceback" in capsys.readouterr().err


def test_nothing_found_scores_zero(plain: Path) -> None:
    def blind(clip: Any) -> Result:
        read = read_clip(clip.frames)
        return result_of(read, np.zeros((0, FRAMES, HEIGHT, WIDTH), np.bool_))

    report = evaluate_clip(find_clips(plain, ["a"])[0], blind)
    assert report.objects == 0
    assert report.record()["j"]["mean"] == 0
    assert report.record()["objects"][0]["prediction"] is None
