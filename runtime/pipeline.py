"""The straight line from a clip to the masks of everything in it that moves by itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.depth import estimate
from samotion.runtime.features import describe
from samotion.runtime.grouping import completed, group_tracks
from samotion.runtime.masks import segment_objects
from samotion.runtime.merging import merge_objects
from samotion.runtime.motion import STILL, label
from samotion.runtime.progress import Progress
from samotion.runtime.prompts import background_points, promptable
from samotion.runtime.resizing import kernels
from samotion.runtime.sam import MaskNetwork, fill_holes
from samotion.runtime.settings import Settings
from samotion.runtime.tracks import track
from samotion.runtime.values import Bool, Clip, Float, MotionLabels, ObjectMasks, Prompt, Result, TrackGroup, Tracks


def segment(clip: Clip, bundle: Bundle, settings: Settings | None = None, progress: Progress | None = None) -> Result:
    """Return the objects of ``clip`` that move by themselves; the same input and seed give the same masks.

    settings: None takes the published constants with what the bundle states. Raises EngineError where an
    engine fails.
    """
    settings = settings or Settings().override(bundle.settings)
    progress = progress or Progress()
    timer = _Timer()
    if len(clip.frames) < 2:  # a single frame shows no motion
        return Result(clip, _no_tracks(len(clip.frames)), _NO_LABELS, _no_masks(clip), timer.seconds)
    with timer("tracks"):
        tracks = track(clip, bundle, settings, progress)
    with timer("depth"):
        disparity = estimate(clip, bundle, progress, kernels(settings))
    with timer("features"):
        features = describe(clip, tracks, bundle, progress, kernels(settings))
    with timer("motion"):
        labels = label(clip, tracks, disparity, features, bundle, settings, progress)
    masks = _masks(clip, tracks, labels, bundle, settings, progress, timer)
    return Result(clip, tracks, labels, masks, timer.seconds)


def _masks(
    clip: Clip,
    tracks: Tracks,
    labels: MotionLabels,
    bundle: Bundle,
    settings: Settings,
    progress: Progress,
    timer: "_Timer",
) -> ObjectMasks:
    """Return the objects' masks; SAM2 does not run at all where nothing moves."""
    if not labels.dynamic.any():
        return _no_masks(clip)
    moving, static = tracks.select(labels.dynamic), tracks.select(labels.probability < STILL)
    with timer("encoder"):
        network = MaskNetwork(clip, bundle, progress, kernels(settings))
    with timer("grouping"):
        groups = find_groups(moving, static, network, settings)
    with timer("masks"):
        found = segment_objects(groups, moving, static, network, settings, progress)
    with timer("merging"):
        return merge_objects(found)


def find_groups(moving: Tracks, static: Tracks, network: MaskNetwork, settings: Settings) -> list[TrackGroup]:
    """Return the objects that stage 1 finds, asking ``network`` for one object at a time.

    They are completed by tracks that move beside them where the settings say so.
    """

    def ask(frame: int, click: Float) -> Bool:
        still = static.xy[static.visible[:, frame], frame]
        around = background_points(still, click[None], settings.background_clicks)
        xy = np.concatenate([click[None], around]).astype(np.float32)
        answer = network.click(frame, [Prompt(frame, xy, np.arange(len(xy)) < 1)])
        return network.at_frame_size(fill_holes(answer.mask[0]))

    groups = group_tracks(moving.xy, promptable(moving.visible, moving.confidence, settings.click_confidence), ask)
    if settings.complete_within is None:
        return groups
    radius = settings.complete_within * float(np.hypot(*network.size))
    return completed(groups, moving.xy, moving.visible, radius)


_NO_LABELS = MotionLabels(np.zeros(0, np.float32), np.zeros(0, np.bool_))


def _no_tracks(frames: int) -> Tracks:
    """Return no tracks at all."""
    empty = np.zeros((0, frames), np.float32)
    return Tracks(np.zeros((0, frames, 2), np.float32), empty > 0, empty, empty, np.zeros(0, np.int64))


def _no_masks(clip: Clip) -> ObjectMasks:
    """Return no objects at all."""
    return ObjectMasks(np.zeros((0, len(clip.frames), *clip.size), np.bool_))


class _Timer:
    """Wall time by stage, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - begun
