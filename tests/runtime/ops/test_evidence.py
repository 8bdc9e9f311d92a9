"""Frames without evidence: blank ones, and those that repeat what was shown."""

import numpy as np

from samotion.runtime.ops.evidence import informative
from samotion.runtime.values import Bytes


def picture(seed: int) -> Bytes:
    return np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)


def test_blank_and_repeated_frames_tell_nothing() -> None:
    black, grey = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 90, np.uint8)
    frames = np.stack([black, black, picture(1), picture(1), picture(2), grey, picture(2), picture(1)])
    assert informative(frames).tolist() == [False, False, True, False, True, False, False, True]


def test_a_faint_slow_mover_is_seen_in_the_end() -> None:
    frames = np.repeat(picture(3)[None] // 2, 12, 0)
    for index in range(12):
        frames[index, 20:24, 20 : 21 + index] += 6
    seen = informative(frames)
    assert seen[0]
    assert 3 <= seen.sum() <= 12


def test_no_frames() -> None:
    assert informative(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0,)
