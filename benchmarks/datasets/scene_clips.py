"""Calibration scenes that no training has seen, as clips for the pipeline."""

import numpy as np

from samotion.calibration.scenes.scene import Scene
from samotion.runtime.values import Bytes, Float

UNSEEN = 1_000_000_000  # every training draws seeds far below


def moving_truth(made: Scene) -> Bytes:
    """Return (T, H, W) uint8 ids of the objects that move by themselves; all else is background."""
    kept = np.concatenate([[False], made.moving])
    return np.asarray(np.where(kept[made.instance], made.instance, 0), np.uint8)


def first_queries(made: Scene, count: int, seed: int) -> Float:
    """Return up to ``count`` points (N, 3) as (t, y, x), each in the first frame that shows it.

    Half are drawn on objects, half anywhere; those first seen in the last frame, which could not be followed, are
    left out.
    """
    rng = np.random.default_rng([seed, 1])
    frames, height, width = made.instance.shape
    anywhere = np.stack([rng.integers(0, side, count) for side in (frames, height, width)], axis=1)
    on_objects = np.argwhere(made.instance > 0)
    if len(on_objects):
        anywhere[: count // 2] = on_objects[rng.integers(0, len(on_objects), count // 2)]
    xy, visible, _ = made.tracks(anywhere.astype(np.float64))
    first = visible.argmax(axis=1)
    place = xy[np.arange(count), first]
    points = np.concatenate([first[:, None], place[:, ::-1]], axis=1)
    return np.asarray(points[first < frames - 1], np.float32)
