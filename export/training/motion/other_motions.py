"""Tracks as they would be had other things moved, or another camera seen them; looks stay as they are."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from samotion.export.training.motion.motion_data import FAR, TrackSample
from samotion.export.training.motion.tracker_errors import walk
from samotion.export.training.photographs import Rng
from samotion.runtime.ops.global_motion import PIXEL, deviations

# How often, of tracks by a tracker: movers take on the background's motion; a part of the background moves.
TWINNED, STIRRED = 0.25, 0.2
LEAST = 60  # standing tracks without which no mover is made to stand
STEADIED = 0.2  # how often the camera that there was is taken out first


def counterfactual(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the sample, or with what moves standing, or with what stands moving; looks stay as they are."""
    kind = rng.random()
    if kind < TWINNED and not sample.exact:
        return _twinned(sample, rng)
    return _stirred(sample, rng) if kind > 1 - STIRRED else sample


def frozen(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return all tracks as one frame has them, in every frame, with a tracker's jitter: nothing moves."""
    frames = sample.visible.shape[1]
    at = np.full(frames, rng.integers(frames))
    jitter = walk(rng, sample.xy.shape, float(rng.uniform(0, 0.9))) * rng.choice((0.0, 0.1, 0.3)) * PIXEL
    return replace(
        sample,
        xy=sample.xy[:, at] + jitter.astype(np.float32),
        visible=sample.visible[:, at],
        visibility=sample.visibility[:, at],
        confidence=sample.confidence[:, at],
        depth=sample.depth[:, at],
        label=np.zeros_like(sample.label),
    )


def _twinned(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the sample with its movers' tracks as the background would have had them there: nothing moves.

    From its query on such a track goes where the background's motion takes it, and errs as one of the background.
    """
    still, moving = np.flatnonzero(sample.label == 0), np.flatnonzero(sample.label != 0)
    if len(still) < LEAST or not len(moving):
        return sample
    xy, visible = sample.xy.copy(), sample.visible.copy()
    frames = xy.shape[1]
    for query in np.unique(sample.query_frame[moving]):
        own = moving[sample.query_frame[moving] == query]
        there = np.repeat(xy[:, [query]], frames, 1)
        known = sample.visible & sample.visible[:, [query]]
        known[moving] = False
        # Tracks that count for nothing get a deviation as well: what the fit would have them do is what they keep.
        left, _ = deviations(there, xy, known)
        like = rng.choice(still, len(own))
        xy[own] += left[like] * known[like][..., None] - left[own]
        visible[own] &= known[still].sum(0) >= LEAST // 5
    return replace(sample, xy=xy, visible=visible & (np.abs(xy) < 1.1).all(-1), label=np.zeros_like(sample.label))


def _stirred(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the sample with the tracks of some round part of the picture on a way of their own."""
    frames = sample.visible.shape[1]
    at = sample.xy[:, frames // 2]
    middle = at[rng.integers(len(at))]
    inside = np.linalg.norm((at - middle) / np.exp(rng.normal(0, 0.3, 2)), axis=-1) < rng.uniform(0.12, 0.4)
    own = np.stack([_homography(v) for v in _way(rng, frames)])
    away = sample.xy[inside] - middle
    flat = np.concatenate([away, np.ones_like(away[..., :1])], -1)
    xy = sample.xy.copy()
    xy[inside] = np.einsum("tij,ntj->nti", own[:, :2], flat) + middle
    return replace(sample, xy=xy, label=np.where(inside, 1, sample.label))


def _way(rng: Rng, frames: int) -> NDArray[np.float64]:
    """Return zoom, stretch, shear, turn, shifts and perspective (T, 8) of something that moves, as _homography's."""
    time = np.linspace(-1, 1, frames)[:, None]
    sway = np.sin(rng.uniform(0.5, 6, 8) * time + rng.uniform(0, 2 * np.pi, 8))
    size = np.array([0.08, 0.02, 0.02, 0.12, 0.25, 0.12, 0.0, 0.0]) * rng.lognormal(-0.2, 0.6)
    return (rng.normal(0, 1, 8) * time + rng.normal(0, 0.6, 8) * sway) * size


def steadied(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the tracks as a camera that stays as it is in one frame would have seen them, as far as they tell."""
    frames = sample.xy.shape[1]
    at = int(rng.integers(frames))
    standing = sample.visible & (sample.label == 0)[:, None]
    known = standing & standing[:, [at]]
    enough = known.sum(0) >= LEAST // 3
    if not enough.all():
        return sample  # a camera that goes far shares too little with any one frame
    there = np.repeat(sample.xy[:, [at]], frames, 1)
    # What stands comes to where it is in that frame; what moves is carried along with it.
    left, _ = deviations(sample.xy, there, known)
    xy = np.clip(there - left, -FAR, FAR)
    return replace(sample, xy=xy, visible=sample.visible & (np.abs(xy) <= 1).all(-1))


def moved(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the tracks under a fixed zoom, turn and shift and, half of the time, a further moving camera.

    Now and then the camera of the clip is taken out before. The camera adds a homography that changes smoothly with
    time. Points that leave the image become hidden.
    """
    if rng.random() < STEADIED:
        sample = steadied(sample, rng)
    frames = sample.visible.shape[1]
    matrix = np.tile(_homography(rng.normal(0, 1, 8) * _fixed(rng)), (frames, 1, 1))
    if rng.random() < 0.5:
        matrix = _path(rng, frames) @ matrix
    flat = np.concatenate([sample.xy, np.ones_like(sample.xy[..., :1])], -1)
    moved = np.einsum("tij,ntj->nti", matrix, flat)
    xy = (moved[..., :2] / np.maximum(moved[..., 2:], 0.2)).astype(np.float32)
    left = (np.abs(xy) > 1).any(-1) & ~(np.abs(sample.xy) > 1).any(-1)
    fade = np.where(left, np.float32(0.1), np.float32(1))
    return replace(
        sample,
        xy=xy,
        visible=sample.visible & ~left,
        visibility=sample.visibility * fade,
        confidence=sample.confidence * fade,
    )


def _fixed(rng: Rng) -> NDArray[np.float64]:
    """Return the deviations of a fixed change: zoom, stretch, shear, turn, shifts, perspective (8,)."""
    return np.array([0.2, 0.1, 0.05, 0.08, 0.25, 0.2, 0.0, 0.0]) * rng.uniform(0.3, 1.2)


def _path(rng: Rng, frames: int) -> NDArray[np.float64]:
    """Return homographies (T, 3, 3) of a camera that drifts and sways, identity in the middle."""
    time = (np.arange(frames) - frames // 2)[:, None]
    size = np.array([0.05, 0.01, 0.01, 0.03, 0.15, 0.1, 0.01, 0.01]) * rng.lognormal(0, 0.7)
    drift = rng.normal(0, 1, 8) * time / 30
    rate = rng.uniform(0.03, 0.5, 8)
    phase = rng.uniform(0, 2 * np.pi, 8)
    sway = (np.sin(rate * time + phase) - np.sin(phase)) * rng.normal(0, 0.25, 8)
    return np.stack([_homography(values) for values in (drift + sway) * size])


def _homography(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix of zoom, stretch, shear, turn, shifts and perspective (8,), identity for zeros."""
    turn = np.array([[np.cos(v[3]), -np.sin(v[3])], [np.sin(v[3]), np.cos(v[3])]])
    grow = np.exp(v[0]) * np.array([[np.exp(v[1]), v[2]], [0, np.exp(-v[1])]])
    out = np.eye(3)
    out[:2, :2] = turn @ grow
    out[:2, 2], out[2, :2] = v[4:6], v[6:8]
    return out
