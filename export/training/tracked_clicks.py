"""Clicks on an object as the pipeline makes them: chosen from tracks, some of which drifted or are mislabelled."""

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.prompts import background_points, densest, in_mask, spread
from samotion.runtime.values import Bool, Float

Rng = np.random.Generator
Points = NDArray[np.float64]
FRAME = (480.0, 854.0)  # height and width that the pipeline's distances are meant for
FEWEST, MOST = 60, 600  # tracks visible in a frame
DRIFT = 6.0  # most pixels of FRAME, root mean square, between a track and the point that it was labelled for
# How the motion network errs: on single tracks, and on everything in some place, more often beside the object.
MISSED, MISTAKEN = 0.3, 0.04  # most of the moving and of the still tracks
MISSED_PLACE, MISTAKEN_PLACE = 0.3, 0.3  # how often a place is
PLACE = (0.05, 0.25)  # its radius in parts of the frame's height
DOUBTED = 0.4  # most of the still tracks that are not sure enough to be clicked


def tracked_clicks(
    rng: Rng, mask: Bool, positive: int, negative: int
) -> tuple[Float, NDArray[np.int64]] | tuple[None, None]:
    """Return up to ``positive`` + ``negative`` points (P, 2) float32 in pixels of ``mask`` (S, S) and labels (P,).

    None, None where no track was taken for the object's.
    """
    scale = np.array([FRAME[1] / mask.shape[1], FRAME[0] / mask.shape[0]])
    count = int(np.exp(rng.uniform(np.log(FEWEST), np.log(MOST))))
    at = rng.uniform(0, FRAME[::-1], (count, 2))
    moving = _labelled(rng, at, in_mask((at / scale).astype(np.float32), mask))
    at = at + rng.normal(0, rng.uniform(0, DRIFT), at.shape)
    at = at.clip(0, np.array(FRAME[::-1]) - 1)
    still = ~moving & (rng.random(count) >= rng.uniform(0, DOUBTED))
    inside, outside = at[moving].astype(np.float32), at[still].astype(np.float32)
    if not len(inside):
        return None, None
    chosen = inside[spread(inside, [densest(inside)], positive)]
    around = background_points(outside, inside, negative)
    points = np.concatenate([chosen, around]) / scale
    return points.astype(np.float32), np.repeat([1, 0], [len(chosen), len(around)])


def _labelled(rng: Rng, at: Points, truth: Bool) -> Bool:
    """Return which tracks at (N, 2) are taken for moving where ``truth`` (N,) says which do."""
    found = truth & (rng.random(len(at)) >= rng.uniform(0, MISSED))
    found |= ~truth & (rng.random(len(at)) < rng.uniform(0, MISTAKEN) ** 2 / MISTAKEN)
    if truth.any() and rng.random() < MISSED_PLACE:
        found &= ~_near(rng, at, at[truth][rng.integers(truth.sum())])
    if truth.any() and rng.random() < MISTAKEN_PLACE:
        beside = at[truth][rng.integers(truth.sum())] + rng.normal(0, 0.2 * FRAME[0], 2)
        found |= _near(rng, at, beside)
    return found


def _near(rng: Rng, at: Points, place: Points) -> Bool:
    """Return which of the points (N, 2) lie about ``place`` (2,)."""
    near: Bool = np.hypot(*(at - place).T) < rng.uniform(*PLACE) * FRAME[0]
    return near
