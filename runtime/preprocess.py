"""Frames into network inputs: resizing, scaling and layout, with the published constants, once."""

from collections.abc import Iterator

import cv2
import numpy as np

from samotion.runtime.values import Bytes, Float

# ImageNet statistics of RGB in [0, 1], which DINOv2, Depth-Anything-V2 and SAM2 were trained with.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def resized(frames: Bytes, height: int, width: int, interpolation: int) -> Bytes:
    """Return ``frames`` (T, H, W, 3) resized to (T, height, width, 3); interpolation: cv2's number."""
    if frames.shape[1:3] == (height, width):
        return frames
    return np.stack([cv2.resize(f, (width, height), interpolation=interpolation) for f in frames]).astype(np.uint8)


def normalised(frames: Bytes) -> Float:
    """Return uint8 RGB frames (T, H, W, 3) as float32 (T, 3, H, W) by ImageNet's mean and deviation."""
    scaled = frames.astype(np.float32) * (1 / (255 * STD)) - MEAN / STD
    return np.ascontiguousarray(scaled.astype(np.float32).transpose(0, 3, 1, 2))


def batches(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most ``size`` that cover range(count)."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
