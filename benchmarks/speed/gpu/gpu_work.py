"""What kernels' inputs are made of: one window of a clip, and what its networks were fed and answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from samotion.calibration.recording.activations import Inputs
from samotion.engines.bundle import Bundle
from samotion.engines.device import DeviceArray
from samotion.engines.engine import Array
from samotion.runtime.kernels.kernel_stream import KernelStream
from samotion.runtime.settings import Settings
from samotion.runtime.stages.tracks import sample_queries
from samotion.runtime.values import Clip, Float, Int

INPUTS = {
    "tracker": ("track_features", "frames"),
    "depth": ("depth", "image"),
    "semantics": ("semantics", "image"),
    "masks": ("mask_encoder", "image"),
}  # by network: its graph and the name of its input
ANSWERING = ("track_head", "depth", "semantics", "mask_decoder")  # graphs whose answers kernels get


@dataclass(frozen=True)
class Work:
    """What the pipeline has at hand in one window.

    clip: the window. recorded: what it fed every graph. answers: what those of ANSWERING answered. stream: where the
    kernels run, with their arrays.
    """

    clip: Clip
    settings: Settings
    recorded: Mapping[str, Inputs]
    answers: Mapping[str, Mapping[str, Float]]
    stream: KernelStream

    @classmethod
    def of(
        cls, clip: Clip, settings: Settings, bundle: Bundle, recorded: Mapping[str, Inputs], stream: KernelStream
    ) -> "Work":
        """Return the work on the part of ``clip`` that the tracker saw at once."""
        answers = {graph: bundle.engine(graph)(**recorded[graph]) for graph in ANSWERING}
        return cls(clip.part(slice(answers["track_head"]["xy"].shape[1])), settings, recorded, answers, stream)

    @cached_property
    def queries(self) -> Int:
        """All points (N, 3) that are followed, as (t, y, x)."""
        return sample_queries(self.clip, self.settings)

    @cached_property
    def xy_in_frame(self) -> Float:
        """Tracks (N, T, 2) in pixels of the frame."""
        scale = np.array(self.clip.size[::-1]) / np.array(self.size("tracker")[::-1])
        xy: Float = self.of_tracks("xy") * scale.astype(np.float32)
        return xy

    @cached_property
    def logits(self) -> Float:
        """Masks (K, h, w) of the objects that are followed."""
        return repeated(self.answers["mask_decoder"]["mask"], len(self.recorded["memory_attention"]["memory"]))

    def of_tracks(self, name: str) -> Float:
        """Return an answer of the track head for all points: that for a few of them, repeated."""
        return repeated(self.answers["track_head"][name], len(self.queries))

    def size(self, network: str) -> tuple[int, int]:
        """Return (height, width) of a network's input."""
        graph, name = INPUTS[network]
        height, width = self.recorded[graph][name].shape[2:]
        return height, width

    def up(self, array: Array) -> DeviceArray:
        """Return a copy on the GPU."""
        return self.stream.sent(array)

    def all_up(self, arrays: tuple[Array, ...]) -> tuple[DeviceArray, ...]:
        """Return copies on the GPU."""
        return tuple(self.up(array) for array in arrays)


def repeated(array: Float, count: int) -> Float:
    """Return ``count`` rows: the array's own, again and again or some of them."""
    found: Float = np.take(array, np.arange(count) % len(array), axis=0)
    return found
