"""Clicks on an object, and votes, as the pipeline makes them: from tracks, some drifted and some mislabelled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.sam2.mask_prompt import drawn
from samotion.runtime.stages.prompts import background_points, densest, in_mask, spread
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
# Tracks of DAVIS's training clips by their probability: of the object's a quarter, of those mistaken for its half,
# and an eighth of the still ones are not so sure as to count in full (votes.SURE_MOVING, SURE_STILL).
RIGHT, MISTAKEN_SURE, STILL_SURE = 4.0, 2.0, 8.0
SEEN = 0.6  # least sureness that a visible point is seen


@dataclass(frozen=True)
class Tracked:
    """points (P, 2) float32 in pixels of the mask, labels (P,) int64, and the votes' logits (S/4, S/4) float32."""

    points: Float
    labels: NDArray[np.int64]
    votes: Float


def tracked_clicks(rng: Rng, mask: Bool, positive: int, negative: int, errors: bool = True) -> Tracked | None:
    """Return up to ``positive`` + ``negative`` clicks on an object's mask (S, S), and all tracks' votes.

    errors: tracks drift, and some are mislabelled. None where no track was taken for the object's.
    """
    scale = np.array([FRAME[1] / mask.shape[1], FRAME[0] / mask.shape[0]])
    count = int(np.exp(rng.uniform(np.log(FEWEST), np.log(MOST))))
    at = rng.uniform(0, FRAME[::-1], (count, 2))
    truth = in_mask((at / scale).astype(np.float32), mask)
    moving = truth
    if errors:
        moving = _labelled(rng, at, truth)
        at = at + rng.normal(0, rng.uniform(0, DRIFT), at.shape)
    at = at.clip(0, np.array(FRAME[::-1]) - 1)
    still = ~moving & (rng.random(count) >= rng.uniform(0, DOUBTED))
    inside, outside = at[moving].astype(np.float32), at[still].astype(np.float32)
    if not len(inside):
        return None
    chosen = inside[spread(inside, [densest(inside)], positive)]
    around = background_points(outside, inside, negative)
    points = np.concatenate([chosen, around]) / scale
    labels = np.repeat([1, 0], [len(chosen), len(around)])
    return Tracked(points.astype(np.float32), labels, _votes(rng, at, truth, moving, still, mask.shape[0] // 4))


def _votes(rng: Rng, at: Points, truth: Bool, moving: Bool, still: Bool, side: int) -> Float:
    """Return the votes (side, side) of tracks at (N, 2) that are taken for moving or still."""
    most = np.where(moving, np.where(truth, RIGHT, MISTAKEN_SURE), STILL_SURE)
    weight = (rng.uniform(0, most).clip(0, 1) * rng.uniform(SEEN, 1, len(at))).astype(np.float32)
    signed = weight * moving - weight * still
    return drawn((at / FRAME[::-1]).astype(np.float32), signed.astype(np.float32), side)


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
