"""The orchestration of the published system (nnanhuang/SegAnyMo), as a plain driver over this project's engines.

It is what samotion's own pipeline is compared with: the same graphs, settings, sampled tracks and masks, with the
published order and amount of work. What it repeats or wastes, as published:

- every point of the grid of every query frame is tracked, of which 1 in Q is kept afterwards
  (preproc/run_tapir.py; inference.py draws the sample), in parts of about 128 points, for each of which the
  feature grids of all frames are made again, ten frames at a time (preproc/tapnet_torch/tapir_model.py: forward);
- every engine is called for one thing at a time, with all threads (OneByOne; samotion may call several at once);
- depth runs one frame at a time (core/utils/run_depth.py), DINOv2 too (core/utils/dino_feat.py; so does samotion);
- SAM2 keeps the features of one frame only (sam2/sam2/sam2_video_predictor.py), so that its encoder runs again for
  each round of stage 1, and in stage 2 for each object, once for each click's frame, once more for that frame's
  memory, and once a frame and direction while propagating (sam2/run_sam2.py); objects are never batched.

Where it differs from the published program, always to the advantage of this baseline:

- one process: nothing is written to disk and read back between stages (tracks in a file for every query frame and
  frame, depth as PNG, features), and no network is loaded for a stage by itself;
- no pictures of tracks, no videos of masks (inference.py and sam2/run_sam2.py write several).

Where it differs because the results would not be comparable otherwise:

- frames are resized as samotion's settings say; the sample of queries is samotion's (same seed) instead of
  torch.randperm, and ties in stage 1 are resolved as samotion resolves them;
- a bundle's own settings (clicks, thresholds, most tracks kept, completed groups) hold on both sides, and depth is
  not rounded to 8 bits in between.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from samotion.benchmarks.published import masks as published_masks
from samotion.benchmarks.published import tracks as published_tracks
from samotion.benchmarks.published.sam2 import OneFrameSam
from samotion.calibration.recording.sequential import OneByOne
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.stages.features import describe
from samotion.runtime.stages.merging import merge_objects
from samotion.runtime.stages.motion import STILL, label
from samotion.runtime.stages.support import supported
from samotion.runtime.stages.votes import sureness
from samotion.runtime.values import Clip, ObjectMasks


@dataclass(frozen=True)
class Published:
    """What the published orchestration gave. seconds: by stage. encoded: runs of the SAM2 encoder."""

    masks: ObjectMasks
    seconds: dict[str, float]
    encoded: int


def segment(clip: Clip, bundle: OneByOne, settings: Settings, sampled: bool = False) -> Published:
    """Return the masks of ``clip`` (two frames at least) the published way.

    sampled: follow the same points as samotion, and not the whole grid that they are drawn from.
    """
    seconds: dict[str, float] = {}
    with _timed("tracks", seconds):
        tracks = published_tracks.track(clip, bundle, settings, sampled)
    with _timed("depth", seconds):
        disparity = published_tracks.depth(clip, bundle, settings)
    with _timed("features", seconds):
        features = describe(clip, tracks, bundle, settings, Progress(), HOST)
    with _timed("motion", seconds):
        labels = label(clip, tracks, disparity, features, bundle, settings, Progress(), HOST)
    if not labels.dynamic.any():
        return Published(ObjectMasks(np.zeros((0, len(clip.frames), *clip.size), np.bool_)), seconds, 0)
    moving, static = tracks.select(labels.dynamic), tracks.select(labels.probability < STILL)
    with _timed("grouping", seconds):
        sam = OneFrameSam(clip, bundle, settings)
        groups = published_masks.group(moving, static, sam, settings)
    with _timed("masks", seconds):
        masks = published_masks.segment_objects(groups, moving, static, sam, settings, sureness(labels, settings))
    with _timed("merging", seconds):
        masks = supported(merge_objects(masks), tracks, labels, settings.least_support)
    return Published(masks, seconds, sam.encoded)


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    """Note the wall time of one stage."""
    begun = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - begun
