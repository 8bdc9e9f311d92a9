"""Every kernel call on what the pipeline gives it: one function a call, by the table of docs/kernels.md."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import numpy as np

from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.speed.gpu.gpu_work import Work, repeated
from samotion.engines.device import DeviceArray
from samotion.runtime.kernels import depth, features, filtering, masks, memory, resizing, tables
from samotion.runtime.kernels.kernel_stream import KernelStream
from samotion.runtime.kernels.resizing import Network
from samotion.runtime.ops.resize import resize_set


@dataclass(frozen=True)
class Case:
    """One call of a wrapper ``kernel``. size, unit: what it goes through. given: its arguments by name.

    reads: arrays that it finds by their addresses.
    """

    kernel: Callable[..., None]
    size: int
    unit: str
    given: Mapping[str, Any]
    reads: tuple[DeviceArray, ...] = ()

    def start(self, stream: KernelStream) -> None:
        """Put the call on the stream."""
        with stream.reading(*self.reads) as launch:
            self.kernel(launch, **self.given)

    def timing(self, key: tuple[str, str], rounds: list[list[float]]) -> Timing:
        """Return what was measured of it as an entry of a result; key: of CASES."""
        shapes = {name: list(value.shape) for name, value in self.given.items() if isinstance(value, DeviceArray)}
        return Timing("gpu kernels", key[0], rounds, key[1], self.size, self.unit, {"shapes": shapes})


def _in_frame(work: Work) -> Case:
    queries = work.queries.astype(np.float32)
    # In place, time and again: divided by 1 the tracks stay what they are.
    given = {"xy": work.up(work.of_tracks("xy")), "queries": work.up(queries), "scale": (1.0, 1.0)}
    return Case(filtering.in_frame, len(queries), "tracks", given)


def _filter(work: Work) -> Case:
    parts = {name: work.up(work.of_tracks(name)) for name in ("xy", "occlusion", "expected_distance")}
    out = work.stream.buffers(filtering.buffers(*parts["occlusion"].shape))
    given = {**parts, "query_frame": work.up(work.queries[:, 0]), "out": out}
    return Case(filtering.run, len(work.queries), "tracks", given)


def _fill_holes(work: Work) -> Case:
    out = work.stream.buffers(masks.hole_buffers(*work.logits.shape))
    return Case(masks.fill_holes, len(work.logits), "objects", {"logits": work.up(work.logits), "out": out})


def _enlarge(work: Work) -> Case:
    """One object's masks of all frames, as they come down."""
    logits, (tall, wide) = repeated(work.logits, len(work.clip.frames)), work.clip.size
    frames, height, width = logits.shape
    axes = work.all_up((*tables.linear(width, wide), *tables.linear(height, tall, sides=False)))
    out = work.stream.array((frames, tall, wide), np.bool_)
    return Case(masks.enlarge, frames, "frames", {"logits": work.up(logits), "tables": axes, "masks": out})


def _unit_disparity(work: Work) -> Case:
    found, (tall, wide) = work.answers["depth"]["disparity"], work.clip.size
    frames, height, width = found.shape
    scratch = work.stream.buffers(depth.buffers(frames))
    axes = work.all_up((*tables.cubic(width, wide), *tables.cubic(height, tall)))
    out = work.stream.array((frames, tall, wide))
    given = {"found": work.up(found), "tables": axes, "extremes": scratch["extremes"], "values": out}
    return Case(depth.unit_disparity, frames, "frames", given)


def _gather(work: Work) -> Case:
    found = work.recorded["memory_attention"]["memory"]
    rows = work.up(found)
    addresses = np.array([[rows[k][m].address for m in range(found.shape[1])] for k in range(len(found))], np.uint64)
    given = {"addresses": work.up(addresses), "out": work.stream.array(found.shape)}
    return Case(memory.gather, len(found), "objects", given, (rows,))


def _every(work: Work) -> Case:
    xy = work.of_tracks("xy")
    tracks, frames = xy.shape[:2]
    pace = max(2, -(-frames // (work.settings.motion_frames or frames)))  # every frame would be no call at all
    out = work.stream.array((tracks, len(range(0, frames, pace)), 2))
    given = {"source": work.up(xy), "first": 0, "pace": pace, "out": out}
    return Case(memory.every, tracks, "tracks", given)


def _sample(work: Work) -> Case:
    grid = work.answers["semantics"]["keys"][0]
    given = {
        "grid": work.up(grid),
        "xy": work.up(work.xy_in_frame),
        "query_frame": work.up(work.queries[:, 0]),
        "frame": int(work.queries[0, 0]),
        "size": work.clip.size,
        "out": work.stream.array((len(work.queries), grid.shape[-1])),
    }
    return Case(features.sample, len(work.queries), "tracks", given)


def _resize(network: Network, work: Work) -> Case:
    made = resizing.recipe(work.clip.size, work.size(network), network, resize_set(work.settings))
    frame, planes = work.up(work.clip.frames[0]), work.stream.array((3, *made.size))
    given = {"frame": frame, "made": made, "arrays": work.all_up(made.arrays), "planes": planes}
    return Case(resizing.resize, 1, "frames", given)


def _normalise(work: Work) -> Case:
    xy = work.xy_in_frame
    given = {"xy": work.up(xy), "size": work.clip.size, "out": work.stream.array(xy.shape)}
    return Case(filtering.normalise, len(xy), "tracks", given)


# By the call's name and what else tells it from others of that name.
CASES: dict[tuple[str, str], Callable[[Work], Case]] = {
    ("filtering.in_frame", ""): _in_frame,
    ("filtering.run", ""): _filter,
    ("filtering.normalise", ""): _normalise,
    ("masks.fill_holes", ""): _fill_holes,
    ("masks.enlarge", ""): _enlarge,
    ("depth.unit_disparity", ""): _unit_disparity,
    ("memory.gather", ""): _gather,
    ("memory.every", ""): _every,
    ("features.sample", ""): _sample,
    **{("resizing.resize", network): partial(_resize, network) for network in get_args(Network)},
}
