"""One object per thing: join the objects that stage 2 drew on top of each other."""

from collections.abc import Iterator

import cv2
import numpy as np

from samotion.runtime.values import Bool, Int, ObjectMasks

SAME_IOU = 0.9
COVERED = 0.9
SAME_FRAMES = 0.3


def merge_groups(masks: Bool) -> Int:
    """Return (K,) int64: objects of masks (K, T, H, W) with equal numbers are one.

    Two are one where in at least 30 % of the frames their IoU is above 0.9 or one is covered by the other to at
    least 90 %; an empty mask is covered by none (SegAnyMo). Connected objects share a number; groups are
    numbered from 0 in the order of their lowest member.
    """
    count, frames = masks.shape[:2]
    together = np.zeros((count, count))
    for frame in range(frames if count > 1 else 0):
        for a, b in _same(masks[:, frame]):
            together[a, b] = together[b, a] = together[a, b] + 1
    return components(together / max(frames, 1) >= SAME_FRAMES)


def merge_objects(masks: ObjectMasks) -> ObjectMasks:
    """Return one object, the union of its members, for each group of merge_groups, in its order."""
    groups = merge_groups(masks.values)
    count = int(groups.max(initial=-1)) + 1
    if count == len(groups):
        return masks
    merged = np.zeros((count, *masks.values.shape[1:]), np.bool_)
    for member, group in enumerate(groups):
        merged[group] |= masks.values[member]
    return ObjectMasks(merged)


def _same(masks: Bool) -> Iterator[tuple[int, int]]:
    """Yield the pairs a < b of one frame's masks (K, H, W) that count as the same."""
    pixels = masks.view(np.uint8)
    area = np.array([cv2.countNonZero(mask) for mask in pixels])
    left, top, width, height = np.array([cv2.boundingRect(mask) for mask in pixels]).T
    right, bottom = left + width, top + height
    across = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    down = np.minimum.outer(bottom, bottom) - np.maximum.outer(top, top)
    # Either rule asks for an overlap of 0.9 of the smaller area: few pairs have room for it, only those are counted.
    smaller = np.minimum.outer(area, area)
    room = across.clip(0) * down.clip(0) >= min(SAME_IOU, COVERED) * smaller - 1
    for a, b in np.argwhere(np.triu(room & (smaller > 0), 1)).tolist():
        rows, columns = slice(max(top[a], top[b]), bottom[a]), slice(max(left[a], left[b]), right[a])
        overlap = np.count_nonzero(masks[a, rows, columns] & masks[b, rows, columns])
        covered = overlap >= COVERED * area[a] or overlap >= COVERED * area[b]
        if covered or overlap > SAME_IOU * (area[a] + area[b] - overlap):
            yield a, b


def components(linked: Bool) -> Int:
    """Number the connected components of a symmetric relation (K, K), in the order of their lowest member."""
    group = np.full(len(linked), -1, np.int64)
    for first in range(len(linked)):
        if group[first] >= 0:
            continue
        found, waiting = group.max() + 1, [first]
        while waiting:
            member = waiting.pop()
            group[member] = found
            waiting.extend(np.flatnonzero(linked[member] & (group < 0)).tolist())
    return group
