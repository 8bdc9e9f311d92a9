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
from samotion.runtime.ops.global_motion import CHANNELS, GAPS
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.stages.motion import THRESHOLDS, choose, label, thresholds
from samotion.runtime.stages.tracks import sample_queries
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


def textured(frames: int) -> Clip:
    """A clip whose frames all differ."""
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 255, (frames, 5, 6, 3)).astype(np.uint8).repeat(4, 1).repeat(5, 2)
    index = np.arange(frames)
    return Clip("x", pictures, Fraction(10), SIZE, index, frames, index / 10)


def labelled(clip: Clip, settings: Settings) -> tuple[Shown, Tracks]:
    """Label random tracks of ``clip`` that are always visible."""
    count, frames = 6, len(clip.frames)
    xy = np.random.default_rng(1).uniform(0, 20, (count, frames, 2)).astype(np.float32)
    ones = np.ones((count, frames), np.float32)
    tracks = Tracks(xy, ones > 0, ones, ones, np.zeros(count, np.int64))
    depth, none = np.zeros((frames, *SIZE), np.float32), np.zeros((count, 4), np.float32)
    bundle = Shown()
    label(clip, tracks, depth, none, cast(Bundle, bundle), settings, Progress(), HOST)
    return bundle, tracks


def test_a_network_is_told_of_motion_beside_the_camera_only_where_it_asks() -> None:
    for settings in (Settings(), Settings(against_camera=True)):
        bundle, _ = labelled(textured(9), settings)
        (call,) = bundle.calls
        assert ("deviations" in call) == settings.against_camera
    assert call["deviations"].shape == (6, 9, CHANNELS * len(GAPS))


def test_blank_and_repeated_frames_are_not_seen() -> None:
    clip = textured(9)
    clip.frames[:2] = 0
    clip.frames[5] = clip.frames[4]
    bundle, tracks = labelled(clip, Settings(skip_blank=True))
    (call,) = bundle.calls
    kept = [2, 3, 4, 6, 7, 8]
    assert call["disparity"].shape == (6, *SIZE)
    expected = tracks.xy[:, kept] * np.array([2 / SIZE[1], 2 / SIZE[0]], np.float32) - 1
    np.testing.assert_allclose(np.asarray(call["xy"], np.float32), expected.clip(-1, 1), atol=1e-6)
    assert {0, 1, 5}.isdisjoint(sample_queries(clip, Settings(skip_blank=True, step=1))[:, 0])


def test_nothing_moves_in_a_picture_that_is_repeated() -> None:
    clip = textured(9)
    clip.frames[:] = clip.frames[0]
    bundle, _ = labelled(clip, Settings(skip_blank=True))
    assert not bundle.calls
    assert len(sample_queries(clip, Settings(skip_blank=True)))


def test_a_threshold_is_lowered_where_too_few_tracks_are_above_it() -> None:
    given = Settings(dynamic_above=0.6, dynamic_least=0.4)
    assert thresholds(given) == pytest.approx([0.6, 0.5, 0.4])
    assert thresholds(Settings(dynamic_above=0.6)) == (0.6,)
    assert thresholds(Settings()) == THRESHOLDS
    probability = np.repeat(np.array([0.7, 0.55, 0.45, 0.35], np.float32), 8)
    assert choose(probability, 9, given).sum() == 16
    assert choose(probability[8:], 9, given).sum() == 16
    assert not choose(probability[24:], 9, given).any()
