"""Long-range point tracks (BootsTAPIR): sample the queries, then follow only those."""

from collections.abc import Callable, Mapping

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.runtime.kernels.resizing import ResizeSet
from samotion.runtime.ops.evidence import informative
from samotion.runtime.ops.interface import Arrays, Held
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH, batches
from samotion.runtime.ops.resize import resize_set
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip, Float, Int

GRIDS = 0.25  # what all frames' grids take, as a part of what all points take: for the progress only


def follow(
    clip: Clip,
    queries: Int | Float,
    bundle: Bundle,
    settings: Settings,
    progress: Progress,
    arrays: Arrays,
) -> tuple[Held, Held, Held]:
    """Return where query points go, every one of them, before any filtering.

    queries: (N, 3) as (t, y, x) in whole frames and pixels. Returns xy (N, T, 2) float32 pixels of the clip's
    frames, exact at the query itself, and the occlusion and expected-distance logits (N, T) float32.
    """
    size = bundle.manifest.tracker.size
    scale = corner_scale(clip.size, size)
    points = queries.astype(np.float32)
    points[:, 1:] *= scale[::-1]
    grid_steps = max(1, round(GRIDS * len(points) / len(clip.frames)))
    with progress.stage("tracks", grid_steps * len(clip.frames) + len(points)) as stage:
        low, high = _feature_grids(
            clip, bundle, size, resize_set(settings), arrays, lambda count: stage.advance(grid_steps * count)
        )
        given = arrays.up(points)
        xy, occlusion, distance = _follow(given, low, high, bundle, settings.point_chunk, arrays, stage.advance)
    arrays.in_frame(xy, queries, scale)
    return xy, occlusion, distance


def sample_queries(clip: Clip, settings: Settings) -> Int:
    """Return queries (N, 3) as (t, y, x): of each query frame's grid a uniform 1/Q, at most max_tracks in all.

    The published system tracks every grid point and then keeps such a sample; drawing it first is the same
    distribution for 1/Q of the work.
    """
    rng = np.random.default_rng(settings.seed)
    _, grid = query_grid(clip.size, settings)
    shown = np.flatnonzero(informative(clip.frames)) if settings.skip_blank else np.arange(len(clip.frames))
    frames = (shown if len(shown) else np.arange(len(clip.frames)))[:: settings.step]
    kept = max(1, len(grid) // len(frames))
    queries = np.concatenate(
        [np.insert(grid[rng.permutation(len(grid))[:kept]], 0, frame, axis=1) for frame in frames]
    )
    if len(queries) > settings.max_tracks:
        queries = queries[np.sort(rng.permutation(len(queries))[: settings.max_tracks])]
    return queries.astype(np.int64)


def query_grid(frame: tuple[int, int], settings: Settings) -> tuple[int, Int]:
    """Return the pitch in pixels and the points (G, 2) as (y, x) of the grid on a ``frame`` of (height, width)."""
    height, width = frame
    pitch = max(1, int(np.sqrt(height * width / settings.grid_pixels)))
    return pitch, np.mgrid[0:height:pitch, 0:width:pitch].reshape(2, -1).T


def corner_scale(frame: tuple[int, int], size: int) -> Float:
    """Return the factors on (x, y) that map frame corners to the corners of the tracker's input."""
    height, width = frame
    return np.array([(size - 1) / max(1, width - 1), (size - 1) / max(1, height - 1)], np.float32)


def _feature_grids(
    clip: Clip, bundle: Bundle, size: int, resize: ResizeSet, arrays: Arrays, advance: Callable[[int], None]
) -> tuple[Held, Held]:
    """Return the low and high resolution grids of every frame, computed once for all points."""
    engine = bundle.lane("track_features")

    def grids_of(part: slice) -> tuple[Held, Held]:
        answer = arrays.run(engine, frames=arrays.images(clip, part, "tracker", (size, size), resize))
        return answer["low"], answer["high"]

    grids: list[tuple[Held, Held]] = []
    for low, high in bundle.spread(grids_of, batches(len(clip.frames), FRAMES_A_BATCH)):
        grids.append((low, high))
        advance(len(low))
    return arrays.joined([low for low, _ in grids]), arrays.joined([high for _, high in grids])


def _follow(
    points: Held,
    low: Held,
    high: Held,
    bundle: Bundle,
    chunk: int,
    arrays: Arrays,
    advance: Callable[[int], None],
) -> tuple[Held, Held, Held]:
    """Return xy (N, T, 2) in pixels of the tracker's input, occlusion and expected-distance logits (N, T)."""
    queries, head = bundle.lane("track_queries"), bundle.lane("track_head")

    def answer_of(part: slice) -> Mapping[str, Held]:
        asked = arrays.run(queries, low=low, high=high, points=points[part])
        return arrays.run(head, low=low, high=high, points=points[part], **asked)

    answers = []
    for answer in bundle.spread(answer_of, batches(len(points), chunk)):
        answers.append(answer)
        advance(len(answer["xy"]))
    xy, occlusion, distance = (
        arrays.joined([answer[name] for answer in answers]) for name in ("xy", "occlusion", "expected_distance")
    )
    return xy, occlusion, distance
