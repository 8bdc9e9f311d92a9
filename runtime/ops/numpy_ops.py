"""Arrays on the host: what samotion.runtime.ops.interface asks for, in NumPy and OpenCV."""
# ruff: noqa: D102 - Arrays and Easel say what each does

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from samotion.engines.engine import Array, Engine
from samotion.runtime.kernels.resizing import Network, ResizeSet
from samotion.runtime.ops import reference
from samotion.runtime.ops.guided_filter import enlarger
from samotion.runtime.ops.interface import Canvas, Easel, Held
from samotion.runtime.ops.resize import network_input
from samotion.runtime.ops.visibility import filter_tracks
from samotion.runtime.values import Bool, Clip, Float, Int, Tracks


class Host:
    """NumPy's arrays; see Arrays."""

    steady = False

    def run(self, engine: Engine, **inputs: Any) -> Mapping[str, Held]:
        return engine(**inputs)

    def images(self, clip: Clip, part: slice, network: Network, size: tuple[int, int], resize: ResizeSet) -> Held:
        return network_input(network, resize, clip.frames[part], size)

    def up(self, array: Array) -> Array:
        return array

    def down(self, array: Any) -> Any:
        return array

    def down_tracks(self, tracks: Tracks) -> Tracks:
        return tracks

    def empty(self, network: Network, shape: tuple[int, ...]) -> Held:  # noqa: ARG002
        return np.empty(shape, np.float32)

    def zeros(self, shape: tuple[int, ...]) -> Held:
        return np.zeros(shape, np.float32)

    def joined(self, parts: Sequence[Any]) -> Held:
        return np.concatenate(parts)

    def padded(self, rows: Sequence[Sequence[Any]], shape: tuple[int, ...]) -> Held:
        return reference.padded(rows, shape)

    def in_frame(self, xy: Any, queries: Int | Float, scale: Float) -> None:
        reference.in_frame(xy, queries, scale)

    def filtered(self, xy: Any, occlusion: Any, expected_distance: Any, query_frame: Int) -> Tracks:
        return filter_tracks(xy, occlusion, expected_distance, query_frame)

    def every(self, array: Any, first: int, pace: int) -> Any:
        return array[:, first::pace]

    def normalised_xy(self, xy: Any, frame: tuple[int, int]) -> Held:
        return reference.normalised_xy(xy, frame)

    def unit_disparity(self, found: Any, out: Any) -> None:
        reference.unit_disparity(found, out)

    def sample(self, grid: Any, tracks: Tracks, frame: int, size: tuple[int, int], out: Any) -> None:
        own = np.flatnonzero(tracks.query_frame == frame)
        out[own] = reference.cells(grid, tracks.xy[own, frame], size)

    def filled(self, logits: Any) -> Held:
        return np.stack([reference.fill_holes(mask) for mask in logits])

    def easel(self, clip: Clip, follow_edges: bool) -> Easel:
        return HostEasel(clip, enlarger(clip, follow_edges))


class HostEasel:
    """Makes masks at once, by a function of frame and logits (see guided_filter.enlarger). See Easel."""

    def __init__(self, clip: Clip, enlarge: Callable[[int, Float], Bool]) -> None:
        self._shape = (len(clip.frames), *clip.size)
        self._enlarge = enlarge

    def mask(self, frame: int, logits: Any) -> Bool:
        return self._enlarge(frame, logits)

    def canvas(self, objects: int) -> Canvas:
        return _HostCanvas(np.zeros((objects, *self._shape), np.bool_), self._enlarge)


class _HostCanvas:
    def __init__(self, masks: Bool, enlarge: Callable[[int, Float], Bool]) -> None:
        self._masks, self._enlarge = masks, enlarge

    def draw(self, k: int, frame: int, logits: Any) -> None:
        self._masks[k, frame] = self._enlarge(frame, logits)

    def masks(self) -> Bool:
        return self._masks


HOST = Host()
