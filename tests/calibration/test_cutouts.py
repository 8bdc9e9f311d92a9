"""Photographs that scenes draw from, and the demo clip."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from samotion.calibration.demo import clip
from samotion.calibration.scenes.cutouts import Sources
from samotion.calibration.scenes.scene import SceneSpec, scene
from samotion.engines.errors import InputError, OutputError

SMALL = SceneSpec(frames=8, height=96, width=128)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A data set of one clip of three frames with a disc on noise."""
    rng = np.random.default_rng(0)
    for name in ("frames", "masks"):
        (tmp_path / "clip" / name).mkdir(parents=True)
    for t in range(3):
        image = rng.integers(0, 255, (120, 200, 3), np.uint8)
        mask = np.zeros((120, 200), np.uint8)
        cv2.circle(image, (90 + t, 60), 30, (20, 40, 230), -1)
        cv2.circle(mask, (90 + t, 60), 30, 255, -1)
        cv2.imwrite(str(tmp_path / "clip" / "frames" / f"{t:05d}.jpg"), image)
        cv2.imwrite(str(tmp_path / "clip" / "masks" / f"{t:05d}.png"), mask)
    return tmp_path


def test_sources_give_photographed_textures_and_cut_outs(photographs: Path) -> None:
    sources = Sources.load(photographs)
    assert sources.photo(np.random.default_rng(0), 50, 70).shape == (50, 70, 3)
    found = sources.cut_out(np.random.default_rng(0), 40)
    assert found is not None
    colour, alpha = found
    assert colour.shape == (40, 40, 3)
    np.testing.assert_allclose(colour[20, 20], (230, 40, 20), atol=25)
    assert alpha[20, 20] == 255
    assert alpha[1, 1] == 0
    made = scene(1, replace(SMALL, photo=1.0, objects=(4, 4)), sources)
    assert "photo cut-out" in made.factors


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no"):
        Sources.load(tmp_path)


def test_the_demo_has_three_movers_and_a_parked_car() -> None:
    made = clip.demo_scene(frames=1)
    assert made.moving.tolist() == [True, True, True, False]
    assert set(np.unique(made.instance)) == {0, 1, 2, 3, 4}


def test_the_demo_is_encoded_as_h264(tmp_path: Path) -> None:
    frames = scene(0, SMALL).frames
    clip.encode(frames, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == clip.FPS
        assert sum(1 for _ in container.decode(video=0)) == len(frames)
    with pytest.raises(OutputError, match="cannot be written"):
        clip.encode(frames, tmp_path / "no such folder" / "clip.mp4")
