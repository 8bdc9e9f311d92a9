"""Resizing, normalisation and layout on a device: one uploaded frame into the input of each network."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.kernels import tables
from samotion.runtime.kernels.launching import Array, Launch, checked
from samotion.runtime.kernels.tables import MEAN, NORMALISED, SIGNED, STD
from samotion.runtime.values import Float

Network = Literal["tracker", "depth", "semantics", "masks"]
LINEAR, CUBIC, AREA, MEAN_OF, PILLOW, UNROUNDED = range(6)  # as in resizing.cu


class ResizeSet(Enum):
    """Which set of resizing kernels the networks get: our choice, fast, or exactly the published system's."""

    OURS = "ours"
    PUBLISHED = "published"


@dataclass(frozen=True)
class Recipe:
    """How frames of one size become a network's input of another: made once, its arrays uploaded once.

    rule: of resizing.cu. size: (height, width) of the input. across, down: see tables. levels: (3, 256) float32,
    what a level becomes; (3, 2) for UNROUNDED: 255 times the mean and the deviation.
    """

    rule: int
    size: tuple[int, int]
    across: tables.Table
    down: tables.Table
    levels: Float

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """What ``resize`` needs on the device: levels, and the tables' indices and weights."""
        return (self.levels, *self.across, *self.down)


def recipe(frame: tuple[int, int], size: tuple[int, int], network: Network, resize: ResizeSet) -> Recipe:
    """Return how a frame (height, width) becomes ``size`` for a network, as samotion.runtime.ops.resize does it."""
    levels = SIGNED if network == "tracker" else NORMALISED
    if resize is ResizeSet.OURS:
        rule, across, down = {"depth": _cubic, "semantics": _linear}.get(network, _area)(frame, size)
    elif network == "semantics":
        rule, across = UNROUNDED, tables.linear(frame[1], size[1])
        down = tables.linear(frame[0], size[0], sides=False)
        levels = np.stack([255 * MEAN, 255 * STD], axis=1)
    else:
        kernel, support = (tables.lanczos_kernel, 3) if network == "tracker" else (tables.bicubic_kernel, 2)
        down, across = (tables.pillow(n, m, kernel, support) for n, m in zip(frame, size, strict=True))
        rule = PILLOW
    return Recipe(rule, size, across, down, np.ascontiguousarray(levels, np.float32))


def resize(launch: Launch, frame: Array, made: Recipe, arrays: tuple[Array, ...], planes: Array) -> None:
    """Fill ``planes`` (3, h, w) float32 from a frame (H, W, 3) uint8 RGB.

    arrays: made.arrays on the device. Twin: tests.support.kernel_twins.planes; against the runtime: docs/kernels.md.
    """
    checked(max(frame.shape[0] * frame.shape[1], made.size[0] * made.size[1]) * 3)
    levels, columns, across, rows, down = arrays
    taps = columns.shape[1], rows.shape[1]
    pixels = made.size[0] * made.size[1]
    launch(
        "resizing",
        "resize",
        pixels,
        frame,
        levels,
        planes,
        columns,
        across,
        rows,
        down,
        *taps,
        made.rule,
        frame.shape[1],
        *made.size,
    )


Axes = tuple[int, tables.Table, tables.Table]


def _linear(frame: tuple[int, int], size: tuple[int, int]) -> Axes:
    across, down = tables.linear(frame[1], size[1]), tables.linear(frame[0], size[0], sides=False)
    return LINEAR, _fixed(across), _fixed(down)


def _cubic(frame: tuple[int, int], size: tuple[int, int]) -> Axes:
    return CUBIC, _fixed(tables.cubic(frame[1], size[1])), _fixed(tables.cubic(frame[0], size[0]))


def _area(frame: tuple[int, int], size: tuple[int, int]) -> Axes:
    if frame[0] < size[0] or frame[1] < size[1]:
        down, across = (_fixed(tables.area_enlarged(n, m)) for n, m in zip(frame, size, strict=True))
        return LINEAR, across, down
    whole = frame[0] % size[0] == 0 and frame[1] % size[1] == 0
    down, across = (tables.area(n, m) for n, m in zip(frame, size, strict=True))
    return MEAN_OF if whole else AREA, across, down


def _fixed(table: tuple[tables.Index, Float]) -> tables.Table:
    return table[0], tables.fixed(table[1])
