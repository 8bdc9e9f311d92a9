"""The straight line through the stages, from a clip to the masks of everything in it that moves by itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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
from samotion.runtime.values import Bool, Clip, Float, MotionLabels, ObjectMasks, Prompt, TrackGroup, Tracks


@dataclass(frozen=True)
class Stages:
    """The stages on one clip, with their engines and constants. seconds: wall time by stage, so far."""

    clip: Clip
    bundle: Bundle
    settings: Settings
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    def motion(self) -> tuple[Tracks, MotionLabels]:
        """Return the clip's tracks and which of them move by themselves; raises EngineError."""
        clip, bundle, progress = self.clip, self.bundle, self.progress
        if len(clip.frames) < 2:  # a single frame shows no motion
            return _no_tracks(len(clip.frames)), _NO_LABELS
        with self.timed("tracks"):
            tracks = track(clip, bundle, self.settings, progress)
        with self.timed("depth"):
            disparity = estimate(clip, bundle, progress, kernels(self.settings))
        with self.timed("features"):
            features = describe(clip, tracks, bundle, progress, kernels(self.settings))
        with self.timed("motion"):
            return tracks, label(clip, tracks, disparity, features, bundle, self.settings, progress)

    def network(self) -> MaskNetwork:
        """Return SAM2 with every frame encoded."""
        with self.timed("encoder"):
            return MaskNetwork(self.clip, self.bundle, self.progress, self.settings)

    def objects(self, tracks: Tracks, labels: MotionLabels, network: MaskNetwork) -> ObjectMasks:
        """Return the masks of the objects that the dynamic tracks belong to."""
        settings = self.settings
        moving, static = tracks.select(labels.dynamic), tracks.select(labels.probability < STILL)
        with self.timed("grouping"):
            groups = find_groups(moving, static, network, settings)
        with self.timed("masks"):
            found = segment_objects(groups, moving, static, network, settings, self.progress)
        with self.timed("merging"):
            return merge_objects(found)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's wall time to that of ``stage``."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun


def find_groups(moving: Tracks, static: Tracks, network: MaskNetwork, settings: Settings) -> list[TrackGroup]:
    """Return the objects that stage 1 finds, asking ``network`` for one object at a time.

    They are completed by tracks that move beside them where the settings say so.
    """

    def ask(frame: int, click: Float) -> Bool:
        still = static.xy[static.visible[:, frame], frame]
        around = background_points(still, click[None], settings.background_clicks)
        xy = np.concatenate([click[None], around]).astype(np.float32)
        answer = network.click(frame, [Prompt(frame, xy, np.arange(len(xy)) < 1)])
        return network.at_frame_size(frame, fill_holes(answer.mask[0]))

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
