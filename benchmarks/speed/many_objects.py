"""What each further object costs: the pipeline with 1, 4, 16, 64 objects in the same clip."""

import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from samotion.benchmarks.report.measurement import Timing
from samotion.calibration.scenes.scene import Scene
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.pipeline import segment
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.predictor import MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import IMAGE_FPS
from samotion.runtime.stages.masks import segment_objects
from samotion.runtime.stages.merging import merge_objects
from samotion.runtime.values import Clip, Int, Prompt, TrackGroup, Tracks

POINTS = 12  # tracks of one object
BACKGROUND = 400  # tracks of what stands still
SPARE = 1.5  # objects made for each one wanted: some end up hidden behind others


def objects(scene: Scene, counts: Sequence[int], bundle: Bundle, settings: Settings, runs: int) -> list[Timing]:
    """Return timings of a scene with so many objects: their masks, and all stages together.

    scene: of SPARE times as many objects as the largest count. The published stage 1 finds ten objects at most, so
    the objects and their tracks are the scene's own. What does not depend on their number is timed in the same run
    on the same clip, as the pipeline does it, and added.
    """
    index = np.arange(len(scene.frames))
    size = scene.frames.shape[1:3]
    clip = Clip("objects", scene.frames, IMAGE_FPS, size, index, len(index), index / float(IMAGE_FPS))
    groups, moving, static = known_objects(scene, max(counts))
    masks: dict[int, list[list[float]]] = defaultdict(list)
    whole: dict[int, list[list[float]]] = defaultdict(list)
    for run in range(runs + 1):  # the first loads and warms the engines
        shared = segment(clip, bundle, settings).seconds
        rest = sum(taken for stage, taken in shared.items() if stage not in ("masks", "merging"))
        network = MaskPredictor(clip, bundle, settings, Progress(), HOST)
        for count in counts:
            begun = time.perf_counter()
            merge_objects(segment_objects(groups[:count], moving, static, network, settings, Progress()))
            taken = time.perf_counter() - begun
            if run:
                masks[count].append([taken])
                whole[count].append([rest + taken])
    name = f"{len(index)} frames"
    return [
        Timing("objects", name, rounds[count], variant, count, "objects")
        for variant, rounds in (("masks and merging", masks), ("clip to masks", whole))
        for count in counts
    ]


def known_objects(scene: Scene, count: int) -> tuple[list[TrackGroup], Tracks, Tracks]:
    """Return ``count`` objects of a scene, largest first, with exact tracks of them and of the background."""
    largest = _largest(scene, count)
    queries = [_points(scene, frame, number, POINTS) for number, frame in largest]
    moving = _tracks(scene, np.concatenate(queries))
    static = _tracks(scene, _points(scene, len(scene.frames) // 2, 0, BACKGROUND))
    groups = []
    for k, (_, frame) in enumerate(largest):
        tracks = np.arange(len(moving.xy)) // POINTS == k
        click = moving.xy[tracks, frame][:1]
        groups.append(TrackGroup(Prompt(frame, click, np.ones(1, np.bool_)), tracks))
    return groups, moving, static


def _largest(scene: Scene, count: int) -> list[tuple[int, int]]:
    """Return (number, frame in which it is seen best) of the ``count`` objects with most pixels in one frame."""
    frames = len(scene.frames)
    pixels = np.stack([np.bincount(ids.ravel(), minlength=256) for ids in scene.instance])[:, 1:]
    order = np.argsort(-pixels.max(axis=0), kind="stable")[:count]
    if pixels.max(axis=0)[order[-1]] < POINTS:
        raise InputError(f"the made clip of {frames} frames shows fewer than {count} objects")
    return [(int(k) + 1, int(pixels[:, k].argmax())) for k in order]


def _points(scene: Scene, frame: int, number: int, count: int) -> Int:
    """Return ``count`` pixels (count, 3) as (t, y, x) of one object (0: background) in one frame, evenly drawn."""
    y, x = np.nonzero(scene.instance[frame] == number)
    chosen = np.linspace(0, len(y) - 1, count).round().astype(np.int64)
    return np.stack([np.full(count, frame), y[chosen], x[chosen]], axis=1)


def _tracks(scene: Scene, points: Int) -> Tracks:
    """Return the exact tracks of points (N, 3), seen with full confidence wherever they are."""
    xy, visible, _ = scene.tracks(points.astype(np.float64))
    height, width = scene.frames.shape[1:3]
    xy = np.clip(xy, 0, np.array([width - 1, height - 1], np.float32))
    sure = visible.astype(np.float32)
    return Tracks(xy, visible, sure, sure, points[:, 0])
