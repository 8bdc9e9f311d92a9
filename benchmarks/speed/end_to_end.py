"""The whole pipeline over one clip, stage by stage."""

import tempfile
import time
from collections import defaultdict
from pathlib import Path

from samotion.benchmarks.report.measurement import Timing
from samotion.engines.bundle import Bundle
from samotion.runtime.output.writer import write_result
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip


def stages(path: Path, bundle: Bundle, settings: Settings, runs: int) -> list[Timing]:
    """Return a timing a stage of the clip at ``path``, of all from reading to masks, and of that with files written.

    One run before the first loads and warms the engines.
    """
    seconds: dict[str, list[list[float]]] = defaultdict(list)
    for run in range(runs + 1):
        begun = time.perf_counter()
        clip = read_clip(path, settings)
        read = time.perf_counter()
        result = segment(clip, bundle, settings)
        found = time.perf_counter()
        with tempfile.TemporaryDirectory() as out:
            write_result(result, Path(out), {})
        written = time.perf_counter()
        if run == 0:
            continue
        parts = {"reading": read - begun, **result.seconds, "writing": written - found}
        parts |= {"clip to masks": found - begun, "clip to files": written - begun}
        for name, taken in parts.items():
            seconds[name].append([taken])
    facts = {"objects": len(result.masks.values), "width": clip.size[1], "height": clip.size[0]}
    frames = len(clip.frames)
    return [Timing("stages", name, rounds, "", frames, "frames", facts) for name, rounds in seconds.items()]
