"""Semantic features of tracks on a device. Twin: samotion.runtime.ops.reference.cells."""

from samotion.runtime.kernels.launching import Array, Launch, checked


def sample(
    launch: Launch, grid: Array, xy: Array, query_frame: Array, frame: int, size: tuple[int, int], out: Array
) -> None:
    """Fill the rows of ``out`` (N, C) float32 whose tracks were asked on ``frame``; the others stay.

    grid: (h, w, C) float32, that frame's keys. xy: (N, T, 2) float32 pixels of frames of ``size`` (height, width).
    query_frame: (N,) int64. A coordinate that is negative or not finite reads cell 0, one beyond
    the frame the last.
    """
    rows, columns, channels = grid.shape
    tracks, frames = xy.shape[:2]
    checked(max(rows * columns * channels, tracks * channels, 2 * tracks * frames))
    numbers = frame, tracks, frames, rows, columns, channels
    launch(
        "features",
        "features_sample",
        tracks * channels,
        grid,
        xy,
        query_frame,
        out,
        *numbers,
        float(columns / size[1]),
        float(rows / size[0]),
    )
