"""Who is who in a new window: which of its objects are known ones, and what each is called."""

from dataclasses import dataclass

import numpy as np

from samotion.runtime.stages.merging import merge_groups
from samotion.runtime.values import Bool, Float, Int

UNKNOWN = -1
# Two windows draw an object from different clicks, and a coarse network's outlines then differ by up to half.
# Below a third most of either mask (of equal areas) is outside the other, and neither speaks for the other.
SAME_IOU = 1 / 3


@dataclass(frozen=True)
class Identified:
    """Objects of one window: masks (K, T, H, W) bool; identities (K,) int64 from 1 up, ascending.

    still: (K,) int64, for how many windows, this one included, only memory has followed each of them.
    """

    masks: Bool
    identities: Int
    still: Int


def link(known: Bool, found: Bool) -> Int:
    """Return (K,) int64: which known object (P, S, H, W) each found one (K, S, H, W) is, UNKNOWN for none.

    Over the S shared frames the pair with the highest IoU is joined first, each object at most once, down to
    SAME_IOU. Of equal pairs the known object, then the found one, with the lower index comes first.
    """
    likeness = overlap_iou(known, found)
    links = np.full(len(found), UNKNOWN, np.int64)
    taken = np.zeros(len(known), np.bool_)
    for pair in np.argsort(-likeness, axis=None, kind="stable"):
        p, k = divmod(int(pair), len(found))
        if likeness[p, k] < SAME_IOU:
            break
        if not taken[p] and links[k] == UNKNOWN:
            taken[p], links[k] = True, p
    return links


def identified(found: Bool, identities: Int, carried: Identified, shared: int, last: int) -> Identified:
    """Return a window's objects, named, ascending: those found in it and those carried into it.

    found: (K, T, H, W), written to; identities: (K,), UNKNOWN for those that no known object was linked to. By
    merging's rule one thing is one object, under its link's identity, else its oldest one. Where a carried object
    overlaps a found one, the found one has it: its tracks have just moved. What the frames after the first
    ``shared`` never show is left out. New objects are numbered from ``last`` + 1 in the order they were found.
    """
    names, alike = identities.copy(), same_as(found, carried.masks)
    for name, own, k in zip(carried.identities, carried.masks, alike, strict=True):
        if k != UNKNOWN:
            found[k] |= own
            names[k] = name if names[k] == UNKNOWN else names[k]
    rest = _merged(carried, alike == UNKNOWN)
    rest.masks[:] &= ~found.any(axis=0)
    every = [*found, *rest.masks]  # joined only once it is known which remain: each is large
    names = np.concatenate([names, rest.identities])
    still = np.concatenate([np.zeros(len(found), np.int64), rest.still])
    shown = np.array([k for k, own in enumerate(every) if own[shared:].any()], np.int64)
    fresh = shown[names[shown] == UNKNOWN]
    names[fresh] = last + 1 + np.arange(len(fresh))
    order = shown[np.argsort(names[shown])]
    masks = np.stack([every[k] for k in order]) if len(order) else found[:0]
    return Identified(masks, names[order], still[order])


def same_as(found: Bool, carried: Bool) -> Int:
    """Return (C,) int64: which of found (K, T, H, W) each of carried (C, T, H, W) is by merging's rule, or UNKNOWN.

    Of several it is the one with the highest IoU; two found ones are never joined by what is carried.
    """
    likeness = overlap_iou(carried, found)
    answer = np.full(len(carried), UNKNOWN, np.int64)
    for c, own in enumerate(carried):
        for k in np.argsort(-likeness[c], kind="stable"):
            if likeness[c, k] > 0 and np.ptp(merge_groups(np.stack([found[k], own]))) == 0:
                answer[c] = k
                break
    return answer


def overlap_iou(first: Bool, second: Bool) -> Float:
    """Return (P, K): intersection over union of masks (P, S, H, W) and (K, S, H, W) over all S frames; 0 if empty."""
    both = np.zeros((len(first), len(second)))
    for frame in range(first.shape[1]):  # one at a time: as numbers, whole windows would be large
        a, b = (x[:, frame].reshape(len(x), -1 if len(x) else 0).astype(np.float32) for x in (first, second))
        if a.size and b.size:
            both += a @ b.T
    areas = [np.count_nonzero(x, axis=(1, 2, 3)) for x in (first, second)]
    union = areas[0][:, None] + areas[1][None] - both
    ious: Float = (both / np.maximum(union, 1)).astype(np.float32)
    return ious


def _merged(carried: Identified, chosen: Bool) -> Identified:
    """Return the chosen objects, those that drifted onto the same thing as one under the oldest identity."""
    masks = carried.masks[chosen]
    _, first, group = np.unique(merge_groups(masks), return_index=True, return_inverse=True)
    merged = masks[first]
    for own, into in zip(masks, group, strict=True):
        merged[into] |= own
    return Identified(merged, carried.identities[chosen][first], carried.still[chosen][first])
