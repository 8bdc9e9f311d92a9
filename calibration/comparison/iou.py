"""Intersection over union of masks."""

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.values import Bool


def mask_ious(a: Bool, b: Bool) -> NDArray[np.float64]:
    """Return the IoU (…) of masks (…, H, W) and (…, H, W); 1 where both are empty."""
    common, union = ((op(a, b)).sum(axis=(-2, -1)) for op in (np.logical_and, np.logical_or))
    return np.where(union == 0, 1.0, common / np.maximum(union, 1))
