"""SegTrackv2: its layout, the command, and what is broken."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.datasets.labelled import HEIGHT, WIDTH, picture_of, put_in_place_of_engines, truth_of

from samotion.benchmarks import segtrack
from samotion.engines.errors import InputError


def write_segtrack(data: Path) -> None:
    one, two = truth_of(1), truth_of(2)
    for clip, truth in (("frog", one), ("bmx", two)):
        frames = data / "JPEGImages" / clip
        frames.mkdir(parents=True)
        masks = data / "GroundTruth" / clip
        for index, labels in enumerate(truth):
            picture_of(labels).save(frames / f"{clip}_{index:05d}.{'bmp' if clip == 'bmx' else 'png'}")
            for identity in np.unique(labels)[1:]:
                folder = masks / str(identity) if clip == "bmx" else masks
                folder.mkdir(parents=True, exist_ok=True)
                soft = np.where(labels == identity, 255, 60).astype(np.uint8)  # edges of 1 to 254 occur
                pixels = np.stack([np.where(labels == 0, 0, soft)] * 3, axis=-1)
                Image.fromarray(pixels).save(folder / f"{clip}_{index:05d}.png")


def test_segtrack_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_segtrack(tmp_path)
    assert put_in_place_of_engines(monkeypatch) == []
    report = tmp_path / "report.json"
    assert segtrack.main(["--data", str(tmp_path), "-o", str(report)]) == 0
    record = json.loads(report.read_text())
    assert record["mean"] == record["objects_mean"] == {"j": 1, "f": 1}
    assert [len(clip["objects"]) for clip in record["clips"]] == [2, 1]
    assert capsys.readouterr().out.splitlines()[-1].split() == ["the", "paper", "0.763", "-", "-", "-"]
    assert segtrack.main(["--data", str(tmp_path), "--clips", "worm"]) == 2
    assert "no clip worm; it has bmx, frog" in capsys.readouterr().err


def test_broken_segtrack_folders_are_named(tmp_path: Path) -> None:
    write_segtrack(tmp_path)
    bmx = segtrack.find(tmp_path)[0]
    masks = tmp_path / "GroundTruth" / "bmx" / "2"
    (masks / "bmx_00002.png").rename(masks / "bmx_0002.png")
    with pytest.raises(InputError, match=r"bmx: no mask for frame bmx_00002 in .*2 \(1 are missing\)"):
        bmx.scored()
    (masks / "bmx_0002.png").rename(masks / "bmx_00002.png")
    Image.new("L", (WIDTH, HEIGHT)).save(masks / "bmx_00009.png")
    with pytest.raises(InputError, match="has a mask bmx_00009 but there is no such frame"):
        bmx.scored()
    (masks / "bmx_00009.png").unlink()
    for path in masks.iterdir():
        Image.new("L", (8, 9)).save(path)
    with pytest.raises(InputError, match="masks of"):
        bmx.scored()
    with pytest.raises(InputError, match="expected JPEGImages"):
        segtrack.find(tmp_path / "GroundTruth")
    (tmp_path / "GroundTruth").rename(tmp_path / "Truth")
    with pytest.raises(InputError, match="no masks"):
        bmx.scored()
