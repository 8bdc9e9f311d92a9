"""The whole chain on the shipped networks: the demo clip, repeatability, clips in which nothing can move."""

from fractions import Fraction

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from samotion.calibration.demo.clip import FINE, demo_scene
from samotion.engines.bundle import Bundle
from samotion.runtime.cli import DEMO
from samotion.runtime.identity.match import Identified
from samotion.runtime.identity.propagate import follow, remember
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.pipeline import segment
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages.window import Stages
from samotion.runtime.values import Bool, Clip, ClipResult

DEMO_IOU = 0.4  # of everything found against everything that moves; the shipped bundle reaches 0.50
FOLLOWED_IOU = 0.3  # of the movers' true masks, 18 frames after they were last given; the shipped bundle reaches 0.42


FIRST, SECOND = slice(0, 24), slice(18, 42)


def run(clip: Clip, **settings: int) -> ClipResult:
    with Bundle.load() as bundle:
        return segment(clip, bundle, Settings().override(bundle.settings).override(settings))


@pytest.fixture(scope="module")
def demo() -> ClipResult:
    return run(read_clip(DEMO))


@pytest.fixture(scope="module")
def movers() -> Bool:
    """The true masks (K, T, H, W) of what moves in the demo."""
    scene = demo_scene()
    return np.stack([scene.instance[:, ::FINE, ::FINE] == k for k in np.flatnonzero(scene.moving) + 1])


def test_the_demo_s_movers_are_found(demo: ClipResult, movers: Bool) -> None:
    truth, found = movers.any(axis=0), demo.masks.values.any(axis=0)
    assert found.shape == truth.shape
    assert (found & truth).sum() / (found | truth).sum() >= DEMO_IOU
    assert demo.seconds.keys() >= {"tracks", "depth", "features", "motion", "encoder", "grouping", "masks", "merging"}


def test_same_input_and_seed_give_the_same_bytes(demo: ClipResult) -> None:
    with threadpool_limits(1, "blas"):  # as on a single core
        again = run(demo.clip)
    assert again.masks.values.tobytes() == demo.masks.values.tobytes()
    assert again.labels.probability.tobytes() == demo.labels.probability.tobytes()
    assert again.tracks.xy.tobytes() == demo.tracks.xy.tobytes()
    other = run(demo.clip, seed=1)
    assert other.tracks.xy.tobytes() != demo.tracks.xy.tobytes()


def test_known_objects_are_followed_into_the_next_window(demo: ClipResult, movers: Bool) -> None:
    names = np.arange(4, 4 + len(movers))
    with Bundle.load() as bundle:
        settings = Settings(window=24, overlap=6).override(bundle.settings)
        before, after = (Stages(demo.clip.part(part), bundle, settings, Progress(), HOST) for part in (FIRST, SECOND))
        known = remember(Identified(movers[:, FIRST], names, 0 * names), before.network(), settings)
        assert [sorted(item.memories) for item in known] == [[-5, -4, -3, -2, -1]] * len(movers)
        found = follow(known, after.motion()[0], after.network(), 6, settings, Progress())
    assert found.identities.tolist() == names.tolist()
    assert (found.still == 1).all()
    assert np.array_equal(found.masks[:, :6], movers[:, 18:24])
    masks, truth = found.masks[:, 6:], movers[:, 24:42]
    assert (masks & truth).sum() / (masks | truth).sum() >= FOLLOWED_IOU


def still(frames: int, height: int = 120, width: int = 160) -> Clip:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stack = np.repeat(image[None], frames, axis=0)
    return Clip("still", stack, Fraction(24), (height, width), np.arange(frames), frames, np.arange(frames) / 24)


@pytest.mark.parametrize("frames", [1, 12, 24])
def test_nothing_moves_in_a_still_picture(frames: int) -> None:
    found = run(still(frames))
    assert found.masks.values.shape == (0, frames, 120, 160)
    assert not found.labels.dynamic.any()
