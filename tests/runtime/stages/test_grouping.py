import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from tests.support.paths import GOLDEN

from samotion.runtime.stages.grouping import busiest_frame, completed, dilated, group_tracks, rounds
from samotion.runtime.values import Bool, Float, Prompt, TrackGroup

CASE = GOLDEN / "grouping.npz"


class LabelSegmenter:
    """Answers a click with the pixels of its label; on label 0 with the disc of radius 3 around it."""

    def __init__(self, labels: np.ndarray) -> None:
        self.labels = labels
        self.asked: list[tuple[float, ...]] = []

    def __call__(self, frame: int, click: Float) -> Bool:
        self.asked.append((frame, *click.tolist()))
        labels = self.labels[frame]
        label = labels[int(click[1]), int(click[0])]
        if label:
            return np.asarray(labels == label)
        y, x = np.indices(labels.shape)
        return np.asarray(np.hypot(x - click[0], y - click[1]) <= 3)


def test_published_stage_one_is_met_exactly() -> None:
    golden = np.load(CASE)
    segment = LabelSegmenter(golden["labels"])
    groups = group_tracks(golden["xy"].transpose(1, 2, 0), golden["visible"], segment)
    np.testing.assert_array_equal([group.prompt.frame for group in groups], golden["object_frame"])
    np.testing.assert_array_equal([group.tracks for group in groups], golden["object_tracks"])
    np.testing.assert_array_equal(np.array(segment.asked), golden["prompts"])


def cluster(centre: tuple[float, float], count: int, frames: int) -> Float:
    """``count`` tracks (count, frames, 2) that stand still within 2 pixels of ``centre``."""
    angle = np.arange(count) * 2 * np.pi / count
    points = np.array(centre) + 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.repeat(points[:, None], frames, axis=1).astype(np.float32)


def square(centre: tuple[float, float], radius: int) -> Bool:
    mask = np.zeros((60, 80), np.bool_)
    x, y = int(centre[0]), int(centre[1])
    mask[y - radius : y + radius + 1, x - radius : x + radius + 1] = True
    return mask


def test_two_clusters_become_two_objects() -> None:
    left, right = (15.0, 30.0), (60.0, 30.0)
    xy = np.concatenate([cluster(left, 8, 10), cluster(right, 7, 10)])
    groups = group_tracks(
        xy, np.ones((15, 10), np.bool_), lambda _, click: square(left if click[0] < 40 else right, 5)
    )
    assert [group.tracks.sum() for group in groups] == [8, 7]
    assert not (groups[0].tracks & groups[1].tracks).any()


@pytest.mark.parametrize(("count", "objects"), [(0, 0), (1, 1), (5, 1), (6, 1)])
def test_few_tracks_are_taken_whole(count: int, objects: int) -> None:
    centre = (30.0, 30.0)
    groups = group_tracks(
        cluster(centre, count, 4) if count else np.empty((0, 4, 2), np.float32),
        np.ones((count, 4), np.bool_),
        lambda *_: square(centre, 5),
    )
    assert len(groups) == objects


def test_small_groups_leave_the_pool_without_becoming_objects() -> None:
    big, small = (15.0, 30.0), (60.0, 30.0)
    xy = np.concatenate([cluster(big, 10, 10), cluster(small, 3, 10)])
    asked = []

    def segment(_: int, click: Float) -> Bool:
        asked.append(click)
        return square(big if click[0] < 40 else small, 5)

    assert len(group_tracks(xy, np.ones((13, 10), np.bool_), segment)) == 1
    assert len(asked) == 1  # 3 tracks remain, too few to ask again


def test_an_object_needs_a_track_in_the_raw_mask() -> None:
    xy = cluster((30.0, 30.0), 8, 6)
    beside = square((36.0, 30.0), 2)  # misses the points, but its dilation reaches them
    assert group_tracks(xy, np.ones((8, 6), np.bool_), lambda *_: beside) == []


def test_hidden_tracks_and_empty_answers_end_the_search() -> None:
    xy = cluster((30.0, 30.0), 8, 6)
    nothing = np.zeros((60, 80), np.bool_)
    assert group_tracks(xy, np.zeros((8, 6), np.bool_), lambda *_: nothing) == []
    asked = []

    def segment(frame: int, _: Float) -> Bool:
        asked.append(frame)
        return nothing

    assert group_tracks(xy, np.ones((8, 6), np.bool_), segment) == []
    assert len(asked) == 5


def test_dilation_is_three_times_a_six_by_six_box() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[30, 30] = True
    y, x = np.nonzero(dilated(mask))
    assert y.max() - y.min() == x.max() - x.min() == 15
    assert dilated(mask).sum() == 16 * 16


@pytest.mark.parametrize(("frames", "expected"), [(1, 5), (80, 5), (81, 6), (160, 10), (1000, 10)])
def test_rounds(frames: int, expected: int) -> None:
    assert rounds(frames) == expected


@settings(deadline=None)
@given(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_the_busiest_frame_shows_a_point_wherever_one_is_visible(visible: Bool) -> None:
    frame = busiest_frame(visible)
    assert (frame is None) == (not visible.any())
    if frame is not None:
        assert visible[:, frame].any()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_objects_are_made_of_tracks_visible_on_their_frame(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(-5, 85, (20, 12, 2)).astype(np.float32)
    visible = rng.random((20, 12)) < 0.6
    labels = rng.integers(0, 3, (12, 6, 8)).repeat(10, axis=1).repeat(10, axis=2)

    def segment(frame: int, click: Float) -> Bool:
        x, y = click.clip([0, 0], [79, 59]).astype(int)
        return np.asarray(labels[frame] == labels[frame, y, x])

    groups = group_tracks(xy, visible, segment)
    assert len(groups) <= rounds(12)
    for group in groups:
        assert group.tracks.any()
        assert visible[group.tracks, group.prompt.frame].all()


def swarm(start: tuple[float, float], speed: tuple[float, float], count: int = 8, frames: int = 20) -> Float:
    """Return tracks (count, frames, 2) that move together, within 20 pixels of one another."""
    offsets = np.random.default_rng(int(start[0])).uniform(-10, 10, (count, 1, 2))
    xy = np.array(start) + offsets + np.arange(frames)[:, None] * np.array(speed)
    return np.asarray(xy, np.float32)


def group_of(tracks: list[int], count: int) -> TrackGroup:
    prompt = Prompt(0, np.zeros((1, 2), np.float32), np.ones(1, np.bool_))
    return TrackGroup(prompt, np.isin(np.arange(count), tracks))


def test_parts_that_move_as_one_are_joined_and_completed() -> None:
    xy = np.concatenate([swarm((50, 50), (3, 0)), swarm((300, 50), (-3, 0))])
    visible = np.ones(xy.shape[:2], np.bool_)
    groups = [group_of([0, 1], 16), group_of([2, 3], 16), group_of([8], 16)]
    found = completed(groups, xy, visible, 60.0)
    assert [np.flatnonzero(group.tracks).tolist() for group in found] == [list(range(8)), list(range(8, 16))]
    assert found[0].prompt is groups[0].prompt


def test_a_part_that_touches_with_most_of_its_tracks_is_joined() -> None:
    body, part = swarm((100, 50), (3, 0), 20), swarm((128, 50), (3, 0), 6)
    far = body - np.array([300, 0], np.float32)  # as large again, and nowhere near the part
    xy = np.concatenate([body, far, part])
    visible = np.ones(xy.shape[:2], np.bool_)
    large, small = group_of(list(range(40)), 46), group_of(list(range(40, 46)), 46)
    assert len(completed([large, small], xy, visible, 60.0)) == 1
    assert len(completed([small, large], xy, visible, 60.0)) == 1
    apart = xy.copy()
    apart[43:, :, 1] += 80  # half of the part is elsewhere, and one more besides
    apart[42, :, 1] += 80
    assert len(completed([large, small], apart, visible, 60.0)) == 2


def test_a_few_tracks_do_not_join_what_is_on_their_two_sides() -> None:
    left, right = swarm((100, 50), (3, 0)), swarm((160, 50), (3, 0))
    between = swarm((130, 50), (3, 0), 4)
    xy = np.concatenate([left, right, between])
    visible = np.ones(xy.shape[:2], np.bool_)
    groups = [group_of(list(range(8)), 20), group_of(list(range(8, 16)), 20), group_of(list(range(16, 20)), 20)]
    assert len(completed(groups[:2], xy, visible, 60.0)) == 2
    found = completed(groups, xy, visible, 60.0)
    assert len(found) == 2
    assert sum(group.tracks.sum() for group in found) == 20, "each of them joins one side"


def test_objects_that_cross_stay_apart() -> None:
    xy = np.concatenate([swarm((50, 50), (8, 0)), swarm((200, 60), (-8, 0))])
    visible = np.ones(xy.shape[:2], np.bool_)
    found = completed([group_of([0, 1], 16), group_of([8, 9], 16)], xy, visible, 60.0)
    assert len(found) == 2
    assert not (found[0].tracks & found[1].tracks).any()


def test_where_stage_1_finds_nothing_the_largest_cluster_is_the_object() -> None:
    xy = np.concatenate([swarm((50, 50), (3, 0)), swarm((300, 50), (3, 0))])
    visible = np.ones(xy.shape[:2], np.bool_)
    (found,) = completed([], xy[:15], visible[:15], 60.0)
    assert np.flatnonzero(found.tracks).tolist() == list(range(8))
    assert any(np.array_equal(found.prompt.xy[0], point) for point in xy[:8, found.prompt.frame])
    assert completed([], xy[:5], visible[:5], 60.0) == []  # too few to be an object
    assert completed([], xy, ~visible, 60.0) == []
    assert completed([], xy[:0], visible[:0], 60.0) == []


def test_tracks_far_from_every_group() -> None:
    xy = np.concatenate([swarm((50, 50), (3, 0)), swarm((300, 50), (3, 0))])
    visible = np.ones(xy.shape[:2], np.bool_)
    (found,) = completed([group_of([0], 16)], xy, visible, 60.0)
    assert np.flatnonzero(found.tracks).tolist() == list(range(8))
    hidden = visible.copy()
    hidden[1:] = False
    (alone,) = completed([group_of([0], 16)], xy, hidden, 60.0)
    assert np.flatnonzero(alone.tracks).tolist() == [0]
