"""The presets: which five networks make a bundle, where their weights lie, and how the runtime feeds them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samotion.engines.manifest import DepthInput, MasksInput, SemanticsInput, TrackerInput
from samotion.export import depth_anything, dinov2, motion, sam2, tapir, vit
from samotion.export.graph import GraphSpec

SHIPPED = Path(__file__).parent / "nano"
OWN_LICENCE = "CC-BY-NC-4.0 (trained by this project on its own scenes and on DAVIS-2016)"


@dataclass(frozen=True)
class Network:
    """One network: build makes it without weights, graphs cuts it into ONNX graphs.

    weights: file name of its checkpoint; under: the entry of that file that holds the state dict.
    """

    build: Callable[[], nn.Module]
    graphs: Callable[[Any], list[GraphSpec]]
    weights: str
    licence: str
    under: str | None = None

    def empty(self) -> nn.Module:
        """Return the network in evaluation mode, its weights not yet loaded."""
        with torch.random.fork_rng():
            return self.build().eval()


@dataclass(frozen=True)
class Preset:
    """A bundle to be: five networks, what the manifest says of their inputs, and its pipeline constants."""

    name: str
    networks: Mapping[str, Network]
    tracker: TrackerInput
    depth: DepthInput
    semantics: SemanticsInput
    masks: MasksInput
    weights: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def masks_input(params: sam2.Sam2Params) -> MasksInput:
    """Return what the manifest says of one size of SAM2."""
    return MasksInput(params.image_size, params.memory_frames, params.max_pointers, params.signed_pointers)


NANO = Preset(
    name="nano",
    networks={
        "tracker": Network(lambda: tapir.Tapir(tapir.NANO), tapir.graphs, "tapir.safetensors", OWN_LICENCE),
        "depth": Network(
            lambda: depth_anything.DepthAnything(depth_anything.NANO),
            depth_anything.graphs,
            "depth.safetensors",
            OWN_LICENCE,
        ),
        "semantics": Network(
            lambda: vit.VisionTransformer(dinov2.NANO), dinov2.graphs, "semantics.safetensors", OWN_LICENCE
        ),
        "motion": Network(
            lambda: motion.MotionNetwork(motion.NANO), motion.graphs, "motion.safetensors", OWN_LICENCE
        ),
        "masks": Network(lambda: sam2.Sam2(sam2.NANO), sam2.graphs, "masks.safetensors", OWN_LICENCE),
    },
    tracker=TrackerInput(tapir.NANO.resolution),
    depth=DepthInput(depth_anything.NANO.side, depth_anything.NANO.vit.patch),
    semantics=SemanticsInput(dinov2.NANO.patch, dinov2.NANO_LONGEST_SIDE),
    masks=masks_input(sam2.NANO),
    weights=SHIPPED,
    settings={"max_tracks": 700, "prompt_step": 4, "clicks": 8, "background_clicks": 8},
)

PRESETS = {preset.name: preset for preset in (NANO,)}
