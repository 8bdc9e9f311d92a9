"""The real inputs that precision is chosen by, and the others that it is then held to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from samotion.calibration.comparison.tracking import clicks
from samotion.calibration.recording.activations import Inputs, collect, folder_clips, made_scene
from samotion.engines.errors import InputError
from samotion.engines.manifest import Manifest
from samotion.engines.ort.session import CPU, Execution
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip, Prompt

SCENES = 2  # of each kind of samples
CLIPS = 2  # of each kind, from a folder
KEEP = 2  # calls of each graph and clip
Samples = Mapping[str, list[Inputs]]


@dataclass(frozen=True)
class Activations:
    """Inputs by graph. choosing: errors are ranked by these. held: of other scenes and clips, for the gate alone.

    sources: the names of the scenes and clips of each.
    """

    choosing: Samples
    held: Samples
    sources: Mapping[str, list[str]]


def gather(folder: Path | None, manifest: Manifest, data: Path | None, execution: Execution = CPU) -> Activations:
    """Return what the runtime feeds the bundle in ``folder`` over labelled scenes and clips of ``data``, if given.

    Raises InputError for a folder without clips, and where a graph was never called or SAM2's memory never full.
    """
    settings = Settings().override(manifest.settings)
    clips = folder_clips(data, 2 * CLIPS, settings) if data else []
    kinds: dict[str, Samples] = {}
    sources: dict[str, list[str]] = {}
    for number, kind in enumerate(("choosing", "held")):
        used = [*_scenes(number * SCENES), *((clip, list[Prompt]()) for clip in clips[number::2])]
        sources[kind] = [clip.name for clip, _ in used]
        kinds[kind] = collect(folder, used, KEEP, execution)
        _complete(kinds[kind], manifest)
    return Activations(kinds["choosing"], kinds["held"], sources)


def _scenes(first: int) -> Iterator[tuple[Clip, list[Prompt]]]:
    """Yield SCENES scenes with clicks on their objects."""
    for number in range(first, first + SCENES):
        clip, made = made_scene(number)
        yield clip, clicks(made)


def _complete(found: Samples, manifest: Manifest) -> None:
    """Raise InputError unless every graph was called, and the memory attention with a full bank."""
    if missing := [name for name in manifest.graphs if not found.get(name)]:
        raise InputError(f"calibration: the runtime never called {missing[0]}; give clips in which something moves")
    limits = manifest.masks
    banks = [(s["memory"].shape[1], s["pointers"].shape[1]) for s in found["memory_attention"]]
    if not any(m >= limits.memory_frames and p >= limits.pointers for m, p in banks):
        raise InputError(
            f"calibration: no full memory bank ({limits.memory_frames} frames, {limits.pointers} pointers) was read; "
            f"the fullest had {max(banks)}"
        )
