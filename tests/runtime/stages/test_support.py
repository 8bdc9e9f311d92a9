import numpy as np
import pytest

from samotion.runtime.stages.support import support, supported
from samotion.runtime.values import MotionLabels, ObjectMasks, Tracks

SIZE = (20, 40)


def tracks(points: list[tuple[float, float]]) -> Tracks:
    """Points that stay where they are over two frames, all visible."""
    xy = np.repeat(np.array(points, np.float32).reshape(-1, 1, 2), 2, axis=1)
    seen = np.ones(xy.shape[:2], np.bool_)
    return Tracks(xy, seen, seen.astype(np.float32), seen.astype(np.float32), np.zeros(len(xy), np.int64))


# Left: three of four move; right: one of four; in the middle nobody is.
MASKS = np.zeros((3, 2, *SIZE), np.bool_)
MASKS[0, :, :, :10] = MASKS[1, :, :, 30:] = MASKS[2, :, :, 15:20] = True
TRACKS = tracks([(2, 2), (4, 4), (6, 6), (8, 8), (32, 2), (34, 4), (36, 6), (38, 8), (25, 5)])
DYNAMIC = np.array([1, 1, 1, 0, 1, 0, 0, 0, 1], np.bool_)
LABELS = MotionLabels(DYNAMIC.astype(np.float32), DYNAMIC)


def test_support_is_the_share_of_moving_points_inside() -> None:
    np.testing.assert_allclose(support(MASKS, TRACKS, DYNAMIC), [0.75, 0.25, 0])
    hidden = tracks([(2, 2), (4, 4)])
    hidden.visible[1, 1] = False
    found = support(MASKS[:1], hidden, np.array([True, False]))
    assert found == pytest.approx([2 / 3])


def test_what_is_far_less_supported_than_the_best_is_left_out() -> None:
    kept = supported(ObjectMasks(MASKS), TRACKS, LABELS, 0.65)
    np.testing.assert_array_equal(kept.values, MASKS[:1])
    kept = supported(ObjectMasks(MASKS), TRACKS, LABELS, 0.3)
    np.testing.assert_array_equal(kept.values, MASKS[:2])


def test_a_lone_object_stays() -> None:
    kept = supported(ObjectMasks(MASKS[1:2]), TRACKS, LABELS, 0.65)
    assert len(kept.values) == 1
    none = supported(ObjectMasks(MASKS[:0]), TRACKS, LABELS, 0.65)
    assert none.values.shape == (0, 2, *SIZE)
