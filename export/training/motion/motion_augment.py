"""One random view of a labelled sample for training; everything is drawn from the generator given."""

from dataclasses import dataclass, replace

import numpy as np

from samotion.export.training.motion.motion_data import TrackSample
from samotion.export.training.motion.other_motions import counterfactual, frozen, moved
from samotion.export.training.motion.tracker_errors import as_tracked, shaken, walk
from samotion.export.training.photographs import Rng
from samotion.runtime.values import Float

# Attention costs tracks² × frames: most draws are small, and the network takes more as it comes.
FEWEST, MOST = 120, 320  # tracks drawn from a sample
SHORTEST, LONGEST = 12, 48  # frames drawn
SMALL = 0.3  # how often what moves has fewer tracks than it had
# How often nothing moves: the movers' tracks are taken out, or all tracks stand still (before the camera moves).
EMPTIED, FROZEN = 0.1, 0.05
# How often depth says nothing: it is flat, or that of other tracks.
FLAT, SHUFFLED = 0.3, 0.2


@dataclass(frozen=True)
class Recipe:
    """What training is made of; to see what a part is worth it is taken out.

    clips: real clips with the networks' own tracks. made: counterfactual clips likewise. scenes: exact tracks of
    scenes. errors: those tracks are made as wrong as a tracker's, others a little more so. stills: draws in which
    nothing moves. twins: draws in which movers stand or the background moves, and depth that says nothing. cameras:
    tracks as other cameras would have seen them. muon: matrices are trained by Muon, not AdamW. averaged: weights are
    averaged over steps.
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
    if recipe.errors:
        sample = as_tracked(sample, rng) if sample.exact else shaken(sample, rng)
    sample = _mirrored(sample, rng)
    kind = rng.random() if recipe.stills else 1.0
    if kind < FROZEN:
        sample = frozen(sample, rng)
    elif kind < FROZEN + EMPTIED and (sample.label == 0).sum() >= FEWEST // 2:
        sample = sample.tracks(sample.label == 0)
    elif recipe.twins:
        sample = counterfactual(sample, rng)
    if recipe.cameras and rng.random() < 0.8:
        sample = moved(sample, rng)
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
    """Return a random subset of the tracks, now and then few of what moves: small things have few."""
    if rng.random() < SMALL:
        sample = sample.tracks((sample.label <= 0) | (rng.random(len(sample.label)) < rng.uniform(0.1, 1)))
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


def _untold(depth: Float, rng: Rng) -> Float:
    """Return depth (N, T), or flat, or that of other tracks."""
    kind = rng.random()
    if kind < FLAT:
        return np.full_like(depth, rng.uniform(0, 1))
    return depth[rng.permutation(len(depth))] if kind < FLAT + SHUFFLED else depth


def _estimated(depth: Float, rng: Rng, strong: bool) -> Float:
    """Return disparity with an estimator's errors: another scale curve, flicker by frame, noise by track."""
    count, frames = depth.shape
    size = 1.0 if strong else 0.3
    curved = depth ** np.exp(rng.normal(0, 0.4 * size))
    flicker = 1 + 0.05 * size * walk(rng, (1, frames), 0.8)
    bias = rng.normal(0, rng.uniform(0, 0.15) * size, (count, 1))
    noise = walk(rng, (count, frames), 0.6) * rng.uniform(0, 0.05) * size
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
