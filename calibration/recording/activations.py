"""Real inputs of every network: what the runtime feeds them on labelled scenes and on clips of a folder."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

from samotion.calibration.comparison.tracking import propagate
from samotion.calibration.recording.sequential import OneByOne
from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.engines.device import DeviceArray
from samotion.engines.engine import Array, Engine
from samotion.engines.errors import InputError
from samotion.engines.ort.session import CPU, Execution
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bytes, Clip, Prompt

Inputs = dict[str, Array]

FRAMES = 24  # of a clip: more than the 16 pointers and 7 frames that the memory bank holds
TRACKS = 256  # of a clip, at most: attention across thousands would take minutes and show no other values
FIRST_SEED = 2_000_000_000  # no training draws such seeds, nor does any benchmark
FPS = Fraction(24)


class Recorder:
    """An engine that remembers what it was called with: the largest inputs, and ``keep`` − 1 other calls.

    The others are a uniform sample of all calls, drawn from ``seed``.
    """

    def __init__(self, inner: Engine, keep: int, seed: int = 0) -> None:
        self._inner: Any = inner  # those of a GPU have on_device, too
        self.inputs, self.outputs = inner.inputs, inner.outputs
        self._others: list[Inputs] = []
        self._largest: Inputs = {}
        self._keep, self._calls = keep, 0
        self._rng = np.random.default_rng(seed)

    @property
    def samples(self) -> list[Inputs]:
        """What is remembered, the largest first."""
        return [self._largest, *self._others] if self._largest else []

    def __call__(self, **inputs: Array) -> Mapping[str, Any]:
        """Run as the engine inside does."""
        self._remember(inputs)
        answers: Mapping[str, Any] = self._inner(**inputs)
        return answers

    def on_device(self, **inputs: DeviceArray) -> Mapping[str, DeviceArray]:
        """Run as the engine inside does on a GPU."""
        self._remember(inputs)
        answers: Mapping[str, DeviceArray] = self._inner.on_device(**inputs)
        return answers

    def _remember(self, inputs: Mapping[str, Array | DeviceArray]) -> None:
        """Copy the inputs of a call if they are to be kept."""
        if _size(inputs) > _size(self._largest):
            self._largest = _copied(inputs)
        elif self._keep > 1:
            self._calls += 1
            place = len(self._others) if len(self._others) < self._keep - 1 else int(self._rng.integers(self._calls))
            if place < self._keep - 1:
                self._others[place : place + 1] = [_copied(inputs)]

    def close(self) -> None:
        """Free what the engine holds."""
        self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RecordingBundle(OneByOne):
    """A bundle whose engines remember ``keep`` calls each."""

    keep = 3

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.recorders: dict[str, Recorder] = {}

    def engine(self, graph: str) -> Engine:
        """Return the engine of one graph, recording."""
        if graph not in self.recorders:
            self.recorders[graph] = Recorder(super().engine(graph), self.keep)
        return self.recorders[graph]


def collect(
    folder: Path | None, clips: Iterable[tuple[Clip, list[Prompt]]], keep: int = 3, execution: Execution = CPU
) -> dict[str, list[Inputs]]:
    """Return by graph what the runtime feeds the bundle in ``folder`` over ``clips``, ``keep`` calls of each clip.

    The whole pipeline runs on each clip, its objects prompted on one frame, and SAM2 by itself from the prompts that
    come with it (none: not), so that memory is attended to with as full a bank as the clip is long whether or not the
    pipeline finds something that moves.
    """
    found: dict[str, list[Inputs]] = {}
    for clip, prompts in clips:
        with RecordingBundle.load(folder, execution.provider, execution.threads) as bundle:
            bundle.keep = keep
            settings = Settings().override(bundle.settings)
            step, tracks = max(settings.prompt_step, len(clip.frames)), min(settings.max_tracks, TRACKS)
            segment(clip, bundle, settings.override({"prompt_step": step, "max_tracks": tracks}))
            if prompts:
                propagate(bundle, clip, prompts)
            for graph, recorder in bundle.recorders.items():
                found.setdefault(graph, []).extend(recorder.samples)
    return found


def made_scene(number: int, frames: int = FRAMES, height: int = 240, width: int = 426) -> tuple[Clip, Scene]:
    """Return labelled scene ``number`` of calibration, in which something moves, and its clip."""
    spec = SceneSpec(frames=frames, height=height, width=width, objects=(2, 4), nothing_moves=0.0, stops=0.0)
    made = scene(FIRST_SEED + number, spec)
    return clip_of(f"scene {number}", made.frames), made


def clip_of(name: str, frames: Bytes) -> Clip:
    """Return frames (T, H, W, 3) as a clip."""
    index = np.arange(len(frames), dtype=np.int64)
    return Clip(name, frames, FPS, (frames.shape[1], frames.shape[2]), index, len(frames), index / float(FPS))


def folder_clips(data: Path, most: int, settings: Settings | None = None, frames: int = FRAMES) -> list[Clip]:
    """Return the first ``frames`` frames of up to ``most`` clips, spread evenly over those in ``data``.

    data: a folder of <clip>/frames, or DAVIS's JPEGImages/480p/<clip>. Raises InputError where there are none.
    """
    return [
        named(read_clip(folder, settings), folder).part(slice(frames)) for folder in spread(clip_folders(data), most)
    ]


def spread(folders: Sequence[Path], most: int) -> list[Path]:
    """Return up to ``most`` of ``folders``, spread evenly over them."""
    places = np.linspace(0, len(folders) - 1, min(most, len(folders))).round().astype(int)
    return [folders[place] for place in places]


def clip_folders(data: Path) -> Sequence[Path]:
    """Return the folders of frames in ``data``; raises InputError where there are none."""
    try:
        own = data / "JPEGImages" / "480p"
        found = [path for path in own.iterdir() if path.is_dir()] if own.is_dir() else list(data.glob("*/frames"))
    except OSError as error:
        raise InputError(f"{data}: cannot be listed ({error.strerror})") from error
    if not found:
        raise InputError(f"{data}: no clips; expected <clip>/frames or JPEGImages/480p/<clip>")
    return sorted(found)


def named(clip: Clip, folder: Path) -> Clip:
    """Return the clip under its folder's name."""
    return dataclasses.replace(clip, name=folder.parent.name if folder.name == "frames" else folder.name)


def _copied(inputs: Mapping[str, Array | DeviceArray]) -> Inputs:
    """Return copies on the host."""
    return {
        name: value.numpy() if isinstance(value, DeviceArray) else np.array(value) for name, value in inputs.items()
    }


def _size(inputs: Mapping[str, Array | DeviceArray]) -> int:
    return sum(value.nbytes for value in inputs.values())
