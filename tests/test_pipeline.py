"""The whole chain on the shipped networks: the demo clip, repeatability, clips in which nothing can move."""

from fractions import Fraction

import numpy as np
import pytest

from samotion.calibration.demo import FINE, demo_scene
from samotion.engines.bundle import Bundle
from samotion.runtime.cli import DEMO
from samotion.runtime.clip import read_clip
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip, Result

DEMO_IOU = 0.4  # of everything found against everything that moves; the shipped bundle reaches 0.50


def run(clip: Clip, **settings: int) -> Result:
    with Bundle.load() as bundle:
        return segment(clip, bundle, Settings().override(bundle.settings).override(settings))


@pytest.fixture(scope="module")
def demo() -> Result:
    return run(read_clip(DEMO))


def test_the_demo_s_movers_are_found(demo: Result) -> None:
    scene = demo_scene()
    movers = np.flatnonzero(scene.moving) + 1
    truth = np.isin(scene.instance[:, ::FINE, ::FINE], movers)
    found = demo.masks.values.any(axis=0)
    assert found.shape == truth.shape
    assert (found & truth).sum() / (found | truth).sum() >= DEMO_IOU
    assert demo.seconds.keys() >= {"tracks", "depth", "features", "motion", "encoder", "grouping", "masks", "merging"}


def test_same_input_and_seed_give_the_same_bytes(demo: Result) -> None:
    again = run(demo.clip)
    assert again.masks.values.tobytes() == demo.masks.values.tobytes()
    assert again.tracks.xy.tobytes() == demo.tracks.xy.tobytes()
    other = run(demo.clip, seed=1)
    assert other.tracks.xy.tobytes() != demo.tracks.xy.tobytes()


def still(frames: int, height: int = 120, width: int = 160) -> Clip:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stack = np.repeat(image[None], frames, axis=0)
    return Clip("still", stack, Fraction(24), (height, width), np.arange(frames), frames, np.arange(frames) / 24)


@pytest.mark.parametrize("frames", [1, 12, 24])
def test_nothing_moves_in_a_still_picture(frames: int) -> None:
    found = run(still(frames))
    assert found.masks.values.shape == (0, frames, 120, 160)
    assert not found.labels.dynamic.any()
