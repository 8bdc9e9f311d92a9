import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samotion.runtime.settings import Settings
from samotion.runtime.stages.prompts import corrective_points, densest, in_mask, promptable, prompts_for, spread
from samotion.runtime.values import Bool, Float, Prompt, TrackGroup, Tracks

FRAMES = 40


def group_of(tracks: Bool, frame: int) -> TrackGroup:
    return TrackGroup(Prompt(frame, np.zeros((1, 2), np.float32), np.ones(1, np.bool_)), tracks)


def still(points: Float | list[list[int]], frames: int = FRAMES) -> Float:
    return np.repeat(np.asarray(points, np.float32)[:, None], frames, axis=1)


def tracks_at(xy: Float) -> Tracks:
    """Tracks that are seen on every frame, surely."""
    ones = np.ones(xy.shape[:2], np.float32)
    return Tracks(xy, ones > 0, ones, ones.copy(), np.zeros(len(xy), np.int64))


LINE = tracks_at(still([[0, 0], [10, 0], [20, 0], [50, 0]]))
NONE = LINE.select(np.zeros(4, np.bool_))


def test_own_frame_first_then_every_sixteenth() -> None:
    prompts = prompts_for(group_of(np.ones(4, np.bool_), 5), LINE, NONE, Settings())
    assert [prompt.frame for prompt in prompts] == [5, 0, 16, 32]
    prompts = prompts_for(group_of(np.ones(4, np.bool_), 16), LINE, NONE, Settings())
    assert [prompt.frame for prompt in prompts] == [16, 0, 32]
    for prompt in prompts:
        assert prompt.positive.tolist() == [True]
        assert prompt.xy.tolist() == [[10, 0]]


def test_only_confident_visible_tracks_of_the_object_are_clicked() -> None:
    line = tracks_at(LINE.xy)
    line.visible[0] = False
    line.confidence[1] = 0.9
    line.confidence[:, 16] = 0.0
    tracks = np.array([True, True, True, False])
    prompts = prompts_for(group_of(tracks, 0), line, NONE, Settings())
    assert [(prompt.frame, prompt.xy.tolist()) for prompt in prompts] == [(0, [[20, 0]]), (32, [[20, 0]])]
    assert promptable(line, Settings())[:, 0].tolist() == [False, False, True, True]


def test_further_clicks_spread_over_the_object() -> None:
    (prompt,) = prompts_for(group_of(np.ones(4, np.bool_), 0), LINE, NONE, Settings(prompt_step=100, clicks=3))
    assert prompt.xy.tolist() == [[10, 0], [50, 0], [0, 0]]
    (prompt,) = prompts_for(group_of(np.ones(4, np.bool_), 0), LINE, NONE, Settings(prompt_step=100, clicks=9))
    assert len(prompt.xy) == 4


def test_background_clicks_stand_beside_the_object_and_over_the_frame() -> None:
    background = tracks_at(still([[21, 0], [30, 0], [12, 9], [300, 0], [0, 300], [300, 300]]))
    background.visible[5] = False
    (prompt,) = prompts_for(
        group_of(np.array([True, True, True, False]), 0),
        LINE,
        background,
        Settings(prompt_step=100, background_clicks=4),
    )
    assert prompt.positive.tolist() == [True] + [False] * 4
    clicked = {tuple(point) for point in prompt.xy[1:].tolist()}
    assert clicked == {(30, 0), (12, 9), (300, 0), (0, 300)}
    assert (21, 0) not in clicked  # on the object's edge
    assert (300, 300) not in clicked  # hidden


@pytest.mark.parametrize("count", [0, 1])
def test_background_clicks_are_left_out_where_there_is_no_place(count: int) -> None:
    background = tracks_at(still(np.full((count, 2), 1.0)))
    (prompt,) = prompts_for(
        group_of(np.ones(4, np.bool_), 0), LINE, background, Settings(prompt_step=100, background_clicks=3)
    )
    assert prompt.positive.all()


def test_corrective_points() -> None:
    points = np.array([[10, 10], [12, 10], [11, 14], [40, 10], [2, 30]], np.float32)
    mask = np.zeros((50, 50), np.bool_)
    added = corrective_points(points, mask)
    assert added is not None
    assert added.tolist() == [[11, 14], [2, 30], [40, 10]]
    mask[10:15, 10:13] = True
    assert corrective_points(points, mask) is not None  # 3 of 5
    mask[10, 40] = True
    assert corrective_points(points, mask) is None  # 4 of 5


def test_corrective_points_of_one_and_two() -> None:
    mask = np.zeros((50, 50), np.bool_)
    one, two = np.array([[5, 6]], np.float32), np.array([[5, 6], [9, 9]], np.float32)
    assert np.array_equal(corrective_points(one, mask), [[5, 6], [5, 6]])  # type: ignore[arg-type]
    assert np.array_equal(corrective_points(two, mask), two)  # type: ignore[arg-type]


def test_points_outside_the_image_read_its_border() -> None:
    mask = np.zeros((4, 6), np.bool_)
    mask[0, 0] = mask[3, 5] = True
    points = np.array([[-3, -0.5], [99, 99], [0.99, 0.99], [1, 0]], np.float32)
    assert in_mask(points, mask).tolist() == [True, True, True, False]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 15))
def test_spread_is_greedy_farthest_point_sampling(seed: int, points: int, count: int) -> None:
    cloud = np.random.default_rng(seed).integers(0, 6, (points, 2)).astype(np.float32)
    chosen = spread(cloud, [densest(cloud)], count)
    assert len(chosen) == min(count, len(np.unique(cloud, axis=0)))
    assert chosen == spread(cloud, [densest(cloud)], count)
    for place in range(1, len(chosen)):
        distance = np.linalg.norm(cloud[:, None] - cloud[chosen[:place]], axis=2).min(axis=1)
        assert distance[chosen[place]] == distance.max()
