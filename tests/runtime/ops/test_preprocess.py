"""Network inputs: levels looked up are exactly levels scaled; resizing keeps order and sizes."""

import cv2
import numpy as np

from samotion.runtime.kernels.tables import MEAN, STD
from samotion.runtime.ops.preprocess import normalised, resized, signed

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 17, 23, 3), np.uint8)


def test_normalised_is_imagenet_s_scaling() -> None:
    found = normalised(FRAMES)
    wanted = ((FRAMES / 255.0 - MEAN) / STD).transpose(0, 3, 1, 2)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6)


def test_signed_spans_minus_one_to_one() -> None:
    found = signed(FRAMES)
    np.testing.assert_array_equal(
        found, FRAMES.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(127.5) - np.float32(1)
    )
    ends = np.array([[[[0, 255, 0]]]], np.uint8)
    assert signed(ends).ravel().tolist() == [-1, 1, -1]


def test_each_frame_is_resized_by_itself() -> None:
    found = resized(FRAMES, 8, 11, cv2.INTER_AREA)
    for frame, small in zip(FRAMES, found, strict=True):
        np.testing.assert_array_equal(small, cv2.resize(frame, (11, 8), interpolation=cv2.INTER_AREA))
    assert resized(FRAMES, 17, 23, cv2.INTER_AREA) is FRAMES
