"""Intersection over union of masks."""

import numpy as np

from samotion.calibration.comparison.iou import mask_ious


def test_frames_are_compared_one_by_one_and_empty_ones_agree() -> None:
    masks = np.zeros((3, 2, 2), np.bool_)
    masks[0, 0] = True
    other = masks.copy()
    other[0, 1, 0] = other[1, 0, 0] = True
    np.testing.assert_allclose(mask_ious(masks, other), [2 / 3, 0, 1])
    np.testing.assert_allclose(mask_ious(masks[0], other[0]), 2 / 3)
