"""Tracks as a tracker would give them, and as other cameras would have seen them: augmentation by rules.

Everything is drawn from the generator given. Lengths in "pixels" are the tracker's, whose input is 256 square.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samotion.export.training.motion.motion_data import TrackSample
from samotion.runtime.ops.global_motion import deviations
from samotion.runtime.ops.visibility import filter_tracks
from samotion.runtime.values import Bool, Float

Rng = np.random.Generator
PIXEL = 2 / 256  # of the tracker's input, in coordinates of [-1, 1]
# Attention costs tracks² × frames: most draws are small, and the network takes more as it comes.
FEWEST, MOST = 120, 320  # tracks drawn from a sample
SHORTEST, LONGEST = 12, 48  # frames drawn
# How often nothing moves: the movers' tracks are taken out, or all tracks stand still (before the camera moves).
EMPTIED, FROZEN = 0.1, 0.05
# How often, of tracks by a tracker: movers take on the background's motion; a part of the background moves.
TWINNED, STIRRED = 0.25, 0.2
# How often depth says nothing: it is flat, or that of other tracks.
FLAT, SHUFFLED = 0.3, 0.2


@dataclass(frozen=True)
class Recipe:
    """What training is made of; to see what a part is worth it is taken out.

    clips: real clips with the networks' own tracks. made: counterfactual clips likewise. scenes: exact tracks of
    scenes, where there are no counterfactual clips. errors: those tracks are made as wrong as a tracker's. stills:
    draws in which nothing moves. twins: draws in which movers stand or the background moves, and depth that says
    nothing. cameras: tracks as other cameras would have seen them. muon: matrices are trained by Muon, not AdamW.
    averaged: weights are averaged over steps.
    """

    clips: bool = True
    made: bool = True
    scenes: bool = True
    errors: bool = True
    stills: bool = True
    twins: bool = True
    cameras: bool = True
    muon: bool = True
    averaged: bool = True


WHOLE = Recipe()


def draw(sample: TrackSample, semantics: int, rng: Rng, recipe: Recipe = WHOLE) -> TrackSample:
    """Return one random view of ``sample`` for training: xy clamped to [-1, 1], ``semantics`` channels."""
    sample = _window(_thinned(sample, rng), rng)
    if sample.exact and recipe.errors:
        sample = _as_tracked(sample, rng)
    sample = _mirrored(sample, rng)
    kind = rng.random() if recipe.stills else 1.0
    if kind < FROZEN:
        sample = _frozen(sample, rng)
    elif kind < FROZEN + EMPTIED and (sample.label == 0).sum() >= FEWEST // 2:
        sample = sample.tracks(sample.label == 0)
    elif recipe.twins:
        sample = _counterfactual(sample, rng)
    if recipe.cameras and rng.random() < 0.8:
        sample = _moved(sample, rng)
    sample = replace(sample, depth=_estimated(sample.depth, rng, strong=sample.exact))
    if recipe.twins:
        sample = replace(sample, depth=_untold(sample.depth, rng))
    sample = replace(sample, semantics=_described(sample, semantics, rng))
    return settled(sample)


def settled(sample: TrackSample) -> TrackSample:
    """Return the sample as the pipeline hands it to the network.

    Tracks never visible are gone, every frame has a visible one, xy lies in [-1, 1].
    """
    sample = sample.tracks(np.asarray(sample.visible.any(1)))
    visible = sample.visible.copy()
    empty = np.flatnonzero(~visible.any(0))
    if len(visible):
        visible[sample.confidence[:, empty].argmax(0), empty] = True
    return replace(sample, visible=visible, xy=np.clip(sample.xy, -1, 1).astype(np.float32))


def _thinned(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return a random subset of the tracks."""
    count = min(len(sample.label), int(np.exp(rng.uniform(np.log(FEWEST), np.log(MOST)))))
    return sample.tracks(np.sort(rng.permutation(len(sample.label))[:count]))


def _window(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return a random run of frames at a random stride; queries outside move to the nearest frame in it."""
    frames = sample.visible.shape[1]
    # Objects of scenes may start late or stop: most of the clip must be there for the label to be true.
    least = max(SHORTEST, 3 * frames // 4) if sample.exact else SHORTEST
    span = int(rng.integers(min(least, frames), frames + 1))
    stride = int(rng.integers(1, max(1, min(3, span // SHORTEST)) + 1))
    span = min(span, LONGEST * stride)
    start = int(rng.integers(0, frames - span + 1))
    chosen = np.arange(start, start + span, stride)
    return replace(
        sample,
        xy=sample.xy[:, chosen],
        visible=sample.visible[:, chosen],
        visibility=sample.visibility[:, chosen],
        confidence=sample.confidence[:, chosen],
        depth=sample.depth[:, chosen],
        query_frame=np.abs(sample.query_frame[:, None] - chosen).argmin(1),
    )


def _mirrored(sample: TrackSample, rng: Rng) -> TrackSample:
    """Flip left and right, and reverse time, each half of the time: trackers do not mind either."""
    xy = sample.xy * np.array([rng.choice((-1, 1)), 1], np.float32)
    step = int(rng.choice((-1, 1)))
    return replace(
        sample,
        xy=xy[:, ::step],
        visible=sample.visible[:, ::step],
        visibility=sample.visibility[:, ::step],
        confidence=sample.confidence[:, ::step],
        depth=sample.depth[:, ::step],
    )


def _frozen(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return all tracks as one frame has them, in every frame, with a tracker's jitter: nothing moves."""
    frames = sample.visible.shape[1]
    at = np.full(frames, rng.integers(frames))
    jitter = _walk(rng, sample.xy.shape, float(rng.uniform(0, 0.9))) * rng.choice((0.0, 0.1, 0.3)) * PIXEL
    return replace(
        sample,
        xy=sample.xy[:, at] + jitter.astype(np.float32),
        visible=sample.visible[:, at],
        visibility=sample.visibility[:, at],
        confidence=sample.confidence[:, at],
        depth=sample.depth[:, at],
        label=np.zeros_like(sample.label),
    )


def _counterfactual(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the sample, or with what moves standing, or with what stands moving; looks stay as they are."""
    kind = rng.random()
    if kind < TWINNED and not sample.exact:
        return _twinned(sample, rng)
    return _stirred(sample, rng) if kind > 1 - STIRRED else sample


def _twinned(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the sample with its movers' tracks as the background would have had them there: nothing moves.

    From its query on such a track goes where the background's motion takes it, and errs as one of the background.
    """
    still, moving = np.flatnonzero(sample.label == 0), np.flatnonzero(sample.label != 0)
    if len(still) < FEWEST // 2 or not len(moving):
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
        visible[own] &= known[still].sum(0) >= FEWEST // 10
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


def _untold(depth: Float, rng: Rng) -> Float:
    """Return depth (N, T), or flat, or that of other tracks."""
    kind = rng.random()
    if kind < FLAT:
        return np.full_like(depth, rng.uniform(0, 1))
    return depth[rng.permutation(len(depth))] if kind < FLAT + SHUFFLED else depth


def _walk(rng: Rng, shape: tuple[int, ...], memory: float) -> Float:
    """Return noise of unit variance along axis 1 that remembers ``memory`` of the frame before."""
    fresh = rng.standard_normal(shape)
    for t in range(1, shape[1]):
        fresh[:, t] = memory * fresh[:, t - 1] + np.sqrt(1 - memory**2) * fresh[:, t]
    return fresh.astype(np.float32)


def _as_tracked(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return exact tracks with a tracker's errors, then filtered as the pipeline filters its tracks."""
    count, frames = sample.visible.shape
    age = np.arange(frames) - sample.query_frame[:, None]
    jitter = rng.lognormal(np.log(0.4), 0.5) * rng.lognormal(0, 0.5, (count, 1, 1))
    drift = np.cumsum(rng.standard_normal((count, frames, 2)) * rng.uniform(0, 0.2), 1)
    drift -= drift[np.arange(count), sample.query_frame][:, None]
    lost = 4 * _walk(rng, (count, frames, 2), 0.9) * ~sample.visible[..., None]
    error = _walk(rng, (count, frames, 2), float(rng.uniform(0, 0.9))) * jitter + drift + lost
    error *= np.minimum(1, np.abs(age) / 2)[..., None]  # a tracker is right where it was asked
    xy, swapped = _jumped(sample.xy, age, float(rng.uniform(0, 0.12)), rng)
    xy = (xy + error * PIXEL).astype(np.float32)
    miss = np.linalg.norm(xy - sample.xy, axis=-1) / PIXEL
    # Half of the trackers notice what they have lost; all are unsure, and in runs of frames.
    notices = rng.uniform(0.2, 0.9)
    miss = np.where(swapped & (rng.random((count, 1)) > notices), 1.0, miss)
    seen = sample.visible & ~(swapped & (rng.random((count, 1)) < notices))
    occlusion = np.where(seen, -1, 1) * rng.uniform(2, 5) + _walk(rng, (count, frames), 0.7) * rng.uniform(0.5, 2)
    distance = rng.uniform(-4, -2) + 0.6 * miss + _walk(rng, (count, frames), 0.7) * rng.uniform(0.5, 1.5)
    # The filter drops tracks; numbers in place of query frames tell which are left.
    kept = filter_tracks(xy, occlusion.astype(np.float32), distance.astype(np.float32), np.arange(count))
    return replace(
        sample.tracks(kept.query_frame),
        xy=kept.xy,
        visible=kept.visible,
        visibility=kept.visibility,
        confidence=kept.confidence,
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


def _moved(sample: TrackSample, rng: Rng) -> TrackSample:
    """Return the tracks under a fixed zoom, turn and shift and, half of the time, a further moving camera.

    The camera adds a homography that changes smoothly with time. Points that leave the image become hidden.
    """
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
    return np.array([0.15, 0.08, 0.05, 0.06, 0.1, 0.1, 0.0, 0.0]) * rng.uniform(0.3, 1.2)


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


def _estimated(depth: Float, rng: Rng, strong: bool) -> Float:
    """Return disparity with an estimator's errors: another scale curve, flicker by frame, noise by track."""
    count, frames = depth.shape
    size = 1.0 if strong else 0.3
    curved = depth ** np.exp(rng.normal(0, 0.4 * size))
    flicker = 1 + 0.05 * size * _walk(rng, (1, frames), 0.8)
    bias = rng.normal(0, rng.uniform(0, 0.15) * size, (count, 1))
    noise = _walk(rng, (count, frames), 0.6) * rng.uniform(0, 0.05) * size
    return np.asarray(np.clip(curved * flicker + bias + noise, 0, 1), np.float32)


def _described(sample: TrackSample, channels: int, rng: Rng) -> Float:
    """Return semantics (N, channels): noisy or dropped as a whole; scenes have none, or random ones by object."""
    count = len(sample.label)
    if rng.random() < 0.5:
        return np.zeros((count, channels), np.float32)
    if not sample.semantics.shape[1]:
        own = rng.standard_normal((int(sample.instance.max(initial=0)) + 1, channels))
        return np.asarray(own[sample.instance] + 0.5 * rng.standard_normal((count, channels)), np.float32)
    spread = sample.semantics.std() * rng.uniform(0, 0.5)
    keep = rng.random((count, 1)) > rng.uniform(0, 0.3)
    return np.asarray((sample.semantics + spread * rng.standard_normal((count, channels))) * keep, np.float32)
