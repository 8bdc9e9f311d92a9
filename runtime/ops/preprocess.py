"""Frames into network inputs: resizing, scaling and layout, with the published constants, once."""

from collections.abc import Iterator

import cv2
import numpy as np

from samotion.runtime.kernels.tables import MEAN, NORMALISED, SIGNED, STD
from samotion.runtime.values import Bytes, Float

# Frames that a network takes at once on a CPU: more gain nothing and let lanes end far apart.
FRAMES_A_BATCH = 2


def resized(frames: Bytes, height: int, width: int, interpolation: int) -> Bytes:
    """Return ``frames`` (T, H, W, 3) resized to (T, height, width, 3); interpolation: cv2's number."""
    if frames.shape[1:3] == (height, width):
        return frames
    small = np.empty((len(frames), height, width, 3), np.uint8)
    for frame, into in zip(frames, small, strict=True):
        cv2.resize(frame, (width, height), dst=into, interpolation=interpolation)
    return small


def normalised(frames: Bytes | Float) -> Float:
    """Return RGB frames (T, H, W, 3) of levels 0 to 255 as float32 (T, 3, H, W) by ImageNet's mean and deviation.

    frames: uint8, or float32 where resizing left levels unrounded.
    """
    if frames.dtype == np.uint8:
        return _looked_up(frames, NORMALISED)
    return np.ascontiguousarray(((frames - 255 * MEAN) / (255 * STD)).transpose(0, 3, 1, 2), np.float32)


def signed(frames: Bytes | Float) -> Float:
    """Return uint8 RGB frames (T, H, W, 3) as float32 (T, 3, H, W) in [-1, 1]."""
    return _looked_up(frames, SIGNED)


def _looked_up(frames: Bytes | Float, table: Float) -> Float:
    """Return frames (T, H, W, 3) as planes (T, 3, H, W) of what ``table`` (3, 256) has for each level."""
    planes = np.empty((len(frames), 3, *frames.shape[1:3]), np.float32)
    for frame, own in zip(frames, planes, strict=True):
        for channel, values, plane in zip(cv2.split(frame), table, own, strict=True):
            cv2.LUT(channel, values, dst=plane)
    return planes


def batches(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most ``size`` that cover range(count)."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
