"""Tracks on a device: into the frame's pixels, filtered, and into [-1, 1] for the motion network."""

from collections.abc import Mapping

import numpy as np

from samotion.runtime.kernels.launching import Array, Buffers, Launch, checked

CHUNK = 64  # as in filtering.cu


def buffers(tracks: int, frames: int) -> Buffers:
    """Return what ``run`` writes for N tracks over T frames: results with room for all tracks, and scratch.

    Of xy, visible, visibility, confidence and query_frame the first rank[N] tracks are written.
    """
    points = (tracks, frames)
    return {
        "xy": ((*points, 2), np.float32),
        "visible": (points, np.bool_),
        "visibility": (points, np.float32),
        "confidence": (points, np.float32),
        "query_frame": ((tracks,), np.int64),
        "rank": ((tracks + 1,), np.int32),
        "kept": ((tracks,), np.int32),
        "seen": ((frames,), np.int32),
        "best": ((frames,), np.uint64),
        "sums": ((-(-tracks // CHUNK),), np.int32),
    }


def in_frame(launch: Launch, xy: Array, queries: Array, scale: tuple[float, float]) -> None:
    """Bring xy (N, T, 2) float32 in place from the tracker's input to the frame; the query itself stays exact.

    queries: (N, 3) float32 as (t, y, x). scale: what (x, y) are divided by. Twin: ops.reference.in_frame.
    """
    tracks, frames = xy.shape[:2]
    numbers = checked(2 * tracks * frames)
    launch("filtering", "filter_in_frame", numbers, xy, queries, numbers, frames, *scale)


def run(
    launch: Launch,
    xy: Array,
    occlusion: Array,
    expected_distance: Array,
    query_frame: Array,
    out: Mapping[str, Array],
) -> None:
    """Filter tracks into ``out`` (see ``buffers``); out["rank"][N] is how many are left.

    Twin: ops.visibility.filter_tracks. xy (N, T, 2), occlusion, expected_distance (N, T) float32, query_frame (N,)
    int64.
    """
    tracks, frames = occlusion.shape
    points, size = checked(2 * tracks * frames) // 2, (tracks, frames)
    logits = xy, occlusion, expected_distance
    kept, seen, best, rank = out["kept"], out["seen"], out["best"], out["rank"]
    results = out["xy"], out["visible"], out["visibility"], out["confidence"], out["query_frame"]
    launch("filtering", "filter_begin", max(tracks, frames), kept, seen, best, *size)
    launch("filtering", "filter_judge", points, *logits, kept, seen, *size)
    launch("filtering", "filter_count", -(-tracks // CHUNK), kept, out["sums"], tracks)
    launch("filtering", "filter_place", tracks + 1, kept, out["sums"], rank, tracks)
    launch("filtering", "filter_gather", points, *logits, query_frame, kept, seen, rank, best, *results, *size)
    launch("filtering", "filter_fill", frames, seen, rank, best, out["visible"], *size)


def normalise(launch: Launch, xy: Array, size: tuple[int, int], out: Array) -> None:
    """Fill ``out`` with pixels (N, T, 2) float32 of frames of ``size`` (height, width), brought into [-1, 1].

    Twin: ops.reference.normalised_xy.
    """
    numbers = checked(2 * xy.shape[0] * xy.shape[1])
    launch("filtering", "filter_normalise", numbers, xy, out, numbers, 2.0 / size[1], 2.0 / size[0])
