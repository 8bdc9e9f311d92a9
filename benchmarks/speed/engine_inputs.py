"""What the pipeline feeds its engines, recorded while it runs, and the same in other batch sizes."""

import numpy as np

from samotion.calibration.recording.activations import Inputs, RecordingBundle
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip

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


def record(clip: Clip, bundle: RecordingBundle, settings: Settings) -> dict[str, Inputs]:
    """Return by graph the largest inputs that the pipeline gives it over ``clip``.

    Objects are prompted on few frames only, so that memory is attended to with a full bank whatever the bundle
    prompts. Raises InputError where a graph was not called, as when nothing moves.
    """
    bundle.keep = 1
    segment(clip, bundle, settings.override({"prompt_step": max(settings.prompt_step, len(clip.frames))}))
    found = {name: one.samples[0] for name, one in bundle.recorders.items() if one.samples}
    if missing := [name for name in BATCHED if name not in found]:
        raise InputError(f"{clip.name}: the pipeline did not call {missing[0]}: no moving object was found in it")
    return {name: found[name] for name in BATCHED}


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
