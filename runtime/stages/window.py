"""The straight line through the stages, from a clip to the masks of everything in it that moves by itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.ops.interface import Arrays
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.predictor import MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.stages.depth import estimate, small_maps
from samotion.runtime.stages.features import describe
from samotion.runtime.stages.grouping import completed, group_tracks
from samotion.runtime.stages.masks import segment_objects
from samotion.runtime.stages.merging import merge_objects
from samotion.runtime.stages.motion import STILL, label
from samotion.runtime.stages.prompts import background_points, promptable
from samotion.runtime.stages.support import supported
from samotion.runtime.stages.tracks import follow, sample_queries
from samotion.runtime.stages.votes import sureness
from samotion.runtime.values import Bool, Bytes, Clip, Float, MotionLabels, ObjectMasks, Prompt, TrackGroup, Tracks


@dataclass(frozen=True)
class Stages:
    """The stages on one clip, with their engines and constants.

    arrays: where arrays are between engines. seconds: wall time by stage, so far; on a GPU, where stages go on while
    later ones begin, that of whoever waits.
    """

    clip: Clip
    bundle: Bundle
    settings: Settings
    progress: Progress
    arrays: Arrays
    seconds: dict[str, float] = field(default_factory=dict)

    def motion(self) -> tuple[Tracks, MotionLabels, Bytes | None]:
        """Return the clip's tracks, which of them move by themselves, and its small depth maps.

        The maps are those of a WindowResult, None of a single frame. Raises EngineError.
        """
        clip, bundle, settings = self.clip, self.bundle, self.settings
        progress, arrays = self.progress, self.arrays
        if len(clip.frames) < 2:  # a single frame shows no motion
            return _no_tracks(len(clip.frames)), _NO_LABELS, None
        with self.timed("tracks"):
            queries = sample_queries(clip, settings)
            followed = follow(clip, queries, bundle, settings, progress, arrays)
        with self.timed("depth"):
            disparity = estimate(clip, bundle, settings, progress, arrays)
        # How many tracks are left is the first that a GPU is waited for, with depth on its way.
        with self.timed("tracks"):
            held = arrays.filtered(*followed, queries[:, 0])
        with self.timed("features"):
            features = describe(clip, held, bundle, settings, progress, arrays)
        with self.timed("motion"):
            labels = label(clip, held, disparity, features, bundle, settings, progress, arrays)
        return arrays.down_tracks(held), labels, small_maps(disparity, arrays)

    def network(self) -> MaskPredictor:
        """Return SAM2 with every frame encoded."""
        with self.timed("encoder"):
            return MaskPredictor(self.clip, self.bundle, self.settings, self.progress, self.arrays)

    def objects(self, tracks: Tracks, labels: MotionLabels, network: MaskPredictor) -> ObjectMasks:
        """Return the masks of the objects that the dynamic tracks belong to."""
        settings = self.settings
        moving, static = tracks.select(labels.dynamic), tracks.select(labels.probability < STILL)
        with self.timed("grouping"):
            groups = find_groups(moving, static, network, settings)
        with self.timed("masks"):
            sure = sureness(labels, settings)
            found = segment_objects(groups, moving, static, network, settings, self.progress, sure)
        with self.timed("merging"):
            return supported(merge_objects(found), tracks, labels, settings.least_support)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the block's wall time to that of ``stage``."""
        begun = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begun


def find_groups(moving: Tracks, static: Tracks, network: MaskPredictor, settings: Settings) -> list[TrackGroup]:
    """Return the objects that stage 1 finds, asking ``network`` for one object at a time.

    They are completed by tracks that move beside them where the settings say so.
    """

    def ask(frame: int, click: Float) -> Bool:
        still = static.xy[static.visible[:, frame], frame]
        around = background_points(still, click[None], settings.background_clicks)
        xy = np.concatenate([click[None], around]).astype(np.float32)
        answer = network.click([Prompt(frame, xy, np.arange(len(xy)) < 1)])
        return network.at_frame_size(frame, network.arrays.filled(answer.mask)[0])

    groups = group_tracks(moving.xy, promptable(moving, settings), ask)
    if settings.complete_within is None:
        return groups
    radius = settings.complete_within * float(np.hypot(*network.size))
    return completed(groups, moving.xy, moving.visible, radius)


_NO_LABELS = MotionLabels(np.zeros(0, np.float32), np.zeros(0, np.bool_))


def _no_tracks(frames: int) -> Tracks:
    """Return no tracks at all."""
    empty = np.zeros((0, frames), np.float32)
    return Tracks(np.zeros((0, frames, 2), np.float32), empty > 0, empty, empty, np.zeros(0, np.int64))
