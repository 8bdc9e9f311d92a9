"""Masks on a GPU: small holes, and masks of the frames' size.

A frame's logits stay on the GPU until every frame is drawn; then masks come down, once. Where they follow the frame's
edges it is the logits that come down, a fraction of the masks' size, and the host refines them (refining.Edges), to
the bit as without a GPU.
"""
# ruff: noqa: D102 - Arrays and Easel say what each does

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from samotion.engines.device import DeviceArray
from samotion.engines.engine import Array
from samotion.runtime.kernels import masks, tables
from samotion.runtime.kernels.kernel_stream import KernelStream
from samotion.runtime.ops.guided_filter import Enlarge, enlarger
from samotion.runtime.ops.interface import Canvas
from samotion.runtime.values import Bool, Clip, Float

NOTHING = 0xBF800000  # the bits of -1: logits of an empty mask
# Mask pixels that come down at once, by way of pinned memory that stays; indices inside the kernels have 32 bits.
PART = 2**26

Constants = Callable[[Any, Callable[[], Sequence[Array]]], tuple[DeviceArray, ...]]


def filled(stream: KernelStream, logits: DeviceArray) -> DeviceArray:
    """Return masks (K, h, w) of logits with their small holes filled."""
    count, height, width = logits.shape
    out = stream.buffers(masks.hole_buffers(count, height, width))
    with stream.reading(logits) as launch:
        masks.fill_holes(launch, logits, out)
    return out["filled"]


class GpuEasel:
    """Makes masks of the size of one clip's frames; see samotion.runtime.ops.interface.Easel."""

    def __init__(self, clip: Clip, follow_edges: bool, stream: KernelStream, constants: Constants) -> None:
        self.shape = (len(clip.frames), *clip.size)
        self.stream = stream
        self.refine: Enlarge | None = enlarger(clip, True) if follow_edges else None
        self._constants = constants

    def mask(self, frame: int, logits: Any) -> Bool:
        if self.refine is not None:
            coarse: Float = logits.numpy()
            return self.refine(frame, coarse)
        out = np.empty((1, *self.shape[1:]), np.bool_)
        self.enlarge(logits.reshape(1, *logits.shape), out)
        found: Bool = out[0]
        return found

    def canvas(self, objects: int) -> Canvas:
        return _GpuCanvas(self, objects)

    def enlarge(self, logits: DeviceArray, out: Bool) -> None:
        """Write logits (T, h, w) as masks into ``out`` (T, H, W) on the host, some frames at a time."""
        frames = max(1, PART // math.prod(self.shape[1:]))
        for start in range(0, len(out), frames):
            part = slice(start, min(start + frames, len(out)))
            out[part] = self._enlarged(logits[part])

    def _enlarged(self, logits: DeviceArray) -> Bool:
        """Return logits (T, h, w) as masks (T, H, W) on the host, until the next are asked for."""
        (count, height, width), (tall, wide) = logits.shape, self.shape[1:]

        def made() -> Sequence[Array]:
            return (*tables.linear(width, wide), *tables.linear(height, tall, sides=False))

        across, across_weight, down, down_weight = self._constants(("masks", logits.shape[1:], (tall, wide)), made)
        out = self.stream.array((count, tall, wide), np.bool_)
        with self.stream.reading(logits) as launch:
            masks.enlarge(launch, logits, (across, across_weight, down, down_weight), out)
        return np.asarray(self.stream.fetched(out), np.bool_)


class _GpuCanvas:
    def __init__(self, easel: GpuEasel, objects: int) -> None:
        self._easel, self._objects = easel, objects
        self._logits: DeviceArray | None = None
        self._drawn: set[tuple[int, int]] = set()

    def draw(self, k: int, frame: int, logits: Any) -> None:
        stream = self._easel.stream
        if self._logits is None:
            self._logits = stream.array((self._objects, self._easel.shape[0], *logits.shape))
            with stream.reading():
                stream.fill(self._logits, NOTHING)
        with stream.reading(logits):
            stream.copy(logits, self._logits[k][frame])
        self._drawn.add((frame, k))

    def masks(self) -> Bool:
        out = np.zeros((self._objects, *self._easel.shape), np.bool_)
        if self._logits is None:
            return out
        if self._easel.refine is None:
            for k, own in enumerate(out):
                self._easel.enlarge(self._logits[k], own)
            return out
        found: Any = self._logits.numpy()
        for frame, k in sorted(self._drawn):  # frame by frame, whose edges are looked at once for all objects
            out[k, frame] = self._easel.refine(frame, found[k, frame])
        return out
