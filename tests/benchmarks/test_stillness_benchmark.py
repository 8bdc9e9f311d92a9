"""Clips in which nothing moves: what they show, and the command that counts what is found in them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.datasets.labelled import FakeBundle, result_of

from samotion.benchmarks import command, stillness
from samotion.benchmarks.datasets import still_clips
from samotion.benchmarks.datasets.still_clips import CAMERAS, FRAMES, KINDS, RECORDINGS, SIZE, still_frames
from samotion.runtime.values import Bytes, Clip, ClipResult


def photograph() -> Bytes:
    coarse = np.random.default_rng(0).integers(0, 255, (30, 50, 3)).astype(np.uint8)
    return coarse.repeat(16, 0).repeat(16, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_shows_the_photograph_throughout(kind: str) -> None:
    frames = still_frames(photograph(), kind, 3)
    assert frames.shape == (FRAMES, *SIZE, 3)
    np.testing.assert_array_equal(frames, still_frames(photograph(), kind, 3))
    assert not np.array_equal(frames[0], frames[-1])
    if kind in CAMERAS:  # no edge of the photograph comes into view
        assert (frames.reshape(FRAMES, -1, 3).max(2) > 0).mean() > 0.99
    else:
        assert np.abs(frames.astype(int) - frames.mean(0)).mean() < 16


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos/below").mkdir(parents=True)
    Image.fromarray(photograph()).save(tmp_path / "photos/below/a.jpg")
    Image.fromarray(photograph()[..., 0]).save(tmp_path / "photos/grey.png")
    return tmp_path / "photos"


def test_the_command_counts_what_is_found(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def segment(clip: Clip, _bundle: object, _settings: object) -> ClipResult:
        masks = np.zeros((int(clip.name in RECORDINGS), *clip.frames.shape[:3]), np.bool_)
        masks[:, :, :24] = True
        return result_of(clip, masks)

    monkeypatch.setattr(still_clips, "FRAMES", 3)
    monkeypatch.setattr(command, "Bundle", FakeBundle)
    monkeypatch.setattr(stillness, "segment", segment)
    out = tmp_path / "out.json"
    assert stillness.main(["--photos", str(photos), "--count", "8", "-o", str(out)]) == 0
    record = json.loads(out.read_text())
    assert [row["kind"] for row in record["rows"]] == list(KINDS)
    assert {row["photograph"] for row in record["rows"]} == {"a.jpg", "grey.png"}
    assert (record["clips"], record["with_objects"]) == (8, len(RECORDINGS))
    assert record["area"] == pytest.approx(0.1 * len(RECORDINGS) / 8)
    assert "3 of 8 clips with an object" in capsys.readouterr().out


def test_a_folder_without_photographs_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stillness.main(["--photos", str(tmp_path)]) == 2
    assert "found no photograph" in capsys.readouterr().err
