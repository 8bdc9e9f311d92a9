"""What a track does beside the camera: nothing where only the camera moves, its own way where it moves itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.runtime.ops.global_motion import CHANNELS, GAPS, PIXEL, against_camera, deviations
from samotion.runtime.values import Bool, Float


def under_camera(seed: int, count: int = 120, frames: int = 20) -> tuple[Float, Bool]:
    """Points that stand, under a camera that shifts, zooms and rolls; a tenth of them hidden."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, None]
    shift, zoom, roll = rng.normal(0, 0.01, 2) * time, np.exp(0.004 * time[:, 0]), 0.003 * time[:, 0]
    turn = np.stack([np.cos(roll), -np.sin(roll), np.sin(roll), np.cos(roll)], -1).reshape(-1, 2, 2)
    at = rng.uniform(-0.7, 0.7, (count, 2))
    xy = zoom[:, None] * np.einsum("tij,nj->nti", turn, at) + shift
    return xy.astype(np.float32), rng.random((count, frames)) < 0.9


@given(seed=st.integers(0, 200))
@settings(deadline=None, max_examples=20)
def test_what_stands_does_nothing_beside_the_camera(seed: int) -> None:
    channels = against_camera(*under_camera(seed))
    assert channels.shape == (120, 20, CHANNELS * len(GAPS))
    assert channels.dtype == np.float32
    known = channels.reshape(120, 20, len(GAPS), CHANNELS)
    assert np.abs(known[..., :4]).max() < 0.05


@given(seed=st.integers(0, 200))
@settings(deadline=None, max_examples=20)
def test_what_moves_shows_its_own_way(seed: int) -> None:
    xy, visible = under_camera(seed)
    own = 3 * PIXEL  # a frame, to the right
    xy[:20, :, 0] += own * np.arange(20, dtype=np.float32)
    left, noise = deviations(xy[:, :-4], xy[:, 4:], visible[:, :-4] & visible[:, 4:])
    known = visible[:, :-4] & visible[:, 4:]
    # The camera turns and zooms what the mover does.
    assert np.linalg.norm(np.median(left[:20][known[:20]], 0) - [4 * own, 0]) < 2 * own
    # Now and then the movers draw the camera of one pair of frames towards them: seed 100 has one such pair.
    assert np.quantile(np.abs(left[20:][known[20:]]), 0.95) < 0.2 * PIXEL
    assert noise.max() < PIXEL


def test_hidden_pairs_and_the_last_frames_say_nothing() -> None:
    xy, visible = under_camera(1)
    xy[visible == 0] = 5.0  # whatever a tracker says of hidden points
    channels = against_camera(xy, visible).reshape(120, 20, len(GAPS), CHANNELS)
    for index, gap in enumerate(GAPS):
        assert not channels[:, 20 - gap :, index].any()
        known = visible[:, :-gap] & visible[:, gap:]
        np.testing.assert_array_equal(channels[:, : 20 - gap, index, 4], known)
        assert not channels[:, : 20 - gap, index][~known].any()


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_tracks_and_frames_give_finite_channels(count: int, frames: int) -> None:
    xy = np.zeros((count, frames, 2), np.float32)
    for visible in (np.ones((count, frames), np.bool_), np.zeros((count, frames), np.bool_)):
        channels = against_camera(xy, visible)
        assert channels.shape == (count, frames, CHANNELS * len(GAPS))
        assert np.isfinite(channels).all()
