"""Masks that follow their frame's edges: a guided filter over a network's coarse answer (He, Sun and Tang, 2010)."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from samotion.runtime.values import Bool, Bytes, Clip, Float

Enlarge = Callable[[int, Float], Bool]

# Chosen on training clips for masks of 64×64 cells. Finer work costs more and gains nothing.
LONGEST = 160  # pixels of the frame's longest side while at work
RADIUS = 9  # of the windows in which a mask is fitted to the colours, in those pixels
# Variance of colour, in [0, 1], below which a window counts as flat and its mask is only smoothed.
FLAT = 1e-5
WINDOW = (2 * RADIUS + 1, 2 * RADIUS + 1)
CERTAIN = 20.0  # logits beyond are all the same
FRAMES_KEPT = 8  # objects are worked on frame by frame, so that few frames are looked at at a time


def enlarger(clip: Clip, follow_edges: bool) -> Enlarge:
    """Return what makes the logits (h, w) of a mask on a frame of ``clip``, by its number, a mask (H, W) of it."""
    if not follow_edges:
        size = clip.size[::-1]
        return lambda _, logits: cv2.resize(logits, size, interpolation=cv2.INTER_LINEAR) > 0
    edges = lru_cache(FRAMES_KEPT)(lambda frame: Edges(clip.frames[frame]))
    return lambda frame, logits: edges(frame).refined(logits)


class Edges:
    """One frame's colours, ready to refine any number of masks.

    frame: (H, W, 3) uint8 RGB. In every window the mask is fitted as a linear function of colour; what a pixel gets
    is the mean over the windows that hold it.
    """

    def __init__(self, frame: Bytes) -> None:
        height, width = frame.shape[:2]
        self._size = (width, height)
        scale = min(1.0, LONGEST / max(width, height))
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        colours = cv2.resize(frame, small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        # In luma and chroma a grey frame's covariances are exactly 0, where those of RGB would cancel to noise.
        planes = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2YCrCb)).transpose(2, 0, 1)
        self._colours: Float = np.ascontiguousarray(planes, np.float32)
        self._means = _mean(self._colours)
        self._inverse = self._inverted()

    def refined(self, logits: Float) -> Bool:
        """Return logits (h, w) of a mask as a mask (H, W) of the frame whose outline follows the frame's edges."""
        small = self._colours.shape[:0:-1]
        bounded = np.clip(logits, -CERTAIN, CERTAIN)
        enlarged: Float = np.asarray(cv2.resize(bounded, small, interpolation=cv2.INTER_LINEAR), np.float32)
        mask: Float = np.asarray(1 / (1 + np.exp(-enlarged)), np.float32)
        mean = np.asarray(cv2.blur(mask, WINDOW))
        common = _mean(self._colours * mask) - self._means * mean
        slope: Float = np.stack([(row * common).sum(axis=0) for row in self._inverse])
        offset = mean - (slope * self._means).sum(axis=0)
        fitted = (_mean(slope) * self._colours).sum(axis=0) + np.asarray(cv2.blur(offset, WINDOW))
        return np.asarray(cv2.resize(fitted, self._size, interpolation=cv2.INTER_LINEAR)) > 0.5

    def _inverted(self) -> Float:
        """Return the inverses (3, 3, h, w) of the covariances of colour in the windows."""
        first, second = np.triu_indices(3)
        upper = _mean(self._colours[first] * self._colours[second]) - self._means[first] * self._means[second]
        upper[first == second] += np.float32(FLAT)
        yy, yr, yb, rr, rb, bb = upper
        adjugate = np.stack(
            [
                rr * bb - rb * rb,
                yb * rb - yr * bb,
                yr * rb - yb * rr,
                yy * bb - yb * yb,
                yb * yr - yy * rb,
                yy * rr - yr * yr,
            ]
        )
        adjugate /= yy * adjugate[0] + yr * adjugate[1] + yb * adjugate[2]
        return np.asarray(adjugate[[[0, 1, 2], [1, 3, 4], [2, 4, 5]]])


def _mean(planes: Float) -> Float:
    """Return the mean over the window around each pixel of planes (C, h, w)."""
    return np.stack([cv2.blur(plane, WINDOW) for plane in planes])
