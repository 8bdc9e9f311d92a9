"""Stage 1: split the moving tracks into objects by asking for a mask where most of them are visible."""

from collections.abc import Callable

import cv2
import numpy as np

from samotion.runtime.stages.merging import components
from samotion.runtime.stages.prompts import densest, in_mask
from samotion.runtime.values import Bool, Float, Int, Prompt, TrackGroup

FEWEST_TRACKS = 6
ROUNDS = (5, 10)
FRAMES_PER_ROUND = 16
BUSIEST = 0.2
DILATION = np.ones((6, 6), np.uint8)
DILATIONS = 3
TOGETHER = 4  # frames that must show two tracks before they count as side by side
AS_ONE = 0.5  # part of the smaller of two groups that must move as one with a track of the other, each beside it

Segment = Callable[[int, Float], Bool]


def group_tracks(xy: Float, visible: Bool, segment: Segment) -> list[TrackGroup]:
    """Return the objects that the moving tracks belong to, in the order they were found.

    xy: (N, T, 2) pixels. visible: (N, T) bool, where a track may be clicked (see prompts.promptable).
    segment: answers one click (2,) on a frame with a mask (H, W) bool. Procedure and constants: SegAnyMo.
    Tracks may belong to several objects or to none; an object without a track is left out, since nothing
    could be clicked for it later.
    """
    count, frames = visible.shape
    pool = np.arange(count)
    take_all = count < FEWEST_TRACKS
    groups = []
    for _ in range(rounds(frames)):
        frame = busiest_frame(visible[pool])
        shown = pool[visible[pool, frame]] if frame is not None else pool[:0]
        if frame is None or not len(shown):
            break
        points = xy[shown, frame]
        click = points[densest(points)]
        mask = segment(frame, click)
        near = shown[in_mask(points, dilated(mask))]
        # "Or more than 6 of them visible in one frame" can add nothing: near is already the larger set.
        if take_all or len(near) >= FEWEST_TRACKS:
            tracks = np.zeros(count, np.bool_)
            tracks[shown[in_mask(points, mask)]] = True
            if tracks.any():
                groups.append(TrackGroup(Prompt(frame, click[None], np.ones(1, np.bool_)), tracks))
        pool = np.setdiff1d(pool, near, assume_unique=True)
        if len(pool) < FEWEST_TRACKS:
            break
    return groups


def rounds(frames: int) -> int:
    """Return how many times stage 1 asks at most: one round per 16 frames, 5 at least and 10 at most."""
    fewest, most = ROUNDS
    return max(fewest, min(most, -(-frames // FRAMES_PER_ROUND)))


def busiest_frame(visible: Bool) -> int | None:
    """Return the middle, in time, of the 20 % of frames with most visible points (N, T); None if all are hidden.

    Where that frame has none visible it is the frame with most. Below 5 frames all count.
    """
    seen: Int = visible.sum(axis=0, dtype=np.int64)
    if not seen.any():
        return None
    top = int(len(seen) * BUSIEST) or len(seen)
    # Published is an unstable sort, whose order among equals changes with the CPU. Here equals rank by
    # nearness to the clip's middle frame, then earlier first, so the answer is the same everywhere.
    from_middle = np.abs(np.arange(len(seen)) - len(seen) // 2)
    busiest = np.sort(np.lexsort((from_middle, -seen))[:top])
    middle = int(busiest[len(busiest) // 2])
    return middle if seen[middle] else int(seen.argmax())


def dilated(mask: Bool) -> Bool:
    """Grow a mask (H, W) three times by a 6×6 box."""
    grown = cv2.dilate(mask.astype(np.uint8), DILATION, iterations=DILATIONS)
    return np.asarray(grown, np.bool_)


def completed(groups: list[TrackGroup], xy: Float, visible: Bool, radius: float) -> list[TrackGroup]:
    """Return ``groups`` joined where they move as one, with the tracks that had no group.

    xy: (N, T, 2) pixels. visible: (N, T) bool. Two groups are parts of one object where enough tracks of the smaller
    one have a track of the other within half of ``radius`` pixels and change that by little: parts touch along a seam
    only, and a part of few tracks is all seam. Then tracks without a group join that
    of their nearest neighbour within ``radius``, and draw others after them. Where stage 1 found no object, the
    largest cluster of tracks within ``radius`` of each other is one. For networks whose answer to one click is
    often smaller than the object, or empty.
    """
    distance, change = _apart(xy, visible)
    if not groups:
        return _largest_cluster(xy, visible, distance <= radius)
    # Whether a small mask is found at all turns on rounding: it must not join what is on its two sides.
    groups = [group for group in groups if group.tracks.sum() >= FEWEST_TRACKS] or groups
    as_one = distance + 2 * change <= radius / 2
    linked = np.array([[_touching(as_one, a.tracks, b.tracks) for b in groups] for a in groups], np.bool_)
    numbers = components(linked)
    owner = np.full(len(xy), -1)
    for group, number in zip(reversed(groups), reversed(numbers), strict=True):
        owner[group.tracks] = number
    while (owner >= 0).any() and (owner < 0).any():
        inside, outside = np.flatnonzero(owner >= 0), np.flatnonzero(owner < 0)
        near = distance[np.ix_(outside, inside)]
        joining = near.min(axis=1) <= radius
        if not joining.any():
            break
        owner[outside[joining]] = owner[inside[near.argmin(axis=1)[joining]]]
    _, firsts = np.unique(numbers, return_index=True)
    return [TrackGroup(groups[first].prompt, owner == number) for number, first in enumerate(firsts)]


def _touching(as_one: Bool, first: Bool, second: Bool) -> bool:
    """Return whether enough tracks of the smaller group (N,) move as one with any of the other."""
    smaller, larger = sorted((first, second), key=np.count_nonzero)
    return bool(as_one[np.ix_(smaller, larger)].any(axis=1).mean() >= AS_ONE)


def _largest_cluster(xy: Float, visible: Bool, near: Bool) -> list[TrackGroup]:
    """Return as one object the largest cluster of tracks linked by ``near`` (N, N); none if it is too small."""
    numbers = components(near | np.eye(len(near), dtype=np.bool_))
    tracks = numbers == np.bincount(numbers).argmax() if len(numbers) else np.zeros(0, np.bool_)
    frame = busiest_frame(visible[tracks])
    if tracks.sum() < FEWEST_TRACKS or frame is None:
        return []
    points = xy[tracks][visible[tracks, frame], frame]
    click = points[densest(points)]
    return [TrackGroup(Prompt(frame, click[None], np.ones(1, np.bool_)), tracks)]


def _apart(xy: Float, visible: Bool) -> tuple[Float, Float]:
    """Return how far apart tracks are and how much that changes, (N, N) pixels each, infinite if unknown.

    They are the root mean square of the distance and the deviation of the vector between two tracks, over the
    frames that show both; unknown where fewer than TOGETHER (or all) frames do.
    """
    shown = visible.astype(np.float64)
    count = shown @ shown.T
    safe = np.maximum(count, 1)
    square, squared_mean = np.zeros_like(count), np.zeros_like(count)
    for axis in np.moveaxis(xy.astype(np.float64), -1, 0) * shown:
        total, squares = shown @ axis.T, shown @ (axis**2).T
        square += (squares + squares.T - 2 * axis @ axis.T) / safe
        squared_mean += ((total - total.T) / safe) ** 2
    known = count >= min(TOGETHER, xy.shape[1])
    distance, change = (np.sqrt(np.maximum(x, 0)) for x in (square, square - squared_mean))
    return np.where(known, distance, np.inf), np.where(known, change, np.inf)
