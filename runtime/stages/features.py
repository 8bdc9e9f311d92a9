"""Semantic features of tracks (DINOv2 keys of their own query frame)."""

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import SemanticsInput
from samotion.runtime.ops.interface import Arrays, Held
from samotion.runtime.ops.resize import resize_set
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip, Tracks


def describe(
    clip: Clip,
    tracks: Tracks,
    bundle: Bundle,
    settings: Settings,
    progress: Progress,
    arrays: Arrays,
) -> Held:
    """Return features (N, C) float32: for each track the cell of its query frame's grid with its query point."""
    height, width = network_size(clip.size, bundle.manifest.semantics)
    resize, engine = resize_set(settings), bundle.lane("semantics")
    asked = np.unique(arrays.down(tracks.query_frame))
    values = arrays.empty("semantics", (len(tracks.xy), channels(bundle)))

    def fill(frame: int) -> None:
        image = arrays.images(clip, slice(frame, frame + 1), "semantics", (height, width), resize)
        arrays.sample(arrays.run(engine, image=image)["keys"][0], tracks, frame, clip.size, values)

    with progress.stage("features", len(asked)) as stage:
        for _ in bundle.spread(fill, asked.tolist()):
            stage.advance()
    return values


def channels(bundle: Bundle) -> int:
    """Return how many numbers a feature has."""
    (keys,) = bundle.manifest.graphs["semantics"].outputs
    return int(keys.shape[-1])


def network_size(frame: tuple[int, int], wanted: SemanticsInput) -> tuple[int, int]:
    """Return the network's (height, width): up to the next multiples, after a shrink to the longest side."""
    factor = 1.0 if wanted.longest_side is None else min(1.0, wanted.longest_side / max(frame))
    height, width = (-(-round(side * factor) // wanted.multiple) * wanted.multiple for side in frame)
    return height, width
