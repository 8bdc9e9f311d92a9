"""Clips drawn without DAVIS: what the mask says is what is seen to move, and the training commands read them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from samotion.calibration.scenes.cutouts import Sources
from samotion.export.training import collages
from samotion.export.training.photographs import load
from samotion.export.training.stamps import Stamps
from samotion.runtime.values import Bytes


def grain(rng: np.random.Generator, height: int, width: int) -> Bytes:
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photographs, the first in two sizes; one too plain, one too small, one upright."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "many").mkdir(parents=True)
    cv2.imwrite(str(folder / "many" / "1280x720.jpg"), grain(rng, 720, 1280))
    cv2.imwrite(str(folder / "many" / "1024x576.jpg"), grain(rng, 576, 1024))
    cv2.imwrite(str(folder / "other.jpeg"), grain(rng, 600, 1000))
    cv2.imwrite(str(folder / "plain.jpg"), np.full((600, 1000, 3), 90, np.uint8))
    cv2.imwrite(str(folder / "small.jpg"), grain(rng, 200, 300))
    cv2.imwrite(str(folder / "upright.jpg"), grain(rng, 1400, 1000))
    return folder


@pytest.fixture
def stamps(tmp_path: Path) -> Path:
    """A red disc."""
    folder = tmp_path / "stamps"
    folder.mkdir()
    y, x = np.mgrid[-1:1:120j, -1:1:120j]
    image = np.zeros((120, 120, 4), np.uint8)
    image[..., 2], image[..., 3] = 255, np.where(x**2 + y**2 < 0.9, 255, 0)
    cv2.imwrite(str(folder / "disc.png"), image)
    return folder


def test_photographs_are_detailed_wide_and_taken_once(photos: Path) -> None:
    found = collages.photographs(photos)
    assert [image.shape for image in found] == [(540, 960, 3), (576, 960, 3)]


def test_the_mask_is_where_the_mover_is_seen(stamps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collages, "STANDING", 0.0)
    grey = [np.full((540, 960, 3), 128, np.uint8)]
    moved = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        frames, masks = collages.clip(rng, grey, Stamps.load(stamps), frames=10)
        assert frames.shape == (10, *collages.SIZE, 3)
        red = frames[..., 0].astype(int) - frames[..., 1] > 40
        assert masks.any()
        # Soft outlines and the noise decide a few pixels otherwise.
        assert (red != (masks > 0)).sum() <= 0.05 * masks.sum()
        centres = np.array([np.argwhere(mask).mean(0) for mask in masks if mask.any()])
        moved.append(np.linalg.norm(centres - centres[0], axis=1).max())
    assert np.median(moved) > 10


def test_what_stands_is_not_in_the_mask(stamps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collages, "STANDING", 1.0)
    grey = [np.full((540, 960, 3), 128, np.uint8)]
    frames, masks = collages.clip(np.random.default_rng(3), grey, Stamps.load(stamps), frames=4)
    red = frames[..., 0].astype(int) - frames[..., 1] > 40
    assert red.sum() > 1.3 * masks.sum() > 0


def test_clips_are_the_same_again_and_training_reads_them(photos: Path, stamps: Path, tmp_path: Path) -> None:
    arguments = ["--photos", str(photos), "--stamps", str(stamps), "--count", "1"]
    for name in "ab":
        assert collages.main([*arguments, "-o", str(tmp_path / name)]) == 0
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 2 * collages.FRAMES
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    train, held = load(tmp_path / "a", every=4)
    assert [frames.shape[0] for frames in train.frames] == [collages.FRAMES // 4]
    assert not held.frames
    assert len(Sources.load(tmp_path / "a").clips) == 1


def test_a_folder_without_photographs_is_one_line(
    stamps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        collages.main(["--photos", str(stamps), "--stamps", str(stamps), "-o", str(tmp_path / "new")])
    assert stopped.value.code == 2
    assert "found no detailed JPEG" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
