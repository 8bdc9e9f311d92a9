"""Which samples a resized row or column is made of, by what weights (as OpenCV and Pillow choose them), and levels.

A table is (index, weight), both (m, k), for one axis resized from n to m: output i is made of the samples index[i].
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.values import Float

Index = NDArray[np.int32]
Table = tuple[Index, NDArray[Any]]  # weights: float32, or int32 where they are fixed-point
FIXED = 2048  # OpenCV's weights for uint8 are multiples of 1/2048
PILLOW_BITS = 22  # Pillow's of 2^-22
LEAST = 1e-3  # OpenCV leaves out what covers less of a sample

# ImageNet statistics of RGB in [0, 1], which DINOv2, Depth-Anything-V2 and SAM2 were trained with.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
# What each of the 256 levels becomes, (3, 256): looking levels up is 20 times faster than scaling pixels.
LEVELS = np.arange(256, dtype=np.float32)
NORMALISED = LEVELS * (1 / (255 * STD[:, None])) - (MEAN / STD)[:, None]
SIGNED = np.repeat(LEVELS[None] / np.float32(127.5) - np.float32(1), 3, axis=0)


def linear(n: int, m: int, sides: bool = True) -> tuple[Index, Float]:
    """Return the table of OpenCV's INTER_LINEAR (m, 2), float32.

    sides: for columns. Where a sample lies outside OpenCV gives its neighbour all the weight in a row of pixels, and
    repeats the neighbour in a column; that rounds differently.
    """
    first, offset = _positions(n, m)
    if sides:
        offset[(first < 0) | (first >= n - 1)] = 0
    return _pairs(first, offset, n)


def area_enlarged(n: int, m: int) -> tuple[Index, Float]:
    """Return the table of OpenCV's INTER_AREA (m, 2), float32, where one of the axes grows."""
    inverse = m / n
    outputs = np.arange(m)
    first = np.floor(outputs * (1.0 / inverse)).astype(np.int64)
    offset = ((outputs + 1) - (first + 1) * inverse).astype(np.float32)
    offset = np.where(offset <= 0, np.float32(0), offset - np.floor(offset))
    offset[(first < 0) | (first >= n - 1)] = 0
    return _pairs(first, offset, n)


def area(n: int, m: int) -> tuple[Index, Float]:
    """Return the table of OpenCV's INTER_AREA (m, k), float32, where no axis grows; unused taps weigh 0."""
    scale = 1.0 / (m / n)
    taps: list[list[tuple[int, float]]] = []
    for begin in (np.arange(m) * scale).tolist():
        end, cell = begin + scale, min(scale, n - begin)
        last = min(math.floor(end), n - 1)
        first = min(math.ceil(begin), last)
        own = [(sample, 1.0 / cell) for sample in range(first, last)]
        if first - begin > LEAST:
            own.insert(0, (first - 1, (first - begin) / cell))
        if end - last > LEAST:
            own.append((last, min(end - last, 1.0, cell) / cell))
        taps.append(own)
    index, weight = _padded(taps)
    return index, weight.astype(np.float32)


def cubic(n: int, m: int) -> tuple[Index, Float]:
    """Return the table of OpenCV's INTER_CUBIC (m, 4), float32; for uint8 the weights are ``fixed``."""
    first, x = _positions(n, m)
    sharp, one = np.float32(-0.75), np.float32(1)

    def outer(at: Float) -> Float:
        polynomial: Float = ((sharp * at - 5 * sharp) * at + 8 * sharp) * at - 4 * sharp
        return polynomial

    def inner(at: Float) -> Float:
        polynomial: Float = ((sharp + 2) * at - (sharp + 3)) * at * at + one
        return polynomial

    weights = [outer(x + one), inner(x), inner(one - x)]
    weights.append(one - weights[0] - weights[1] - weights[2])
    index = np.clip(first[:, None] + np.arange(-1, 3), 0, n - 1).astype(np.int32)
    return index, np.stack(weights, axis=1).astype(np.float32)


def fixed(weight: Float) -> Index:
    """Return float32 weights in units of 1/2048."""
    units: Index = np.rint(weight * np.float32(FIXED)).astype(np.int32)
    return units


def pillow(n: int, m: int, kernel: Callable[[float], float], support: int) -> tuple[Index, Index]:
    """Return the table of one of Pillow's kernels (m, k), in units of 2^-22; it widens where it shrinks."""
    scale = n / m
    widened = max(1.0, scale)
    taps: list[list[tuple[int, float]]] = []
    for output in range(m):
        centre = (output + 0.5) * scale
        first = max(0, int(centre - support * widened + 0.5))
        last = min(n, int(centre + support * widened + 0.5))
        own = [kernel((sample - centre + 0.5) * (1.0 / widened)) for sample in range(first, last)]
        total = sum(own)
        taps.append([(first + i, weight / total) for i, weight in enumerate(own)])
    index, weights = _padded(taps)
    return index, np.trunc(weights * 2**PILLOW_BITS + np.copysign(0.5, weights)).astype(np.int32)


def bicubic_kernel(x: float) -> float:
    """Return Pillow's BICUBIC at x samples from the centre; support 2."""
    x, sharp = abs(x), -0.5
    if x < 1:
        return ((sharp + 2) * x - (sharp + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * sharp if x < 2 else 0.0


def lanczos_kernel(x: float) -> float:
    """Return Pillow's LANCZOS at x samples from the centre; support 3."""

    def sinc(at: float) -> float:
        return math.sin(at * math.pi) / (at * math.pi) if at else 1.0

    return sinc(x) * sinc(x / 3) if -3 <= x < 3 else 0.0


def _positions(n: int, m: int) -> tuple[NDArray[np.int64], Float]:
    """Return the sample below each output's place, pixel centres in place, and how far beyond it the place is."""
    at = ((np.arange(m) + 0.5) * (1.0 / (m / n)) - 0.5).astype(np.float32)
    first = np.floor(at)
    return first.astype(np.int64), at - first


def _pairs(first: NDArray[np.int64], offset: Float, n: int) -> tuple[Index, Float]:
    index = np.clip(np.stack([first, first + 1], axis=1), 0, n - 1).astype(np.int32)
    return index, np.stack([np.float32(1) - offset, offset], axis=1).astype(np.float32)


def _padded(taps: list[list[tuple[int, float]]]) -> tuple[Index, NDArray[np.float64]]:
    """Return lists of (sample, weight) as a table; what is missing repeats the last sample with weight 0."""
    longest = max(len(own) for own in taps)
    padded = [own + [(own[-1][0], 0.0)] * (longest - len(own)) for own in taps]
    table = np.array(padded, np.float64)
    return table[..., 0].astype(np.int32), table[..., 1]
