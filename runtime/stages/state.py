"""What each object does on each frame, from its own tracks: it moves, stands still, is hidden, or is lost."""

import cv2
import numpy as np

from samotion.runtime.stages.prompts import in_mask
from samotion.runtime.values import Bool, Bytes, Float, State, Tracks

REACH = 4  # frames before and after: slow motion shows against the tracks' noise, a stop is off by no more than this
FEWEST_SCENERY = 8  # tracks; a homography has eight unknowns, and half that many points
# Tracks off by Gaussian noise are 1.18 sigma off in the median, and one in five hundred is beyond three times that.
ABOVE_NOISE = 3.0
TRACKER_SIDE = 256  # pixels of the tracker's input: what moves by less than one of them does not move


def states(masks: Bool, tracks: Tracks) -> Bytes:
    """Return what objects (K, T, H, W) do on each frame, as far as one window tells: (K, T) uint8 of State.

    An object is seen where it has pixels that no object before it has; its own tracks are mostly inside those. On a
    frame that shows it, it moves where the median of its own tracks departs from the camera's motion by clearly more
    than the scenery does, and by more than a pixel of the tracker's input, between REACH frames before and after. A
    frame without a visible track of its own takes the nearest frame's answer; where no frame has one, nothing shows
    that it moves: it is still. Where it is not seen, it is hidden if most of its own tracks go on inside the image,
    else lost.
    """
    count, frames, height, width = masks.shape
    seen = np.zeros((count, frames), np.bool_)
    own = np.zeros((count, len(tracks.xy)), np.bool_)
    covered = np.zeros((frames, height, width), np.bool_)
    for k, mask in enumerate(masks):
        on_top = mask & ~covered
        covered |= mask
        seen[k], own[k] = on_top.any(axis=(1, 2)), _own(on_top, tracks)
    least = max(height, width) / TRACKER_SIDE
    answer = np.full((count, frames), np.nan)
    for frame in range(frames):
        before, after = max(frame - REACH, 0), min(frame + REACH, frames - 1)
        shown = tracks.visible[:, before] & tracks.visible[:, after]
        away, noise = _departures(tracks.xy[:, before], tracks.xy[:, after], shown & ~own.any(axis=0))
        for k in np.flatnonzero((own & shown).any(axis=1)).tolist():
            answer[k, frame] = np.median(away[own[k] & shown]) > max(least, ABOVE_NOISE * noise)
    inside = ((tracks.xy >= 0) & (tracks.xy < (width, height))).all(axis=2)
    there = 2 * (own.astype(np.float32) @ inside) > own.sum(axis=1, keepdims=True)
    moving = np.array([_nearest(row) for row in answer], np.bool_).reshape(count, frames)
    found = np.where(moving, State.MOVING, State.STILL)
    return np.asarray(np.where(seen, found, np.where(there, State.HIDDEN, State.LOST)), np.uint8)


def _own(mask: Bool, tracks: Tracks) -> Bool:
    """Return (N,) which tracks are mostly inside ``mask`` (T, H, W), of the frames that show both."""
    inside, shown = np.zeros(len(tracks.xy)), np.zeros(len(tracks.xy))
    for frame in np.flatnonzero(mask.any(axis=(1, 2))):
        visible = tracks.visible[:, frame]
        shown += visible
        inside += visible & in_mask(tracks.xy[:, frame], mask[frame])
    return np.asarray(2 * inside > shown, np.bool_)


def _departures(before: Float, after: Float, scenery: Bool) -> tuple[Float, float]:
    """Return how far each point (N,) departs from the camera's motion, in pixels, and the scenery's median.

    before, after: (N, 2) pixels on two frames. scenery: (N,) which tell the camera's motion, a homography; where too
    few do, the camera is taken to stand still.
    """
    moved = before
    if np.count_nonzero(scenery) >= FEWEST_SCENERY:
        homography, _ = cv2.findHomography(before[scenery], after[scenery], cv2.LMEDS)
        if homography is not None:
            moved = cv2.perspectiveTransform(before[None].astype(np.float64), homography)[0].astype(np.float32)
    away = np.asarray(np.linalg.norm(after - moved, axis=1), np.float32)
    return away, float(np.median(away[scenery])) if scenery.any() else 0.0


def _nearest(answer: Float) -> Bool:
    """Return (T,) the answers with each gap, a NaN, as the nearest answer; without any all are False."""
    known = np.flatnonzero(~np.isnan(answer))
    if not len(known):
        return np.zeros(len(answer), np.bool_)
    nearest = np.abs(np.arange(len(answer))[:, None] - known).argmin(axis=1)
    return np.asarray(answer[known[nearest]] > 0, np.bool_)
