"""The published networks' work on a frame: every graph at the sizes of a run, and how often it runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from samotion.export.graph.operations import Work, work
from samotion.export.networks import dinov2, vit
from samotion.export.networks.motion import motion_network
from samotion.export.networks.sam2 import sam2_graphs as sam2
from samotion.export.networks.tapir import tapir_graphs as tapir
from samotion.export.presets import FAST, MASKS, PAPER, Network, Preset, choose
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH
from samotion.runtime.settings import Settings
from samotion.runtime.stages.depth import network_size as depth_size
from samotion.runtime.stages.features import network_size as semantics_size


@dataclass(frozen=True)
class Step:
    """One graph's run, so many times a frame."""

    graph: str
    times: float
    work: Work


def workloads(frame: tuple[int, int], objects: Sequence[int]) -> dict[str, dict[int, list[Step]]]:
    """Return the steps of a frame of (height, width) by system and number of objects.

    Systems are the published presets with their default settings, and every size of SAM2.1 by itself.
    """
    motion = list(moving(PAPER.networks["motion"], frame))  # the same in both
    found = {}
    for preset in (PAPER, FAST):
        shared = [*following(preset, frame), *motion]
        found[preset.name] = {count: [*shared, *masks(preset, count)] for count in objects}
    for name in (name for name in MASKS if name.startswith("sam2.1")):
        found[name] = {count: list(masks(choose("fast", name), count)) for count in objects}
    return found


def following(preset: Preset, frame: tuple[int, int]) -> Iterator[Step]:
    """Yield tracker, depth and semantics of a whole window at the default settings."""
    settings, model = Settings(), _empty(preset.networks["tracker"])
    window = settings.window or 1
    given = tapir.inputs_of(model, window, settings.point_chunk)
    frames = {"frames": given.pop("frames")[:FRAMES_A_BATCH]}
    yield Step("track_features", 1 / FRAMES_A_BATCH, work(tapir.TrackFeatures(model), frames))
    chunks = settings.max_tracks / settings.point_chunk
    yield Step("track_head", chunks / window, work(tapir.TrackHead(model), given))
    image = _images(depth_size(frame, preset.depth), FRAMES_A_BATCH)
    yield Step("depth", 1 / FRAMES_A_BATCH, work(_empty(preset.networks["depth"]), image))
    image = _images(semantics_size(frame, preset.semantics), 1)
    yield Step("semantics", 1 / settings.step, work(dinov2.Semantics(_empty(preset.networks["semantics"])), image))


def moving(network: Network, frame: tuple[int, int]) -> Iterator[Step]:
    """Yield the motion network on all tracks of a window at the default settings."""
    settings, model = Settings(), _empty(network)
    window = settings.window or 1
    given = motion_network.example(model.params, settings.max_tracks, window, frame)
    yield Step("motion", 1 / window, work(motion_network.MotionGraph(model), given))


def masks(preset: Preset, objects: int) -> Iterator[Step]:
    """Yield SAM2 on a frame in which each of ``objects`` is tracked once, with memory and pointers full."""
    model = _empty(preset.networks["masks"])
    params = model.params
    image = sam2.encoder_inputs(params, FRAMES_A_BATCH)
    yield Step("mask_encoder", 1 / FRAMES_A_BATCH, work(sam2.MaskEncoderGraph(model), image))
    full = sam2.memory_attention_inputs(params, objects, 1, params.memory_frames, params.max_pointers)
    yield Step("memory_attention", 1, work(sam2.MemoryAttentionGraph(model), full))
    yield Step("mask_decoder", 1, work(sam2.MaskDecoderGraph(model), sam2.decoder_inputs(params, objects, 1, 1)))
    yield Step(
        "memory_encoder", 1, work(sam2.MemoryEncoderGraph(model), sam2.memory_encoder_inputs(params, objects, 1))
    )


def _empty(network: Network) -> Any:
    return network.empty()


def _images(size: tuple[int, int], count: int) -> dict[str, Any]:
    """Return images of (height, width) pixels, whole patches."""
    return dinov2.example(vit.VIT_B, size[0] // vit.VIT_B.patch, size[1] // vit.VIT_B.patch, count)
