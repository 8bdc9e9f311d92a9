"""The published system's tracking and depth, run on our engines with all of their published waste."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.ops.preprocess import batches
from samotion.runtime.ops.resize import network_input, resize_set
from samotion.runtime.ops.visibility import filter_tracks
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.stages.depth import estimate
from samotion.runtime.stages.tracks import corner_scale, query_grid, sample_queries
from samotion.runtime.values import Clip, Float, Tracks

# preproc/run_tapir.py: the points of one query frame are split into len // 128 nearly equal parts.
POINTS = 128
# preproc/tapnet_torch/tapir_model.py: query_chunk_size of forward(), feature_extractor_chunk_size of TAPIR.
POINTS_AT_ONCE = 64
FRAMES_AT_ONCE = 10


def track(clip: Clip, bundle: Bundle, settings: Settings, sampled: bool = False) -> Tracks:
    """Return the tracks that runtime.stages.tracks samples, following the whole grid of every query frame first.

    sampled: follow the sample alone, with the rest of the published work.
    """
    kept = sample_queries(clip, settings)
    size = bundle.manifest.tracker.size
    # Once for all points, as published.
    frames = network_input("tracker", resize_set(settings), clip.frames, (size, size))
    scale = corner_scale(clip.size, size)
    pitch, grid = query_grid(clip.size, settings)
    columns = -(-clip.size[1] // pitch)
    place = (kept[:, 1] // pitch) * columns + kept[:, 2] // pitch
    xy = np.empty((len(kept), len(frames), 2), np.float32)
    occlusion, distance = np.empty(xy.shape[:2], np.float32), np.empty(xy.shape[:2], np.float32)
    for frame in range(0, len(frames), settings.step):
        own = np.flatnonzero(kept[:, 0] == frame)
        followed, rows = (kept[own, 1:], np.arange(len(own))) if sampled else (grid, place[own])
        points = np.insert(followed, 0, frame, axis=1).astype(np.float32)
        points[:, 1:] *= scale[::-1]
        found = [_follow(part, frames, bundle) for part in np.array_split(points, max(1, len(points) // POINTS))]
        for k, answer in enumerate((xy, occlusion, distance)):
            answer[own] = np.concatenate([part[k] for part in found])[rows]
    xy /= scale
    xy[np.arange(len(xy)), kept[:, 0]] = kept[:, :0:-1]
    return filter_tracks(xy, occlusion, distance, kept[:, 0])


def depth(clip: Clip, bundle: Bundle, settings: Settings) -> Float:
    """Return the disparity of the clip, one frame at a time (core/utils/run_depth.py)."""
    return np.concatenate([estimate(one, bundle, settings, Progress(), HOST) for one in _single_frames(clip)])


def _single_frames(clip: Clip) -> Iterator[Clip]:
    """Yield every frame as a clip of its own."""
    for t in range(len(clip.frames)):
        part = slice(t, t + 1)
        yield replace(clip, frames=clip.frames[part], source_index=clip.source_index[part], times=clip.times[part])


def _follow(points: Float, frames: Float, bundle: Bundle) -> tuple[Float, Float, Float]:
    """Return xy, occlusion and expected distance of one part of the points: feature grids are made again for it."""
    made = [bundle.engine("track_features")(frames=frames[part]) for part in batches(len(frames), FRAMES_AT_ONCE)]
    low, high = (np.concatenate([grids[name] for grids in made]) for name in ("low", "high"))
    asked = bundle.engine("track_queries")(low=low, high=high, points=points)
    found = []
    for part in batches(len(points), POINTS_AT_ONCE):
        queries = {name: value[part] for name, value in asked.items()}
        found.append(bundle.engine("track_head")(low=low, high=high, points=points[part], **queries))
    xy, occlusion, distance = (
        np.concatenate([answer[name] for answer in found]) for name in ("xy", "occlusion", "expected_distance")
    )
    return xy, occlusion, distance
