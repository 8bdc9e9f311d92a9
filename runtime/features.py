"""Semantic features of tracks (DINOv2 keys of their own query frame)."""

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import SemanticsInput
from samotion.runtime.preprocess import normalised
from samotion.runtime.progress import Progress
from samotion.runtime.resizing import OURS, Kernels
from samotion.runtime.values import Clip, Features, Float, Int, Tracks


def describe(clip: Clip, tracks: Tracks, bundle: Bundle, progress: Progress, kernels: Kernels = OURS) -> Features:
    """Return one feature a track: the cell of its query frame's grid that its query point falls into."""
    height, width = network_size(clip.size, bundle.manifest.semantics)
    engine = bundle.lane("semantics")
    asked = np.unique(tracks.query_frame)
    values: Float | None = None

    def cells(frame: int) -> tuple[Int, Float]:
        image = normalised(kernels.semantics(clip.frames[frame : frame + 1], height, width))
        own = np.flatnonzero(tracks.query_frame == frame)
        return own, _cells(engine(image=image)["keys"][0], tracks.xy[own, frame], clip.size)

    with progress.stage("features", len(asked)) as stage:
        for own, found in bundle.spread(cells, asked.tolist()):
            if values is None:
                values = np.empty((len(tracks.xy), found.shape[-1]), np.float32)
            values[own] = found
            stage.advance()
    return Features(np.zeros((0, 1), np.float32) if values is None else values)


def network_size(frame: tuple[int, int], wanted: SemanticsInput) -> tuple[int, int]:
    """Return the network's (height, width): up to the next multiples, after a shrink to the longest side."""
    factor = 1.0 if wanted.longest_side is None else min(1.0, wanted.longest_side / max(frame))
    height, width = (-(-round(side * factor) // wanted.multiple) * wanted.multiple for side in frame)
    return height, width


def _cells(grid: Float, xy: Float, frame: tuple[int, int]) -> Float:
    """Return the grid's (h, w, C) features at points (N, 2) in pixels of the frame: (N, C)."""
    rows, columns = grid.shape[:2]
    y = np.clip((xy[:, 1] * (rows / frame[0])).astype(int), 0, rows - 1)
    x = np.clip((xy[:, 0] * (columns / frame[1])).astype(int), 0, columns - 1)
    cells: Float = grid[y, x]
    return cells
