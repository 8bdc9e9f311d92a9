"""How far two answers for the same clip agree."""

import numpy as np

from samotion.calibration.comparison.iou import mask_ious
from samotion.runtime.values import ObjectMasks


def mean_iou(one: ObjectMasks, other: ObjectMasks) -> float | None:
    """Return the mean IoU over objects and frames of two answers (K, T, H, W) for one clip; None without objects.

    Objects are paired, best overlap over the clip first; one without a partner counts as 0. Frames in which
    both of a pair are absent are left out, so that absence cannot raise the mean.
    """
    ours, theirs = one.values, other.values
    overlap = np.zeros((len(ours), len(theirs)))
    area = int(np.prod(ours.shape[2:]))
    for frame in range(ours.shape[1]):
        pixels = [masks[:, frame].reshape(len(masks), area).astype(np.float32) for masks in (ours, theirs)]
        overlap += pixels[0] @ pixels[1].T
    scores = [0.0] * abs(len(ours) - len(theirs))
    for _ in range(min(len(ours), len(theirs))):
        k, m = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[k], overlap[:, m] = -1, -1
        seen = (ours[k] | theirs[m]).any(axis=(1, 2))
        if seen.any():
            scores.append(float(mask_ious(ours[k][seen], theirs[m][seen]).mean()))
    return float(np.mean(scores)) if scores else None
