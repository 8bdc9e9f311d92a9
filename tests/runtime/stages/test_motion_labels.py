"""Which tracks move: what the motion network is shown of a clip, and how its answers become labels."""

from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samotion.engines.bundle import Bundle
from samotion.engines.engine import Array
from samotion.engines.errors import SettingsError
from samotion.export.presets import NANO
from samotion.export.training.motion.motion_augment import LONGEST
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.stages.motion import label
from samotion.runtime.values import Clip, Float, Tracks

SIZE = (20, 30)


class Shown:
    """A bundle whose motion network answers with the mean column of the frames it is shown, and keeps them."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Array]] = []

    def engine(self, name: str) -> Any:
        assert name == "motion"
        return self

    def __call__(self, **inputs: Array) -> dict[str, Float]:
        self.calls.append(inputs)
        x, visible = inputs["xy"][..., 0].astype(np.float32), inputs["visible"].astype(np.float32)
        return {"probability": (x * visible).sum(1) / visible.sum(1).clip(1)}


def shown(frames: int, count: int, settings: Settings, seed: int = 0) -> tuple[Shown, Tracks, Float]:
    """Label random tracks and return the bundle, the tracks and the probabilities."""
    rng = np.random.default_rng(seed)
    visible = rng.random((count, frames)) < 0.5
    visible[np.arange(count), rng.integers(frames, size=count)] = True
    xy = rng.uniform(0, 20, (count, frames, 2)).astype(np.float32)
    ones = np.ones((count, frames), np.float32)
    tracks = Tracks(xy, visible, ones, ones, np.zeros(count, np.int64))
    index = np.arange(frames)
    clip = Clip("x", np.zeros((frames, *SIZE, 3), np.uint8), Fraction(10), SIZE, index, frames, index / 10)
    depth = np.broadcast_to(index[:, None, None], (frames, *SIZE)).astype(np.float32)
    bundle = Shown()
    found = label(
        clip,
        tracks,
        depth,
        np.zeros((count, 4), np.float32),
        cast(Bundle, bundle),
        settings,
        Progress(),
        HOST,
    )
    return bundle, tracks, found.probability


def test_published_networks_see_the_whole_clip() -> None:
    bundle, tracks, probability = shown(130, 5, Settings.published())
    (call,) = bundle.calls
    assert call["xy"].shape == (5, 130, 2)
    np.testing.assert_array_equal(probability, bundle(**call)["probability"])
    assert tracks.visible is call["visible"] or np.array_equal(call["visible"], tracks.visible)


@given(frames=st.integers(1, 120), limit=st.integers(1, 60), seed=st.integers(0, 1000))
def test_a_longer_clip_is_seen_as_interleaved_ones(frames: int, limit: int, seed: int) -> None:
    bundle, tracks, probability = shown(frames, 4, Settings(motion_frames=limit), seed)
    lengths = [call["visible"].shape[1] for call in bundle.calls]
    assert max(lengths) <= limit
    assert sum(lengths) == frames
    assert max(lengths) - min(lengths) <= 1
    times = [call["disparity"][:, 0, 0] for call in bundle.calls]
    for first, part in enumerate(times):  # every frame once, at one pace
        np.testing.assert_array_equal(part, np.arange(first, frames, len(times)))
    # The mean by visible frames of means over visible frames is the mean over all of them.
    unit = np.clip(tracks.xy[..., 0] / 15 - 1, -1, 1)
    whole = (unit * tracks.visible).sum(1) / tracks.visible.sum(1)
    np.testing.assert_allclose(probability, whole, atol=1e-5)


def test_nano_is_shown_no_more_frames_than_it_learnt_from() -> None:
    assert NANO.settings["motion_frames"] == LONGEST


def test_no_frames_at_all_is_no_limit() -> None:
    with pytest.raises(SettingsError, match="motion_frames is 0, expected at least 1"):
        Settings(motion_frames=0)
