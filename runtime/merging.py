"""One object per thing: join the objects that stage 2 drew on top of each other."""

import numpy as np

from samotion.runtime.values import Bool, Float, Int, ObjectMasks

SAME_IOU = 0.9
COVERED = 0.9
SAME_FRAMES = 0.3


def merge_groups(masks: Bool) -> Int:
    """Return (K,) int64: objects of masks (K, T, H, W) with equal numbers are one.

    Two are one where in at least 30 % of the frames their IoU is above 0.9 or one is covered by the other to at
    least 90 %; an empty mask is covered by none (SegAnyMo). Connected objects share a number; groups are
    numbered from 0 in the order of their lowest member.
    """
    count, frames, height, width = masks.shape
    together = np.zeros((count, count))
    for frame in range(frames):
        together += _same(masks[:, frame].reshape(count, height * width))
    return components(together / max(frames, 1) >= SAME_FRAMES)


def merge_objects(masks: ObjectMasks) -> ObjectMasks:
    """Return one object, the union of its members, for each group of merge_groups, in its order."""
    groups = merge_groups(masks.values)
    merged = np.zeros((int(groups.max(initial=-1)) + 1, *masks.values.shape[1:]), np.bool_)
    for member, group in enumerate(groups):
        merged[group] |= masks.values[member]
    return ObjectMasks(merged)


def _same(flat: Bool) -> Bool:
    """Which pairs (K, K) of one frame's masks (K, H·W) count as the same."""
    # One matrix product counts all overlaps; float32 is exact up to 2²⁴ pixels, float64 beyond.
    exact: type[np.floating] = np.float32 if flat.shape[1] < 2**24 else np.float64
    pixels = flat.astype(exact)
    overlap: Float = (pixels @ pixels.T).astype(np.float64)
    area = overlap.diagonal()
    union = area[:, None] + area[None] - overlap
    covered = (area[:, None] > 0) & (overlap >= COVERED * area[:, None])
    return (overlap > SAME_IOU * union) | covered | covered.T


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
