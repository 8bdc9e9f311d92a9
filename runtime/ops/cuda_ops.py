"""Arrays on a GPU: what samotion.runtime.ops.interface asks for, done by the kernels.

Frames go up once a window, masks come down once, and so do the tracks; nothing else that grows with the frame does.
Each network's kernels have a stream of their own, so that tracks, depth and features are worked on side by side.
"""
# ruff: noqa: D102 - Arrays and Easel say what each does

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.device import Device, DeviceArray, Uploads
from samotion.engines.engine import Array, is_on_device
from samotion.runtime.kernels import depth, features, filtering, memory, resizing, tables
from samotion.runtime.kernels.device import CudaModules
from samotion.runtime.kernels.kernel_stream import KernelStream
from samotion.runtime.kernels.resizing import Network, ResizeSet
from samotion.runtime.ops.cuda_masks import GpuEasel, filled
from samotion.runtime.ops.interface import Arrays, Easel, Held
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.values import Clip, Float, Int, Tracks


def arrays_for(bundle: Bundle) -> Arrays:
    """Return where the arrays between the engines of ``bundle`` are: where these are; raises EngineError.

    On a GPU a thread gets the same from clip to clip: kernels that are loaded, memory that is there.
    """
    device = bundle.device
    if device is None:
        return HOST
    key = (Gpu, threading.get_ident())
    if key not in device.attached:
        device.attached[key] = Gpu(device)
    kept: Gpu = device.attached[key]
    return kept


class Gpu:
    """Arrays in a GPU's memory, which is kept from clip to clip; see Arrays. cache: of compiled kernels.

    For one thread at a time. Raises EngineError where the kernels cannot be compiled or loaded.
    """

    steady = True

    def __init__(self, device: Device, cache: Path | None = None) -> None:
        self._device = device
        with device.active():
            kernels, uploads = CudaModules(device, cache), Uploads(device)
            # What everybody reads has queues of its own: whoever overwrites an array waits for all who read it.
            names = ("frames", "small", *get_args(Network))
            self._streams = {name: KernelStream(device, kernels, uploads) for name in names}
        self._constants: dict[Any, tuple[DeviceArray, ...]] = {}
        self._recipes: dict[Any, resizing.Recipe] = {}
        self._clip: tuple[weakref.ref[Clip], DeviceArray] | None = None

    def run(self, engine: Any, **inputs: Any) -> Mapping[str, Held]:
        there = {name: value if is_on_device(value) else self.up(value) for name, value in inputs.items()}
        answers: Mapping[str, Held] = engine.on_device(**there)
        return answers

    def images(
        self, clip: Clip, part: slice, network: Network, size: tuple[int, int], resize: ResizeSet
    ) -> DeviceArray:
        key = (clip.size, size, network, resize)
        if key not in self._recipes:
            self._recipes[key] = resizing.recipe(*key)
        made, frames, stream = self._recipes[key], self._frames(clip)[part], self._streams[network]
        constants = self.constants(key, lambda: made.arrays)
        planes = stream.array((len(frames), 3, *size))
        with stream.reading(frames) as launch:
            for i in range(len(frames)):
                resizing.resize(launch, frames[i], made, constants, planes[i])
        return planes

    def up(self, array: Array) -> DeviceArray:
        return self._streams["small"].sent(array)

    def down(self, array: Any) -> Any:
        return array.numpy()

    def down_tracks(self, tracks: Tracks) -> Tracks:
        parts = (tracks.xy, tracks.visible, tracks.visibility, tracks.confidence, tracks.query_frame)
        return Tracks(*(self.down(part) for part in parts))

    def empty(self, network: Network, shape: tuple[int, ...]) -> DeviceArray:
        return self._streams[network].array(shape)

    def zeros(self, shape: tuple[int, ...]) -> DeviceArray:
        return self.constants(shape, lambda: (np.zeros(shape, np.float32),))[0]

    def joined(self, parts: Sequence[Any]) -> DeviceArray:
        stream = self._streams["tracker"]  # masks, which also join arrays, come later
        out = stream.array((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
        start = 0
        with stream.reading(*parts):
            for part in parts:
                stream.copy(part, out[start : start + len(part)])
                start += len(part)
        return out

    def padded(self, rows: Sequence[Sequence[Any]], shape: tuple[int, ...]) -> DeviceArray:
        addresses = np.zeros((len(rows), shape[0]), np.uint64)
        for k, own in enumerate(rows):
            addresses[k, : len(own)] = [row.address for row in own]
        stream = self._streams["masks"]
        there, out = stream.sent(addresses), stream.array((len(rows), *shape))
        with stream.reading(*(row for own in rows for row in own)) as launch:
            memory.gather(launch, there, out)
        return out

    def in_frame(self, xy: Any, queries: Int | Float, scale: Float) -> None:
        asked = self.up(queries.astype(np.float32))
        with self._streams["tracker"].reading(asked) as launch:  # xy was joined there
            filtering.in_frame(launch, xy, asked, (float(scale[0]), float(scale[1])))

    def filtered(self, xy: Any, occlusion: Any, expected_distance: Any, query_frame: Int) -> Tracks:
        stream, asked = self._streams["tracker"], self.up(query_frame)
        out = stream.buffers(filtering.buffers(*occlusion.shape))
        with stream.reading(xy, occlusion, expected_distance, asked) as launch:
            filtering.run(launch, xy, occlusion, expected_distance, asked, out)
        kept = int(out["rank"][len(xy)].numpy())
        names = ("xy", "visible", "visibility", "confidence", "query_frame")
        parts: list[Any] = [out[name][:kept] for name in names]
        return Tracks(*parts)

    def every(self, array: Any, first: int, pace: int) -> DeviceArray:
        if pace == 1:
            whole: DeviceArray = array
            return whole
        stream, frames = self._streams["tracker"], len(range(first, array.shape[1], pace))
        out = stream.array((len(array), frames, *array.shape[2:]), array.dtype)
        with stream.reading(array) as launch:
            memory.every(launch, array, first, pace, out)
        return out

    def normalised_xy(self, xy: Any, frame: tuple[int, int]) -> DeviceArray:
        stream = self._streams["tracker"]
        out = stream.array(xy.shape)
        with stream.reading(xy) as launch:
            filtering.normalise(launch, xy, frame, out)
        return out

    def unit_disparity(self, found: Any, out: Any) -> None:
        stream = self._streams["depth"]
        key = ("depth", found.shape[1:], out.shape[1:])
        (height, width), (tall, wide) = key[1:]
        made = self.constants(key, lambda: (*tables.cubic(width, wide), *tables.cubic(height, tall)))
        scratch = stream.buffers(depth.buffers(len(found)))
        with stream.reading(found) as launch:
            depth.unit_disparity(launch, found, made, scratch["extremes"], out)

    def sample(self, grid: Any, tracks: Tracks, frame: int, size: tuple[int, int], out: Any) -> None:
        xy: Any = tracks.xy
        asked: Any = tracks.query_frame
        with self._streams["semantics"].reading(grid, xy, asked) as launch:
            features.sample(launch, grid, xy, asked, frame, size, out)

    def filled(self, logits: Any) -> DeviceArray:
        return filled(self._streams["masks"], logits)

    def easel(self, clip: Clip, follow_edges: bool) -> Easel:
        return GpuEasel(clip, follow_edges, self._streams["masks"], self.constants)

    def constants(self, key: Any, make: Callable[[], Sequence[Array]]) -> tuple[DeviceArray, ...]:
        """Return arrays that never change, brought up when first asked for."""
        if key not in self._constants:
            stream = self._streams["small"]
            self._constants[key] = tuple(stream.sent(array) for array in make())
            with self._device.active():
                stream.wait()  # nobody has to wait for them again
        return self._constants[key]

    def _frames(self, clip: Clip) -> DeviceArray:
        """Return the clip's frames (T, H, W, 3) uint8, brought up when first asked for and kept until the next."""
        if self._clip is None or self._clip[0]() is not clip:
            self._clip = None  # its memory goes to the next
            self._clip = weakref.ref(clip), self._streams["frames"].sent(clip.frames)
        return self._clip[1]
