"""What the pipeline feeds its engines, recorded while it runs, and the same in other batch sizes."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from samotion.benchmarks.one_by_one import OneByOne
from samotion.engines.engine import Array, Engine, TensorSpec
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip

Inputs = dict[str, Array]

# By graph: the axis that batches, as the manifest names it, and what there is one of along it.
BATCHED = {
    "track_features": ("T", "frames"),
    "track_queries": ("N", "points"),
    "track_head": ("N", "points"),
    "depth": ("B", "frames"),
    "semantics": ("B", "frames"),
    "motion": ("N", "tracks"),
    "mask_encoder": ("B", "frames"),
    "mask_decoder": ("K", "objects"),
    "memory_encoder": ("K", "objects"),
    "memory_attention": ("K", "objects"),
}


class _Recorder:
    """An engine that keeps the largest inputs it was called with."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.inputs, self.outputs = inner.inputs, inner.outputs
        self.largest: Inputs = {}

    def __call__(self, **inputs: Array) -> Mapping[str, Any]:
        """Run as the engine inside does."""
        if _size(inputs) > _size(self.largest):
            self.largest = {name: np.array(value) for name, value in inputs.items()}
        return self._inner(**inputs)

    def close(self) -> None:
        """Free what the engine holds."""
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RecordingBundle(OneByOne):
    """A bundle whose engines remember what they were fed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.recorders: dict[str, _Recorder] = {}

    def engine(self, graph: str) -> Engine:
        """Return the engine of one graph, recording."""
        if graph not in self.recorders:
            self.recorders[graph] = _Recorder(super().engine(graph))
        return self.recorders[graph]


def record(clip: Clip, bundle: RecordingBundle, settings: Settings) -> dict[str, Inputs]:
    """Return by graph the largest inputs that the pipeline gives it over ``clip``.

    Objects are prompted on few frames only, so that memory is attended to with a full bank whatever the bundle
    prompts. Raises InputError where a graph was not called, as when nothing moves.
    """
    segment(clip, bundle, settings.override({"prompt_step": max(settings.prompt_step, len(clip.frames))}))
    found = {name: bundle.recorders[name].largest for name in BATCHED if name in bundle.recorders}
    if missing := [name for name in BATCHED if not found.get(name)]:
        raise InputError(f"{clip.name}: the pipeline did not call {missing[0]}: no moving object was found in it")
    return found


def batch(graph: str, inputs: Inputs, specs: tuple[TensorSpec, ...], size: int) -> Inputs:
    """Return ``inputs`` of one graph with ``size`` items along the axis that batches, repeated or cut."""
    axis_name = BATCHED[graph][0]
    made = {}
    for spec in specs:
        value = inputs[spec.name]
        for axis, name in enumerate(spec.shape):
            if name == axis_name:
                value = np.take(value, np.arange(size) % value.shape[axis], axis=axis)
        made[spec.name] = np.asarray(value, order="C")  # ascontiguousarray would give a scalar an axis
    return made


def batch_size(graph: str, inputs: Inputs, specs: tuple[TensorSpec, ...]) -> int:
    """Return how many items recorded inputs hold along the axis that batches."""
    axis_name = BATCHED[graph][0]
    spec = next(spec for spec in specs if axis_name in spec.shape)
    return int(inputs[spec.name].shape[spec.shape.index(axis_name)])


def _size(inputs: Mapping[str, Array]) -> int:
    return sum(value.nbytes for value in inputs.values())
