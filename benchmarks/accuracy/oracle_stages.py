"""What a stage of the pipeline would answer if it knew the truth, in the values that the next stage takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samotion.benchmarks.datasets.truth import VOID
from samotion.runtime.settings import Settings
from samotion.runtime.stages.prompts import densest, promptable
from samotion.runtime.values import Bool, Bytes, Float, Int, Prompt, TrackGroup, Tracks

POINTS = 64  # points drawn from each true mask and frame, far more than there are clicks
AROUND = 256  # points drawn from what is no object, likewise


@dataclass(frozen=True)
class TrackTruth:
    """What the truth says of tracks: dynamic (N,) bool; owner (N,) int64, the object id, 0 where not dynamic."""

    dynamic: Bool
    owner: Int


def ids_under(tracks: Tracks, truth: Bytes) -> Int:
    """Return the true id (N, T) under each point of ``tracks``, −1 where it is hidden or on what is not scored."""
    height, width = truth.shape[1:]
    x = np.clip(np.rint(tracks.xy[..., 0]), 0, width - 1).astype(np.int64)
    y = np.clip(np.rint(tracks.xy[..., 1]), 0, height - 1).astype(np.int64)
    ids = truth[np.arange(truth.shape[0])[None], y, x].astype(np.int64)
    return np.where(tracks.visible & (ids != VOID), ids, -1)


def true_labels(tracks: Tracks, truth: Bytes) -> TrackTruth:
    """Return which tracks are dynamic: more than half of their visible points lie on true objects (T, H, W ids).

    A dynamic track belongs to the object that most of them lie on.
    """
    ids = ids_under(tracks, truth)
    counts = np.stack(
        [(ids == identity).sum(axis=1) for identity in range(int(truth[truth != VOID].max(initial=0)) + 1)]
    )
    on_objects = counts[1:].sum(axis=0)
    dynamic = 2 * on_objects > counts.sum(axis=0)
    owner = np.zeros(len(ids), np.int64)
    if len(counts) > 1:
        owner = np.where(dynamic, 1 + counts[1:].argmax(axis=0), 0)
    return TrackTruth(dynamic, owner)


def true_groups(moving: Tracks, owner: Int, settings: Settings) -> list[TrackGroup]:
    """Return one group for each true object, of all its tracks; objects without a clickable point have none.

    moving: (N,) tracks with their ``owner``. Each group's own frame is the
    one with most clickable points, its click the densest of them.
    """
    clickable = promptable(moving, settings)
    groups = []
    for identity in np.unique(owner[owner > 0]):
        own = owner == identity
        shown = clickable & own[:, None]
        if not shown.any():
            continue
        frame = int(shown.sum(axis=0).argmax())
        points = moving.xy[shown[:, frame], frame]
        groups.append(TrackGroup(Prompt(frame, points[[densest(points)]], np.ones(1, np.bool_)), own))
    return groups


def drawn_points(truth: Bytes, seed: int) -> tuple[Tracks, Int, Tracks]:
    """Return points drawn from the true masks of each frame, their owners, and points from around them.

    truth: (T, H, W) ids. They have the form of tracks, but follow nothing: every frame is drawn afresh.
    """
    rng = np.random.default_rng(seed)
    identities = [int(identity) for identity in np.unique(truth) if identity not in (0, VOID)]
    inside = [_draw(rng, truth == identity, POINTS) for identity in identities]
    owner = np.repeat(np.array(identities, np.int64), POINTS)
    return _joined(inside, len(truth)), owner, _draw(rng, truth == 0, AROUND)


def oracle_masks(groups: list[TrackGroup], moving: Tracks, truth: Bytes, found: Bool) -> Bool:
    """Return for each group (K, T, H, W) the true mask of the object that most of its points lie on.

    A group of which no more than half of the visible points lie on objects keeps the mask in ``found``: its alarm
    is false whatever the masks are.
    """
    masks = found.copy()
    ids = ids_under(moving, truth)
    for k, group in enumerate(groups):
        counts = np.bincount(ids[group.tracks][ids[group.tracks] >= 0], minlength=2)
        if 2 * counts[1:].sum() > counts.sum():
            masks[k] = truth == 1 + int(counts[1:].argmax())
    return masks


def average_precision(score: NDArray[np.floating], positive: Bool) -> float | None:
    """Return the mean precision at each positive, ranked by ``score`` (N,); None without positives."""
    if not positive.any():
        return None
    hits = positive[np.argsort(-score, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def _draw(rng: np.random.Generator, region: Bool, count: int) -> Tracks:
    """Return ``count`` points of ``region`` (T, H, W) in each frame, hidden in frames where it is empty."""
    xy = np.zeros((count, len(region), 2), np.float32)
    for t, pixels in enumerate(region):
        places = np.flatnonzero(pixels)
        if len(places):
            rows, columns = np.unravel_index(places[rng.integers(0, len(places), count)], pixels.shape)
            xy[:, t, 0], xy[:, t, 1] = columns, rows
    return _certain(xy, np.broadcast_to(region.any(axis=(1, 2)), xy.shape[:2]).copy())


def _joined(parts: list[Tracks], frames: int) -> Tracks:
    if not parts:
        return _certain(np.zeros((0, frames, 2), np.float32), np.zeros((0, frames), np.bool_))
    return _certain(np.concatenate([part.xy for part in parts]), np.concatenate([part.visible for part in parts]))


def _certain(xy: Float, visible: Bool) -> Tracks:
    sure = visible.astype(np.float32)
    return Tracks(xy, visible, sure, sure, np.zeros(len(xy), np.int64))
