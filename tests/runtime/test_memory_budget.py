"""How long a window may be in a stated amount of memory."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samotion.engines.bundle import Bundle
from samotion.engines.errors import SettingsError
from samotion.runtime.memory_budget import DEFAULT, fit, motion
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.stages.motion import MOST_SCORES, attention_scores, label
from samotion.runtime.values import Tracks

FRAME = (480, 854)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.load()


def test_by_default_what_is_set_fits(bundle: Bundle) -> None:
    settings = Settings().override(bundle.settings)
    found = fit(DEFAULT, FRAME, bundle, settings)
    assert found.window == settings.window == 120
    assert found.estimate < DEFAULT


def test_the_published_hundred_frames_stay_one_window(bundle: Bundle) -> None:
    assert fit(DEFAULT, FRAME, bundle, Settings.published()).window is None


def test_too_little_is_said_with_what_helps(bundle: Bundle) -> None:
    with pytest.raises(SettingsError, match=r"0\.47 GiB is too little: .*; give more by --memory, or a smaller"):
        fit(500_000_000, FRAME, bundle, Settings())


@given(gigabytes=st.integers(2, 64), tracks=st.integers(1, 40000), motion_frames=st.none() | st.integers(1, 200))
def test_the_longest_window_that_fits_is_taken(
    bundle: Bundle, gigabytes: int, tracks: int, motion_frames: int | None
) -> None:
    settings = Settings(window=None, max_tracks=tracks, motion_frames=motion_frames)
    budget = gigabytes * 10**9
    try:
        found = fit(budget, FRAME, bundle, settings)
    except SettingsError:
        return
    assert found.window is not None
    assert found.estimate <= budget
    seen = min(found.window, motion_frames or found.window)
    assert attention_scores(tracks, seen) <= MOST_SCORES
    again = fit(found.estimate + 1, FRAME, bundle, settings)  # as much memory as is needed is enough
    assert again.window == found.window


def test_many_tracks_shorten_the_window(bundle: Bundle) -> None:
    """Along time, 5000 tracks in 700 frames are more scores than 31 bits count."""
    found = fit(2**40, FRAME, bundle, Settings(window=700))
    assert found.window == 655
    assert "windows of 655 frames, instead of 700" in found.line


def test_the_motion_network_of_5000_tracks_in_120_frames_needs_little() -> None:
    assert motion(5000, 120) < 1.3e9  # measured: 1.0e9


def test_more_scores_than_31_bits_count_are_refused_before_the_network_runs(bundle: Bundle) -> None:
    seen = np.broadcast_to(np.True_, (50000, 2))
    sure = np.broadcast_to(np.float32(1), seen.shape)
    xy = np.broadcast_to(np.float32(0), (*seen.shape, 2))
    tracks = Tracks(xy, seen, sure, sure, np.zeros(50000, np.int64))
    nothing: Any = None
    with pytest.raises(SettingsError, match="2500000000 attention scores of 50000 tracks in 2 frames at once"):
        label(nothing, tracks, nothing, nothing, bundle, Settings(), Progress(), HOST)
