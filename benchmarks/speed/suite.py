"""Everything that samotion-bench measures, and how much of it."""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.report.record import header
from samotion.benchmarks.speed import end_to_end, fresh, latency, many_objects
from samotion.benchmarks.speed.against_torch import against_torch, check_torch
from samotion.benchmarks.speed.clips import FRAMES, HEIGHT, NONE_LEFT_OUT, OBJECTS, WIDTH, made_clip, moving_scene
from samotion.benchmarks.speed.engine_inputs import record
from samotion.benchmarks.speed.gpu.on_gpu import check_gpu, on_gpu
from samotion.benchmarks.speed.roofline import roofline
from samotion.calibration.comparison.paired_timing import Effort
from samotion.calibration.recording.activations import Inputs, RecordingBundle
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import clip_name, read_clip
from samotion.runtime.values import Clip

PROGRAM = "samotion-bench"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    frames, height, width: of the made clip. found: objects found in it. runs: of the whole pipeline. effort: for
    single engines. counts: of objects, in clips of ``object_frames``. lengths: of clips in frames.
    """

    frames: int = FRAMES
    height: int = HEIGHT
    width: int = WIDTH
    found: int = OBJECTS
    runs: int = 5
    effort: Effort = field(default_factory=Effort)
    counts: tuple[int, ...] = (1, 4, 16, 64)
    object_frames: tuple[int, ...] = (24, FRAMES)
    lengths: tuple[int, ...] = (FRAMES, 300, 3000)


QUICK = Plan(12, 240, 428, 2, 2, Effort(rounds=2, seconds=0, fewest=1, warm_up=0), (1, 2), (12,), (12, 24))


@dataclass(frozen=True)
class Target:
    """What is measured: a bundle by its folder (None: the shipped one), its provider and threads, and a clip.

    clip: a video or folder, None for the made clip of the plan.
    """

    engines: Path | None = None
    provider: str = "cpu"
    threads: int = 0
    clip: Path | None = None

    def options(self) -> list[str]:
        """Return the options that give another program of this package the same engines."""
        chosen = ["--provider", self.provider, "--threads", str(self.threads)]
        return chosen if self.engines is None else [*chosen, "--engines", str(self.engines)]


def measure(what: Sequence[str], target: Target, plan: Plan) -> dict[str, Any]:
    """Return the record of ``what``, names of MEASUREMENTS, all that the provider allows if there are none.

    Raises SamotionError for what cannot be measured; a provider, PyTorch and names are looked at first.
    """
    if unknown := [name for name in what if name not in MEASUREMENTS]:
        raise InputError(f"'{unknown[0]}' is nothing to measure; known are {', '.join(MEASUREMENTS)}")
    if plan.runs < 1:
        raise InputError(f"{plan.runs} runs, expected at least 1")
    elsewhere = ("gpu",) if target.provider == "cpu" else ("torch", "roofline")  # these two are of the CPU
    chosen = [name for name in MEASUREMENTS if (name in what if what else name not in elsewhere)]
    if "gpu" in chosen:
        check_gpu(target.provider)
    if "torch" in chosen:
        check_torch()
    with (
        tempfile.TemporaryDirectory() as folder,
        Bundle.load(target.engines, provider=target.provider, threads=target.threads) as bundle,
    ):
        settings = Settings().override(bundle.settings).override(NONE_LEFT_OUT)
        session = _Session(target, plan, bundle, settings, Path(folder))
        made = header(PROGRAM, bundle, settings, target.threads)
        found: list[Timing] = []
        spent: dict[str, float] = {}
        for name in chosen:
            print(f"measuring {name}", flush=True)
            begun = time.perf_counter()
            found += MEASUREMENTS[name](session)
            spent[name] = round(time.perf_counter() - begun, 1)
        clip = clip_name(session.clip) if set(chosen) - {"objects"} else None
    about = {"plan": asdict(plan), "clip": clip, "measuring_seconds": spent}
    return {**made, **about, "timings": [timing.record() for timing in found]}


@dataclass(frozen=True)
class _Session:
    """What the measurements share; clips and inputs are made when the first of them asks."""

    target: Target
    plan: Plan
    bundle: Bundle
    settings: Settings
    folder: Path

    @cached_property
    def clip(self) -> Path:
        """The clip to read."""
        plan = self.plan
        return self.target.clip or made_clip(
            self.folder, self._found, plan.found, plan.frames, plan.height, plan.width
        )

    def _found(self, clip: Clip) -> int:
        return len(segment(clip, self.bundle, self.settings).masks.values)

    @cached_property
    def recorded(self) -> dict[str, Inputs]:
        """What the pipeline feeds each engine on the clip."""
        target = self.target
        with RecordingBundle.load(target.engines, provider=target.provider, threads=target.threads) as bundle:
            return record(read_clip(self.clip, self.settings), bundle, self.settings)

    def engines(self) -> list[Timing]:
        return latency.engines(self.bundle, self.recorded, self.plan.effort)

    def gpu(self) -> list[Timing]:
        clip = read_clip(self.clip, self.settings)
        return on_gpu(clip, self.bundle, self.settings, self.recorded, self.plan.effort)

    def torch(self) -> list[Timing]:
        return against_torch(self.bundle, self.recorded, self.target.threads, self.plan.effort)

    def roofline(self) -> list[Timing]:
        return roofline(self.bundle, self.recorded, self.plan.effort)

    def stages(self) -> list[Timing]:
        return end_to_end.stages(self.clip, self.bundle, self.settings, self.plan.runs)

    def objects(self) -> list[Timing]:
        plan, found = self.plan, []
        for frames in plan.object_frames:
            scene = moving_scene(round(many_objects.SPARE * max(plan.counts)), frames, plan.height, plan.width)
            found += many_objects.objects(scene, plan.counts, self.bundle, self.settings, plan.runs)
        return found

    def length(self) -> list[Timing]:
        frames = read_clip(self.clip, self.settings).frames
        return fresh.lengths(frames, self.plan.lengths, self.target.options(), self.folder)

    def cold(self) -> list[Timing]:
        return fresh.cold_starts(self.clip, self.target.options(), self.plan.runs)


MEASUREMENTS: dict[str, Callable[[_Session], list[Timing]]] = {
    "engines": _Session.engines,
    "gpu": _Session.gpu,
    "torch": _Session.torch,
    "roofline": _Session.roofline,
    "stages": _Session.stages,
    "objects": _Session.objects,
    "length": _Session.length,
    "cold": _Session.cold,
}
