"""What is done to arrays between engines, in NumPy and OpenCV: how the CPU does it, and what a GPU is held to."""

from collections.abc import Sequence

import cv2
import numpy as np

from samotion.runtime.values import Float, Int

HOLE_PIXELS = 8  # background islands up to this size in the low-resolution mask are filled (SAM2)
FILLED = np.float32(0.1)


def in_frame(xy: Float, queries: Int | Float, scale: Float) -> None:
    """Bring xy (N, T, 2) in place from pixels of the tracker's input to the frame's; the query itself stays exact.

    queries: (N, 3) as (t, y, x). scale: what (x, y) are divided by.
    """
    xy /= scale
    xy[np.arange(len(xy)), queries[:, 0].astype(np.int64)] = queries[:, :0:-1]


def unit_disparity(found: Float, out: Float) -> None:
    """Resize maps (B, h, w) to ``out`` (B, H, W), each from 0 to 1, 0 where it is flat."""
    height, width = out.shape[1:]
    for small, own in zip(found, out, strict=True):
        cv2.resize(small, (width, height), dst=own, interpolation=cv2.INTER_CUBIC)
        _make_unit(own)


def _make_unit(disparity: Float) -> None:
    """Scale ``disparity`` in place so that its least value is 0 and its greatest 1."""
    low, high = float(disparity.min()), float(disparity.max())
    if high - low <= np.finfo(np.float32).eps:
        disparity[:] = 0
        return
    disparity -= low
    disparity /= high - low


def cells(grid: Float, xy: Float, frame: tuple[int, int]) -> Float:
    """Return the grid's (h, w, C) features at points (N, 2) in pixels of the frame: (N, C)."""
    rows, columns = grid.shape[:2]
    y = np.clip((xy[:, 1] * (rows / frame[0])).astype(int), 0, rows - 1)
    x = np.clip((xy[:, 0] * (columns / frame[1])).astype(int), 0, columns - 1)
    found: Float = grid[y, x]
    return found


def normalised_xy(xy: Float, frame: tuple[int, int]) -> Float:
    """Return pixel coordinates (…, 2) as the motion network was trained: 2·xy/(W, H) − 1, kept in [−1, 1]."""
    height, width = frame
    scaled = xy * np.array([2 / width, 2 / height], np.float32) - np.float32(1)
    clipped: Float = np.clip(scaled, -1, 1).astype(np.float32)
    return clipped


def fill_holes(mask: Float) -> Float:
    """Return a mask (h, w) of logits in which background islands of at most 8 pixels are foreground."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((mask <= 0).astype(np.uint8), connectivity=8)
    small = np.zeros(count, np.bool_)
    small[1:] = stats[1:, cv2.CC_STAT_AREA] <= HOLE_PIXELS
    return np.where(small[labels], FILLED, mask).astype(np.float32) if small.any() else mask


def padded(rows: Sequence[Sequence[Float]], shape: tuple[int, ...]) -> Float:
    """Return the rows that each of K objects has in an array (K, *shape), zeros where there are fewer than fit."""
    out = np.zeros((len(rows), *shape), np.float32)
    for filled, own in zip(out, rows, strict=True):
        for slot, row in zip(filled, own, strict=False):
            slot[...] = row
    return out
