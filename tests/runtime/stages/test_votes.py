import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from samotion.runtime.sam2.mask_prompt import LOGIT, REACH, drawn, mask_prompt
from samotion.runtime.settings import Settings
from samotion.runtime.stages.votes import sureness, with_votes
from samotion.runtime.values import Float, MotionLabels, Prompt, TrackGroup, Tracks, Votes

SIDE = 64
PLACES = st.lists(st.tuples(*[st.floats(-0.25, 1.25, width=32)] * 2, st.floats(-1, 1, width=32)), max_size=40)


def plainly(unit: Float, weight: Float) -> Float:
    """Return the votes cell by cell, as the docstring says."""
    out = np.zeros((SIDE, SIDE))
    for row, column in np.ndindex(out.shape):
        apart = unit.astype(np.float64) - (np.array([column, row]) + 0.5) / SIDE
        near = np.exp(-0.5 * (apart**2).sum(1) / REACH**2)
        out[row, column] = LOGIT * (near * weight).sum() / ((near * np.abs(weight)).sum() + 0.3)
    return out.astype(np.float32)


@given(places=PLACES)
@hypothesis_settings(max_examples=15, deadline=None)
def test_votes_are_the_mean_of_those_near(places: list[tuple[float, float, float]]) -> None:
    table = np.array(places, np.float32).reshape(-1, 3)
    found = drawn(table[:, :2], table[:, 2], SIDE)
    np.testing.assert_allclose(found, plainly(table[:, :2], table[:, 2]), atol=2e-5)
    assert np.abs(found).max() <= LOGIT


def test_a_vote_is_heard_where_it_is_and_not_far_away() -> None:
    votes = Votes(np.array([[20.0, 90.0], [180.0, 10.0]], np.float32), np.array([1.0, -1.0], np.float32))
    logits = mask_prompt(votes, (100, 200), SIDE)
    assert logits[57, 6] > 0.7 * LOGIT
    assert logits[6, 57] < -0.7 * LOGIT
    assert abs(logits[32, 32]) < 1e-3 * LOGIT


@given(st.lists(st.floats(0, 1, width=32), max_size=50), st.sampled_from([0.6, None]))
def test_who_is_on_the_border_does_not_count(probability: list[float], above: float | None) -> None:
    settings = Settings(dynamic_above=above)
    p = np.array(probability, np.float32)
    moving, still = sureness(MotionLabels(p, p > (above or 0.7)), settings)
    assert len(moving) == (p > (above or 0.7)).sum()
    assert len(still) == (p < 0.3).sum()
    for weights in (moving, still):
        assert ((weights >= 0) & (weights <= 1)).all()
    # A step of the probability is a step of the weight: nobody jumps from counting to not counting.
    near, _ = sureness(
        MotionLabels(np.array([0.6001], np.float32), np.ones(1, np.bool_)), Settings(dynamic_above=0.6)
    )
    assert near[0] == pytest.approx(0.0005, abs=1e-4)


def tracks(count: int, seen: float) -> Tracks:
    xy = np.arange(count * 4, dtype=np.float32).reshape(count, 2, 2)
    shown = np.ones((count, 2), np.bool_)
    return Tracks(
        xy, shown, np.full((count, 2), seen, np.float32), shown.astype(np.float32), np.zeros(count, np.int64)
    )


def test_an_object_is_voted_for_by_its_own_and_against_by_all_others() -> None:
    dynamic, static = tracks(4, 0.75), tracks(2, 1.0)
    static.visible[1, 1] = False
    prompt = Prompt(1, np.zeros((1, 2), np.float32), np.ones(1, np.bool_))
    group = TrackGroup(prompt, np.array([True, False, True, False]))
    other = TrackGroup(prompt, np.array([True, True, False, False]))
    sure = np.array([1.0, 1.0, 0.5, 1.0], np.float32), np.array([0.5, 1.0], np.float32)
    (found,) = with_votes([prompt], group, [other, group], dynamic, static, sure)
    assert found.votes is not None
    np.testing.assert_array_equal(found.votes.xy, [[2, 3], [6, 7], [10, 11], [14, 15], [2, 3], [6, 7]])
    np.testing.assert_allclose(found.votes.weight, [0.5, -0.5, 0.25, 0, -0.5, 0])
    (alike,) = with_votes([prompt], group, [group], dynamic, static, None)
    assert alike.votes is not None
    np.testing.assert_allclose(alike.votes.weight, [0.5, 0, 0.5, 0, -1, 0])
