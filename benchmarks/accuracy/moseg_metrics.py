"""FBMS's own measures: precision, recall and F of regions, and how many objects are found.

They follow the official program (MoSegEval 2.0; Ochs, Malik and Brox, PAMI 2014) with a dense segmentation in the
place of labelled tracks: every pixel is a point of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samotion.benchmarks.accuracy.metrics import best_partners
from samotion.runtime.values import Bytes, Float

FOUND = 0.75  # F above which a region counts as found
STEPS = 10_000  # the official matching works on F in whole ten-thousandths
SEEN = 1e-4  # summed certainty below which a region is not there


@dataclass(frozen=True)
class RegionScores:
    """One clip. precision, recall: means over its regions, the background among them. found, objects: counts."""

    precision: float
    recall: float
    found: int
    objects: int

    @property
    def f(self) -> float:
        """Harmonic mean of the two."""
        return harmonic(self.precision, self.recall)


def region_scores(truth: Bytes, prediction: Bytes, certainty: Float | None = None) -> RegionScores:
    """Match regions to clusters one to one so that the sum of their F is largest, and score them.

    truth, prediction: (S, H, W) ids over all annotated frames together, background 0 being one of them. certainty:
    (S, H, W) in [0, 1], each pixel's weight. A region left without a cluster has precision 1 and recall 0.
    """
    weight = np.ones(truth.shape) if certainty is None else certainty.astype(np.float64)
    regions, region = np.unique(truth, return_inverse=True)
    clusters, cluster = np.unique(prediction, return_inverse=True)
    overlap = np.bincount(
        region.ravel() * len(clusters) + cluster.ravel(), weight.ravel(), len(regions) * len(clusters)
    ).reshape(len(regions), len(clusters))
    overlap = overlap[overlap.sum(axis=1) > SEEN]
    precision = overlap / np.maximum(overlap.sum(axis=0), SEEN)
    recall = overlap / overlap.sum(axis=1, keepdims=True)
    f = _harmonic(precision, recall)
    empty = max(0, len(overlap) - overlap.shape[1])
    score = np.pad(np.floor(f * STEPS), ((0, 0), (0, empty)))
    partner = best_partners(score)
    rows = np.arange(len(overlap))
    met = partner < overlap.shape[1]
    own = np.minimum(partner, overlap.shape[1] - 1)
    return RegionScores(
        precision=float(np.where(met, precision[rows, own], 1).mean()),
        recall=float(np.where(met, recall[rows, own], 0).mean()),
        found=max(0, int((np.where(met, f[rows, own], 0) > FOUND).sum()) - 1),  # the background is no object
        objects=max(0, len(overlap) - 1),
    )


def summed(scores: Sequence[RegionScores]) -> dict[str, float | int | None]:
    """Return the data set's figures: means of precision and recall, F of the two means, objects found of all."""
    if not scores:
        return {"precision": None, "recall": None, "f": None, "found": 0, "objects": 0}
    precision = float(np.mean([score.precision for score in scores]))
    recall = float(np.mean([score.recall for score in scores]))
    found, objects = sum(score.found for score in scores), sum(score.objects for score in scores)
    return {
        "precision": precision,
        "recall": recall,
        "f": harmonic(precision, recall),
        "found": found,
        "objects": objects,
    }


def harmonic(one: float, other: float) -> float:
    """Return the harmonic mean, 0 where both are."""
    return 2 * one * other / (one + other) if one + other else 0.0


def _harmonic(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    total = one + other
    return np.where(total > 0, 2 * one * other / np.where(total > 0, total, 1), 0)
