import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from samotion.runtime.ops.visibility import filter_tracks
from samotion.runtime.values import Tracks

NUMBERS = [0.0, 1.0, -1.0, 40.0, -40.0, 200.0, -200.0, math.inf, -math.inf, math.nan]
LOGITS = st.one_of(st.floats(-8, 8, width=32), st.sampled_from(NUMBERS))
Inputs = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@st.composite
def inputs(draw: st.DrawFn) -> Inputs:
    n, t = draw(st.integers(0, 6)), draw(st.integers(1, 6))
    table = st.lists(LOGITS, min_size=n * t, max_size=n * t)
    occlusion, distance = (np.array(draw(table), np.float32).reshape(n, t) for _ in range(2))
    xy = np.arange(2 * n * t, dtype=np.float32).reshape(n, t, 2)
    if n and draw(st.booleans()):
        xy[draw(st.integers(0, n - 1)), draw(st.integers(0, t - 1)), draw(st.integers(0, 1))] = np.nan
    return xy, occlusion, distance, np.arange(n, dtype=np.int64)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def plain(xy: np.ndarray, occlusion: np.ndarray, distance: np.ndarray) -> tuple[list[int], list[list[bool]]]:
    """The rule one number at a time: which tracks stay, and where they are visible."""
    visible, confidence = {}, {}
    for n in range(len(xy)):
        seen, trust = [], []
        for t in range(xy.shape[1]):
            sound = np.isfinite(xy[n, t]).all() and not np.isnan([occlusion[n, t], distance[n, t]]).any()
            v = 1 - sigmoid(occlusion[n, t]) if sound else 0.0
            c = 1 - sigmoid(distance[n, t]) if sound else 0.0
            seen.append(v * c > 0.5)
            trust.append((c if v * c > 0.5 or (1 - v) * c > 0.5 else 0.0) if sound else -1.0)
        if any(seen):
            visible[n], confidence[n] = seen, trust
    for t in range(xy.shape[1]):
        if visible and not any(seen[t] for seen in visible.values()):
            visible[max(confidence, key=lambda n: confidence[n][t])][t] = True
    return list(visible), list(visible.values())


def rounded_apart(occlusion: np.ndarray, distance: np.ndarray) -> bool:
    """Whether a product is so near 0.5, but not 0.5, that float32 may round it to the other side."""
    v, c = (np.array([[1 - sigmoid(x) for x in row] for row in table]) for table in (occlusion, distance))
    off = np.abs(np.stack([v * c, (1 - v) * c]) - 0.5)
    return bool(((off > 0) & (off < 1e-6)).any())


def apply(case: Inputs) -> Tracks:
    with np.errstate(all="raise", under="ignore"):
        return filter_tracks(*case)


@settings(deadline=None)
@given(inputs())
def test_agrees_with_the_plain_rule(case: Inputs) -> None:
    assume(not rounded_apart(case[1], case[2]))
    tracks = apply(case)
    kept, visible = plain(*case[:3])
    assert tracks.query_frame.tolist() == kept
    assert tracks.visible.tolist() == visible


@settings(deadline=None)
@given(inputs())
def test_what_always_holds(case: Inputs) -> None:
    tracks = apply(case)
    assert tracks.visible.any(axis=1).all()
    assert tracks.visible.any(axis=0).all() or not len(tracks.visible)
    for values in (tracks.visibility, tracks.confidence):
        assert ((values >= 0) & (values <= 1)).all()
    assert np.isfinite(tracks.xy).all()
    # Confidence below one half never decides: v·c and (1 − v)·c are both at most c.
    assert ((tracks.confidence == 0) | (tracks.confidence > 0.5)).all()
    finite = np.isfinite(case[0][..., 0] + case[0][..., 1])[tracks.query_frame]
    np.testing.assert_array_equal(tracks.xy[finite], case[0][tracks.query_frame][finite])


@settings(deadline=None)
@given(inputs(), st.integers(0, 2**31))
def test_order_of_tracks_does_not_matter(case: Inputs, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(case[0]))
    xy, occlusion, distance, query_frame = case
    straight = apply(case)
    shuffled = apply((xy[order], occlusion[order], distance[order], query_frame[order]))
    back = np.argsort(shuffled.query_frame)
    np.testing.assert_array_equal(straight.query_frame, shuffled.query_frame[back])
    np.testing.assert_array_equal(straight.confidence, shuffled.confidence[back])


def test_one_most_confident_track_is_made_visible_in_an_empty_frame() -> None:
    occlusion = np.array([[-9, 9], [-9, 9], [-9, 9]], np.float32)
    distance = np.array([[-9, -1], [-9, -3], [-9, -2]], np.float32)
    tracks = filter_tracks(np.ones((3, 2, 2), np.float32), occlusion, distance, np.zeros(3, np.int64))
    assert tracks.visible.tolist() == [[True, False], [True, True], [True, False]]


@pytest.mark.parametrize("logit", [-1e30, 1e30, -math.inf, math.inf])
def test_huge_logits_saturate_without_a_warning(logit: float) -> None:
    case = np.ones((1, 1, 2), np.float32), np.full((1, 1), logit, np.float32), np.full((1, 1), -50, np.float32)
    tracks = apply((*case, np.zeros(1, np.int64)))
    assert len(tracks.visible) == (1 if logit < 0 else 0)
