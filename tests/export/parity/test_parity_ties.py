import cv2
import numpy as np

from samotion.export.parity.sam2_case import MOST_TIES, _nearest, _ties
from samotion.runtime.values import Float


def memory_of(mask: Float) -> Float:
    """A stand-in for the memory encoder: the share of a cut mask in every block of 4 × 4 pixels."""
    large = np.asarray(cv2.resize(mask[0], (256, 256), interpolation=cv2.INTER_LINEAR)) > 0
    share = large.reshape(64, 4, 64, 4).mean((1, 3), dtype=np.float32)
    return np.kron(share, np.ones((4, 4), np.float32))[None, None].repeat(4, 1)


def test_ties_of_a_cut_mask_are_broken_by_the_memory_wanted() -> None:
    mask = np.random.default_rng(0).choice(np.array([-5, 5], np.float32), (1, 64, 64))
    mask[0, 20:23, 30:33] = 1e-7
    assert 1 <= len(_ties(mask)) <= MOST_TIES
    other = mask.copy()
    other[0, 21, 31] = -1e-6
    wanted, before = memory_of(other)[0, ::4, ::4, ::4], memory_of(mask)
    after = _nearest(before, mask, memory_of, wanted)
    assert np.abs(before[0, ::4, ::4, ::4] - wanted).sum() > np.abs(after[0, ::4, ::4, ::4] - wanted).sum()


def test_what_no_tie_explains_stays_as_far_away_as_it_is() -> None:
    mask = np.random.default_rng(1).choice(np.array([-5, 5], np.float32), (1, 64, 64))
    other = mask.copy()
    other[0, 21:25, 31:35] *= -1
    before = memory_of(mask)
    after = _nearest(before, mask, memory_of, memory_of(other)[0, ::4, ::4, ::4])
    assert np.array_equal(after, before)
