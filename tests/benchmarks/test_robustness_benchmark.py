"""Clips that are changed in looks only: what each change does to frames and truth, and the command's table."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.support.datasets.labelled import FRAMES, HEIGHT, WIDTH, FakeBundle, perfect, truth_of, write_clip

from samotion.benchmarks import command, robustness
from samotion.benchmarks.datasets.altered import CHANGES, LEAD
from samotion.runtime.values import Bytes, Clip, ClipResult


def frames() -> Bytes:
    return np.repeat((truth_of()[..., None] * 100 + 20).astype(np.uint8), 3, 3)


@pytest.mark.parametrize("name", CHANGES)
def test_truth_stays_with_its_frames(name: str) -> None:
    changed, labels = CHANGES[name](frames(), truth_of())
    assert changed.dtype == labels.dtype == np.uint8
    assert changed.shape[1:3] == labels.shape[1:3]
    shown = changed[len(changed) - len(labels) :]
    if name != "hue":  # which leaves grey grey, but not this test
        bright = shown.astype(int).mean(-1) > 70
        assert (bright != (labels > 0)).sum() <= 0.25 * (labels > 0).sum()
    sizes = {"half size": (FRAMES, HEIGHT // 2, WIDTH // 2), "half rate": (FRAMES // 2, HEIGHT, WIDTH)}
    lead = LEAD if name == "black lead-in" else 0
    count, *size = sizes.get(name, (FRAMES, HEIGHT, WIDTH))
    assert changed.shape == (count + lead, *size, 3)
    assert not changed[:lead].any()


def test_hue_turns_red_into_another_colour() -> None:
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 200
    changed, _ = CHANGES["hue"](red, red[..., 0])
    assert changed[..., 0].max() < 20
    assert changed.max() == 200


def test_the_command_writes_loss_by_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def segment(clip: Clip, _bundle: object, _settings: object) -> ClipResult:
        result = perfect(clip)
        if not clip.frames[0].any():  # blinded by a black start
            result.masks.values[:] = False
        return result

    monkeypatch.setattr(command, "Bundle", FakeBundle)
    monkeypatch.setattr(robustness, "segment", segment)
    write_clip(tmp_path / "data/a/frames", tmp_path / "data/a/masks", truth_of(), (0, 255))
    out = tmp_path / "out.json"
    assert robustness.main(["--data", str(tmp_path / "data"), "-o", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["clips"]["a"]["as it is"] == 1
    assert record["loss"]["black lead-in"] == 1
    assert record["loss"]["reversed"] == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("loss")
