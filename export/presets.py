"""The presets: which five networks make a bundle, where their weights lie, and how the runtime feeds them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from samotion.engines.errors import SettingsError
from samotion.engines.manifest import DepthInput, MasksInput, SemanticsInput, TrackerInput
from samotion.export.networks import depth_anything, dinov2, tapir, vit
from samotion.export.networks.depth_anything import DepthAnything, DepthParams
from samotion.export.networks.motion import motion_network
from samotion.export.networks.sam2.sam2_graphs import graphs as sam2_graphs
from samotion.export.networks.sam2.sam2_model import Sam2
from samotion.export.networks.sam2.sam2_params import NANO as SAM2_NANO
from samotion.export.networks.sam2.sam2_params import OFFICIAL as SAM2_SIZES
from samotion.export.networks.sam2.sam2_params import Sam2Params
from samotion.export.networks.spec import GraphSpec

T = TypeVar("T")

SHIPPED = Path(__file__).parent / "nano"
OWN_LICENCE = "CC-BY-NC-4.0, non-commercial use only (trained by this project on its own scenes and on DAVIS-2016)"
APACHE = "Apache-2.0"
NON_COMMERCIAL = "CC-BY-NC-4.0, non-commercial use only"
# The motion network's repository is MIT; its weights come without a licence of their own.
MOTION_LICENCE = "MIT (the licence of the authors' code; none is stated for the weights themselves)"

# Official sources, from the READMEs of google-deepmind/tapnet, DepthAnything/Depth-Anything-V2,
# facebookresearch/dinov2, nnanhuang/SegAnyMo and facebookresearch/sam2.
TAPNET = "https://storage.googleapis.com/dm-tapnet/bootstap"
DEPTH_ANYTHING = "https://huggingface.co/depth-anything/Depth-Anything-V2-{}/resolve/main"
DINOV2 = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14"
MOSEG = "https://huggingface.co/Changearthmore/moseg/resolve/main"
SAM2 = {
    "sam2": "https://dl.fbaipublicfiles.com/segment_anything_2/072824",
    "sam2.1": "https://dl.fbaipublicfiles.com/segment_anything_2/092824",
}


@dataclass(frozen=True)
class Network:
    """One network: build makes it without weights, graphs cuts it into ONNX graphs.

    weights: file name of its checkpoint; under: the entry of that file that holds the state dict. shipped: the
    folder in this package that holds it, else url: where its publisher offers it.
    """

    build: Callable[[], nn.Module]
    graphs: Callable[[Any], list[GraphSpec]]
    weights: str
    licence: str
    under: str | None = None
    shipped: Path | None = None
    url: str | None = None

    def empty(self) -> nn.Module:
        """Return the network in evaluation mode, without memory for its weights until they are loaded."""
        with torch.device("meta"):
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
    settings: Mapping[str, Any] = field(default_factory=dict)


def masks_input(params: Sam2Params) -> MasksInput:
    """Return what the manifest says of one size of SAM2."""
    return MasksInput(
        params.image_size,
        params.memory_frames,
        params.max_pointers,
        params.max_clicked,
    )


def _official(build: Callable[[], nn.Module], graphs: Callable[[Any], list[GraphSpec]], **more: str) -> Network:
    """Return a published network; its file has the official name, which the last part of the address is."""
    return Network(build, graphs, more["url"].rpartition("/")[2], more["licence"], more.get("under"), url=more["url"])


def _depth(letter: str, word: str, params: DepthParams, licence: str) -> Network:
    url = f"{DEPTH_ANYTHING.format(word)}/depth_anything_v2_vit{letter}.pth"
    return _official(lambda: DepthAnything(params), depth_anything.graphs, url=url, licence=licence)


def _masks(stem: str, params: Sam2Params) -> Network:
    url = f"{SAM2[stem.partition('_')[0]]}/{stem}.pt"
    return _official(lambda: Sam2(params), sam2_graphs, url=url, licence=APACHE, under="model")


def _semantics(params: vit.VitParams) -> Network:
    return _official(
        lambda: vit.VisionTransformer(params),
        dinov2.graphs,
        url=f"{DINOV2}/dinov2_vitb14_pretrain.pth",
        licence=APACHE,
    )


BOOTSTAPIR = _official(
    lambda: tapir.Tapir(tapir.OFFICIAL), tapir.graphs, url=f"{TAPNET}/bootstapir_checkpoint_v2.pt", licence=APACHE
)
MOTION = _official(
    lambda: motion_network.MotionNetwork(motion_network.OFFICIAL),
    motion_network.graphs,
    url=f"{MOSEG}/moseg.pth",
    licence=MOTION_LICENCE,
    under="model_state_dict",
)
DEPTHS = {
    "s": _depth("s", "Small", depth_anything.SMALL, APACHE),
    "b": _depth("b", "Base", depth_anything.BASE, NON_COMMERCIAL),
    "l": _depth("l", "Large", depth_anything.LARGE, NON_COMMERCIAL),
}
_LETTERS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


def _short(stem: str) -> str:
    """Return the name on the command line: sam2.1_hiera_base_plus becomes sam2.1-b+."""
    version, _, size = stem.split("_", 2)
    return f"{version}-{_LETTERS[size]}"


MASKS = {_short(stem): stem for stem in SAM2_SIZES}


def _published(name: str, depth: str, semantics: vit.VitParams, masks: str) -> Preset:
    """Return a preset of published networks; their pipeline constants are the runtime's own defaults."""
    return Preset(
        name=name,
        networks={
            "tracker": BOOTSTAPIR,
            "depth": DEPTHS[depth],
            "semantics": _semantics(semantics),
            "motion": MOTION,
            "masks": _masks(MASKS[masks], SAM2_SIZES[MASKS[masks]]),
        },
        tracker=TrackerInput(tapir.OFFICIAL.resolution),
        depth=DepthInput(depth_anything.SMALL.side, vit.VIT_S.patch),
        semantics=SemanticsInput(semantics.patch, None),
        masks=masks_input(SAM2_SIZES[MASKS[masks]]),
    )


def _own(build: Callable[[], nn.Module], graphs: Callable[[Any], list[GraphSpec]], weights: str) -> Network:
    return Network(build, graphs, weights, OWN_LICENCE, shipped=SHIPPED)


NANO = Preset(
    name="nano",
    networks={
        "tracker": _own(lambda: tapir.Tapir(tapir.NANO), tapir.graphs, "tapir.safetensors"),
        "depth": _own(lambda: DepthAnything(depth_anything.NANO), depth_anything.graphs, "depth.safetensors"),
        "semantics": _own(lambda: vit.VisionTransformer(dinov2.NANO), dinov2.graphs, "semantics.safetensors"),
        "motion": _own(
            lambda: motion_network.MotionNetwork(motion_network.NANO), motion_network.graphs, "motion.safetensors"
        ),
        "masks": _own(lambda: Sam2(SAM2_NANO), sam2_graphs, "masks.safetensors"),
    },
    tracker=TrackerInput(tapir.NANO.resolution),
    depth=DepthInput(depth_anything.NANO.side, depth_anything.NANO.vit.patch),
    semantics=SemanticsInput(dinov2.NANO.patch, dinov2.NANO_LONGEST_SIDE),
    masks=masks_input(SAM2_NANO),
    settings={
        "max_tracks": 700,
        "motion_frames": 48,  # what it learnt from (export/training/motion/motion_augment.py)
        "against_camera": True,
        "skip_blank": True,
        "dynamic_above": 0.8,
        "dynamic_least": 0.5,
        "complete_within": 0.15,
        "prompt_step": 1,
        "clicks": 16,
        "background_clicks": 16,
        "click_confidence": 0.5,
        "all_tracks": True,
        "least_support": 0.65,
        "follow_edges": True,
    },
)
# The paper's own choice; fast is for commercial use too, and for smaller machines.
PAPER = _published("paper", "l", dinov2.OFFICIAL, "sam2-l")
FAST = _published("fast", "s", vit.VIT_B, "sam2.1-t")
PRESETS = {preset.name: preset for preset in (NANO, FAST, PAPER)}


def choose(name: str, masks: str | None = None, depth: str | None = None) -> Preset:
    """Return a preset with another SAM2 (as "sam2.1-s") or Depth-Anything-V2 ("s", "b", "l") where given.

    Raises SettingsError for a name that is not known.
    """
    preset = _known("preset", name, PRESETS)
    networks = dict(preset.networks)
    if masks is not None:
        stem = _known("--masks", masks, MASKS)
        networks["masks"] = _masks(stem, SAM2_SIZES[stem])
        preset = replace(preset, masks=masks_input(SAM2_SIZES[stem]), name=f"{preset.name}+{masks}")
    if depth is not None:
        networks["depth"] = _known("--depth", depth, DEPTHS)
        size = DepthInput(depth_anything.SMALL.side, vit.VIT_S.patch)
        preset = replace(preset, depth=size, name=f"{preset.name}+depth-{depth}")
    return replace(preset, networks=networks)


def _known(what: str, name: str, among: Mapping[str, T]) -> T:
    """Return ``among[name]``; raises SettingsError that lists the names there are."""
    if name not in among:
        raise SettingsError(f"{what} '{name}' is unknown; known are {', '.join(among)}")
    return among[name]
