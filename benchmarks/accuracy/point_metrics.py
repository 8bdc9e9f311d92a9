"""How well points are followed: PCK for joints, TAP-Vid's measures for exact tracks.

TAP-Vid's follow its official program (query mode "first"): frames after the query count, and positions are in
pixels of 256×256.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.values import Bool, Float, Int

Double = NDArray[np.float64]

THRESHOLDS = (1, 2, 4, 8, 16)  # pixels of 256×256
SIDE = 256


@dataclass(frozen=True)
class PointScores:
    """One clip, shares in [0, 1]; nan where nothing counts.

    delta: share of the visible points that are nearer than 1, 2, 4, 8 and 16 pixels, averaged over the five.
    occlusion: accuracy of telling hidden from visible. jaccard: points right in both, over those true or claimed
    visible, averaged over the five distances.
    """

    delta: float
    occlusion: float
    jaccard: float


def pck(found: Float | Double, truth: Float | Double, area: Double, share: float = 0.2) -> Bool:
    """Return which points (N,) are nearer to the truth than ``share`` of the square root of their object's area.

    found, truth: (N, 2) pixels. area: (N,) pixels.
    """
    distance = np.hypot(*(np.asarray(found, np.float64) - truth).T)
    return np.asarray(distance < share * np.sqrt(area))


def tap_scores(
    query_frame: Int, truth: Float, visible: Bool, found: Float, claimed: Bool, size: tuple[int, int]
) -> PointScores:
    """Score tracks against the truth on the frames after their queries.

    query_frame: (N,). truth, found: (N, T, 2) pixels of frames of ``size`` (height, width). visible, claimed:
    (N, T), whether the point is seen and whether it is said to be.
    """
    scale = SIDE / np.array(size[::-1], np.float64)
    distance = np.hypot(*np.moveaxis((found.astype(np.float64) - truth) * scale, -1, 0))
    counted = np.arange(truth.shape[1]) > query_frame[:, None]
    seen, told = visible & counted, claimed & counted
    within, jaccard = [], []
    for threshold in THRESHOLDS:
        near = distance < threshold
        within.append(_share((near & seen).sum(), seen.sum()))
        wrong = told & ~(near & visible)
        jaccard.append(_share((near & seen & told).sum(), seen.sum() + wrong.sum()))
    return PointScores(
        delta=float(np.mean(within)),
        occlusion=_share(((visible == claimed) & counted).sum(), counted.sum()),
        jaccard=float(np.mean(jaccard)),
    )


def _share(part: np.integer, whole: np.integer) -> float:
    return float(part) / float(whole) if whole else float("nan")
