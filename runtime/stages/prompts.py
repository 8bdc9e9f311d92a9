"""Which points of an object are clicked: one or more positive ones, and background clicks around them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.ops.preprocess import batches
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bool, Float, Prompt, TrackGroup, Tracks

COVERED = 0.7
# Pixels between an object's points and a background click: nearer ones may sit on the object's edge.
MARGIN = 6.0
# The near background clicks spread over this many candidates each, so that they do not share one side.
NEAR_CHOICE = 4
IN_CACHE = 2**14  # distances worked on at once

Real = NDArray[np.floating[Any]]


def promptable(tracks: Tracks, settings: Settings) -> Bool:
    """Return where a point may be clicked (N, T): visible, with a confidence above ``click_confidence``."""
    return tracks.visible & (tracks.confidence > settings.click_confidence)


def in_mask(points: Float, mask: Bool) -> Bool:
    """Which points (P, 2) lie in ``mask`` (H, W): coordinates are truncated and kept inside the image."""
    height, width = mask.shape
    x, y = np.nan_to_num(points).astype(np.int64).T
    inside: Bool = mask[y.clip(0, height - 1), x.clip(0, width - 1)]
    return inside


def densest(points: Float) -> int:
    """Return the index of the point (P, 2) whose summed distance to all others is least."""
    exact = points.astype(np.float64)
    # A plain root is five times faster than hypot.
    return int(np.concatenate([np.sqrt(part).sum(axis=1) for part in _squared_distances(exact, exact)]).argmin())


def _squared_distances(points: Real, others: Real) -> Iterator[Real]:
    """Yield squared distances (p, Q) from points (P, 2) to others (Q, 2), a part of the points at a time."""
    x, y = np.ascontiguousarray(others.T)
    for part in batches(len(points), max(1, IN_CACHE // max(1, len(others)))):
        dx, dy = x - points[part, :1], y - points[part, 1:]
        dx *= dx
        dy *= dy
        dx += dy
        yield dx


def prompts_for(group: TrackGroup, dynamic: Tracks, static: Tracks, settings: Settings) -> list[Prompt]:
    """Return an object's prompts: on its own frame first, then on every ``prompt_step``-th frame from 0 on.

    dynamic: the tracks that ``group.tracks`` (N,) selects from. A frame without a promptable point of the object gets
    no prompt. The first click is the densest point (SegAnyMo); up to ``clicks`` − 1 further ones spread over the
    object by farthest-point sampling. static: tracks from which up to ``background_clicks`` negative clicks follow
    the positive ones, half just outside the object and half spread over the frame.
    """
    points = dynamic.xy[group.tracks]
    shown = promptable(dynamic, settings)[group.tracks]
    own = group.prompt.frame
    prompts = []
    for frame in [own, *(frame for frame in range(0, points.shape[1], settings.prompt_step) if frame != own)]:
        inside = points[shown[:, frame], frame]
        if not len(inside):
            continue
        xy = positive = inside[spread(inside, [densest(inside)], settings.clicks)]
        if settings.background_clicks:
            outside = static.xy[static.visible[:, frame], frame]
            xy = np.concatenate([positive, background_points(outside, inside, settings.background_clicks)])
        prompts.append(Prompt(frame, xy.astype(np.float32), np.arange(len(xy)) < len(positive)))
    return prompts


def corrective_points(points: Float, mask: Bool) -> Float | None:
    """Return further clicks where ``mask`` (H, W) holds less than 70 % of the visible ``points`` (P, 2).

    They are the point nearest the centroid and the two farthest from it, (3, 2); with two points the other one
    follows, and a single point is repeated, (2, 2). None where the mask covers enough. Source: SegAnyMo.
    """
    if in_mask(points, mask).sum() >= COVERED * len(points):
        return None
    distance = np.hypot(*(points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)).T)
    nearest = int(distance.argmin())
    if len(points) == 1:
        farthest = [nearest]
    elif len(points) == 2:
        farthest = [1 - nearest]
    else:
        farthest = distance.argsort(kind="stable")[-2:].tolist()
    return points[[nearest, *farthest]].astype(np.float32)


def spread(points: Float, chosen: list[int], count: int) -> list[int]:
    """Return ``chosen`` extended by farthest-point sampling to ``count`` indices of points (P, 2).

    Fewer come back where no further distinct point is left. Ties go to the lower index.
    """
    chosen = list(chosen)
    for index in _farthest(points.astype(np.float64), chosen):
        if len(chosen) >= count:
            break
        chosen.append(index)
    return chosen


def _farthest(points: Float, chosen: list[int]) -> Iterator[int]:
    """Yield one after the other the point farthest from all chosen so far, until only duplicates remain."""
    nearest = np.full(len(points), np.inf)
    x, y = np.ascontiguousarray(points.T)
    for index in chosen:
        nearest = np.minimum(nearest, np.hypot(x - x[index], y - y[index]))
    while nearest.size and nearest.max() > 0:
        index = int(nearest.argmax())
        yield index
        nearest = np.minimum(nearest, np.hypot(x - x[index], y - y[index]))


def background_points(outside: Float, inside: Float, count: int) -> Float:
    """Return up to ``count`` of the static points (M, 2): half near the object's points (P, 2), half anywhere."""
    nearest = [part.argmin(axis=1) for part in _squared_distances(outside, inside)]
    apart = outside - inside[np.concatenate([np.zeros(0, np.int64), *nearest])]
    distance: Float = np.hypot(apart[:, 0], apart[:, 1])
    order = distance.argsort(kind="stable")
    candidates = outside[order[distance[order] > MARGIN]]
    if not len(candidates) or not count:
        return candidates[:0]
    near = (count + 1) // 2
    chosen = spread(candidates[: NEAR_CHOICE * near], [0], near)
    return candidates[spread(candidates, chosen, count)]
