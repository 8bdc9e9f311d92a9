"""Which of a clip's objects their tracks speak for: scenery that a few mislabelled tracks outlined is left out."""

import numpy as np

from samotion.runtime.stages.prompts import in_mask
from samotion.runtime.values import Bool, Float, MotionLabels, ObjectMasks, Tracks


def supported(found: ObjectMasks, tracks: Tracks, labels: MotionLabels, least: float | None) -> ObjectMasks:
    """Return the objects whose support is at least the part ``least`` of the best supported one's.

    least: None: all. A lone object stays whatever its support: on a thin mover most tracks are its surroundings'.
    """
    if least is None:
        return found
    share = support(found.values, tracks, labels.dynamic)
    return ObjectMasks(found.values[share >= least * share.max(initial=0)])


def support(masks: Bool, tracks: Tracks, moves: Bool | Float) -> Float:
    """Return for each object (K,) how far the points inside its masks (K, T, H, W) move: 0 none, 1 all.

    moves: (N,) which tracks are dynamic, or how probably each is. The mean is over all visible points inside; without
    one there is no support: 0.
    """
    inside, moving = np.zeros(len(masks)), np.zeros(len(masks))
    for frame in range(masks.shape[1]):
        shown = tracks.visible[:, frame]
        for k, mask in enumerate(masks[:, frame]):
            held = in_mask(tracks.xy[shown, frame], mask)
            inside[k] += held.sum()
            moving[k] += moves[shown][held].sum()
    return np.asarray(moving / np.maximum(inside, 1))
