"""Disparity at the frame's size on a device. Twin: samotion.runtime.ops.reference.unit_disparity."""

import numpy as np

from samotion.runtime.kernels.launching import Array, Buffers, Launch, checked


def buffers(frames: int) -> Buffers:
    """Return the scratch of ``unit_disparity`` for B frames."""
    return {"extremes": ((frames, 2), np.uint32)}


def unit_disparity(launch: Launch, found: Array, tables: tuple[Array, ...], extremes: Array, values: Array) -> None:
    """Fill ``values`` (B, H, W) float32 from a network's maps (B, h, w): enlarged, each from 0 to 1, 0 where flat.

    tables: the arrays of ``tables.cubic(w, W)`` and ``tables.cubic(h, H)`` on the device. extremes: see ``buffers``.
    """
    frames, height, width = values.shape
    pixels = checked(frames * height * width)
    launch("depth", "depth_begin", 2 * frames, extremes, 2 * frames)
    sizes = *found.shape[1:], height, width
    launch("depth", "depth_enlarge", pixels, found, values, extremes, *tables, pixels, *sizes)
    launch("depth", "depth_scale", pixels, values, extremes, pixels, height * width)
