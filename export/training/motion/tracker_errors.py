"""Errors of a tracker, drawn: exact tracks become as wrong as its own, its own a little more so.

Lengths in "pixels" are the tracker's, whose input is 256 square.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from samotion.export.training.motion.motion_data import TrackSample
from samotion.export.training.photographs import Rng
from samotion.runtime.ops.global_motion import PIXEL
from samotion.runtime.ops.visibility import filter_tracks
from samotion.runtime.values import Bool, Float

SHAKEN = 0.3  # how often tracks by a tracker tremble more than they did


def as_tracked(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return exact tracks with a tracker's errors, then filtered as the pipeline filters its tracks."""
    count, frames = sample.visible.shape
    age = np.arange(frames) - sample.query_frame[:, None]
    jitter = rng.lognormal(np.log(0.4), 0.5) * rng.lognormal(0, 0.5, (count, 1, 1))
    drift = np.cumsum(rng.standard_normal((count, frames, 2)) * rng.uniform(0, 0.2), 1)
    drift -= drift[np.arange(count), sample.query_frame][:, None]
    lost = 4 * walk(rng, (count, frames, 2), 0.9) * ~sample.visible[..., None]
    error = walk(rng, (count, frames, 2), float(rng.uniform(0, 0.9))) * jitter + drift + lost
    error *= np.minimum(1, np.abs(age) / 2)[..., None]  # a tracker is right where it was asked
    xy, swapped = _jumped(sample.xy, age, float(rng.uniform(0, 0.12)), rng)
    xy = (xy + error * PIXEL).astype(np.float32)
    miss = np.linalg.norm(xy - sample.xy, axis=-1) / PIXEL
    # Half of the trackers notice what they have lost; all are unsure, and in runs of frames.
    notices = rng.uniform(0.2, 0.9)
    miss = np.where(swapped & (rng.random((count, 1)) > notices), 1.0, miss)
    seen = sample.visible & ~(swapped & (rng.random((count, 1)) < notices))
    occlusion = np.where(seen, -1, 1) * rng.uniform(2, 5) + walk(rng, (count, frames), 0.7) * rng.uniform(0.5, 2)
    distance = rng.uniform(-4, -2) + 0.6 * miss + walk(rng, (count, frames), 0.7) * rng.uniform(0.5, 1.5)
    # The filter drops tracks; numbers in place of query frames tell which are left.
    kept = filter_tracks(xy, occlusion.astype(np.float32), distance.astype(np.float32), np.arange(count))
    return replace(
        sample.tracks(kept.query_frame),
        xy=kept.xy,
        visible=kept.visible,
        visibility=kept.visibility,
        confidence=kept.confidence,
    )


def shaken(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return tracks that tremble at times, as in noisy frames, of a tracker more or less sure of them."""
    size = rng.uniform(0, 0.7) * float(rng.random() < SHAKEN) * rng.lognormal(0, 0.4, (len(sample.label), 1, 1))
    jitter = walk(rng, sample.xy.shape, float(rng.uniform(0, 0.9))) * size * PIXEL
    sure = np.exp(rng.normal(0, 0.4))
    return replace(
        sample,
        xy=(sample.xy + jitter).astype(np.float32),
        visibility=(sample.visibility**sure).astype(np.float32),
        confidence=(sample.confidence**sure).astype(np.float32),
    )


def _jumped(xy: Float, age: NDArray[np.int64], share: float, rng: Rng) -> tuple[Float, Bool]:
    """Let a ``share`` of tracks hop, some frames from their query, onto a near track and follow that one.

    Returns the new xy and where (N, T) they are not their own.
    """
    out, swapped = xy.copy(), np.zeros(age.shape, np.bool_)
    count, frames = age.shape
    for track in np.flatnonzero(rng.random(count) < share):
        when = int(rng.integers(0, frames))
        if abs(age[track, when]) < 3:
            continue
        after = np.arange(frames) >= when if age[track, when] > 0 else np.arange(frames) <= when
        near = np.argsort(np.linalg.norm(xy[:, when] - xy[track, when], axis=-1))[1:]
        other = rng.choice(near[:12] if rng.random() < 0.7 else near)
        out[track, after] = xy[other, after]
        swapped[track, after] = True
    return out, swapped


def walk(rng: Rng, shape: tuple[int, ...], memory: float) -> Float:
    """Return noise of unit variance along axis 1 that remembers ``memory`` of the frame before."""
    fresh = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        fresh[:, t] = memory * fresh[:, t - 1] + np.sqrt(1 - memory**2) * fresh[:, t]
    return fresh.astype(np.float32)
