"""The DAVIS measures: region J (which is the masks' IoU), boundary F, matching of objects, mean, recall and decay.

They follow the official DAVIS-2017 evaluation of the unsupervised task: every frame with a truth counts, the
first and the last included (only its semi-supervised task leaves those two out).
"""

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.benchmarks.datasets.truth import VOID
from samotion.calibration.comparison.iou import mask_ious
from samotion.engines.errors import InputError
from samotion.runtime.values import Bool, Bytes, Int

Scores = NDArray[np.float64]

BOUND = 0.008
RECALL = 0.5
BINS = 4


@dataclass(frozen=True)
class Statistics:
    """Mean over frames, share of frames above 0.5, and mean of the first quarter minus that of the last."""

    mean: float
    recall: float
    decay: float


@dataclass(frozen=True)
class ObjectScores:
    """Objects matched one to one: truth and prediction (M,) ids, in the truth's order; j and f (M, T).

    A truth object left without a partner has prediction 0 and is scored against an empty mask.
    """

    truth: Int
    prediction: Int
    j: Scores
    f: Scores


def boundary_accuracy(truth: Bool, prediction: Bool) -> float:
    """Return F of one frame's masks (H, W): precision and recall of edges within 0.8 % of the diagonal."""
    return _boundary_f(_Boundary.of(truth), _Boundary.of(prediction))


def binary_scores(truth: Bytes, prediction: Bytes) -> tuple[Scores, Scores]:
    """Return J and F, each (T,), of all objects taken together; ids (T, H, W), 255 in truth is not scored."""
    j, f = np.zeros(len(truth)), np.zeros(len(truth))
    for frame, pair in enumerate(zip(truth, prediction, strict=True)):
        one, other = (labels > 0 for labels in _without_void(*pair))
        j[frame], f[frame] = mask_ious(one, other), boundary_accuracy(one, other)
    return j, f


def object_scores(truth: Bytes, prediction: Bytes) -> ObjectScores:
    """Match objects one to one so that their mean (J + F) / 2 is largest, and return what each reaches.

    truth, prediction: (T, H, W) ids, 0 background, 255 in truth is not scored. Raises InputError where
    several true objects are to be matched and SciPy is not installed.
    """
    wanted, found = _identities(truth, but=VOID), _identities(prediction)
    padded = [*found, *[0] * (len(wanted) - len(found))]
    shape = (len(wanted), len(padded), len(truth))
    j, f = np.zeros(shape), np.zeros(shape)
    for frame, pair in enumerate(zip(truth, prediction, strict=True)):
        labels, answer = _without_void(*pair)
        truth_masks = [labels == identity for identity in wanted]
        masks = [(answer == identity) & (identity > 0) for identity in padded]
        truth_edges = [_Boundary.of(mask) for mask in truth_masks]
        edges = [_Boundary.of(mask) for mask in masks]
        for row, column in np.ndindex(shape[:2]):
            j[row, column, frame] = mask_ious(truth_masks[row], masks[column])
            f[row, column, frame] = _boundary_f(truth_edges[row], edges[column])
    rows, columns = np.arange(len(wanted)), best_partners(((j + f) / 2).mean(axis=2))
    return ObjectScores(
        truth=np.array(wanted, np.int64)[rows],
        prediction=np.array(padded, np.int64)[columns],
        j=j[rows, columns],
        f=f[rows, columns],
    )


def best_partners(score: Scores) -> Int:
    """Return for each row (M,) of ``score`` (M, P ≥ M) its own column, so that the sum of scores is largest.

    Raises InputError where there are several rows and SciPy is not installed.
    """
    if len(score) == 1:  # the common case, and it needs no SciPy
        return np.asarray(score.argmax(axis=1), np.int64)
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise InputError("matching several objects needs SciPy: pip install 'samotion[bench]'") from error
    _, columns = linear_sum_assignment(score, maximize=True)
    return np.asarray(columns, np.int64)


def statistics(values: Scores) -> Statistics:
    """Return mean, recall and decay of one score a frame (T,).

    The quarters share their border frames, as in the official code; frame numbers are not cut to 8 bits as
    they are there, so clips longer than 256 frames have a meaningful decay too.
    """
    border = np.round(np.linspace(1, len(values), BINS + 1) + 1e-10).astype(np.int64) - 1
    first, last = values[: border[1] + 1], values[border[-2] : border[-1] + 1]
    return Statistics(
        mean=float(values.mean()),
        recall=float((values > RECALL).mean()),
        decay=float(first.mean() - last.mean()),
    )


@dataclass(frozen=True)
class _Boundary:
    """Edges (H, W) of one mask and their neighbourhood, both uint8 0 or 1."""

    edges: Bytes
    near: Bytes

    @classmethod
    def of(cls, mask: Bool) -> "_Boundary":
        edges = _edges(mask)
        if not edges.any():
            return cls(edges, edges)
        near = cv2.dilate(edges, _disk(math.ceil(BOUND * math.hypot(*mask.shape))))
        return cls(edges, np.asarray(near, np.uint8))


def _boundary_f(truth: _Boundary, prediction: _Boundary) -> float:
    """F of two boundaries; an empty one has precision (or recall) 1 and the other measure is then 0."""
    wanted, found = int(truth.edges.sum()), int(prediction.edges.sum())
    precision = int((prediction.edges & truth.near).sum()) / found if found else 1.0
    recall = int((truth.edges & prediction.near).sum()) / wanted if wanted else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edges(mask: Bool) -> Bytes:
    """Pixels of a mask (H, W) that differ from their right, lower or lower right neighbour."""
    padded = np.pad(mask, (0, 1), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return np.asarray((mask != right) | (mask != below) | (mask != across), np.uint8)


@cache
def _disk(radius: int) -> Bytes:
    """All pixels at most ``radius`` from the centre of a (2·radius + 1)² square."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius, np.uint8)


def _identities(labels: Bytes, but: int = 0) -> list[int]:
    return [int(identity) for identity in np.unique(labels) if identity not in (0, but)]


def _without_void(truth: Bytes, prediction: Bytes) -> tuple[Bytes, Bytes]:
    """Both, with background where the truth is void."""
    scored = truth != VOID
    return truth * scored, prediction * scored
