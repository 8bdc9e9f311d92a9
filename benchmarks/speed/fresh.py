"""What only a fresh process shows: the memory of a run at its peak, and how long it takes to start."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.speed.clips import write_clip
from samotion.engines.errors import EngineError
from samotion.runtime.values import Bytes

RUN = ("-m", "samotion.runtime.cli")
COLD = ("-m", "samotion.benchmarks.speed.cold")


@dataclass(frozen=True)
class Ended:
    """How a process went: wall time in seconds, peak memory in bytes, what it printed."""

    seconds: float
    peak_memory: int
    output: str


def run(arguments: Sequence[str]) -> Ended:
    """Run this Python with ``arguments`` in a process of its own; raises EngineError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        launch = [sys.executable, "-m", "samotion.benchmarks.speed.launch", str(figures), sys.executable, *arguments]
        done = subprocess.run(launch, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise EngineError(f"python {' '.join(arguments)} ended with {done.returncode}: {last}")
        found = json.loads(figures.read_text(encoding="utf-8"))
        return Ended(found["seconds"], found["peak_memory"], done.stdout)


def lengths(frames: Bytes, counts: Sequence[int], options: Sequence[str], folder: Path) -> list[Timing]:
    """Return a timing of samotion-run for each length of clip, with the peak memory of every run.

    frames: (T, H, W, 3), bounced to each length. All but the longest are run again after it, so that a machine
    that has changed meanwhile shows. options: of samotion-run. folder: for the clips and what is found.
    """
    clips = {count: write_clip(frames, folder / f"{count}.mp4", count) for count in sorted(set(counts))}
    ended: dict[int, list[Ended]] = defaultdict(list)
    for count in [*clips, *reversed(list(clips)[:-1])]:
        ended[count].append(run([*RUN, str(clips[count]), "-o", str(folder / "out"), "--quiet", *options]))
    return [
        Timing(
            "length",
            "samotion-run",
            [[one.seconds] for one in runs],
            "",
            count,
            "frames",
            {"peak_memory": [one.peak_memory for one in runs], "options": list(options)},
        )
        for count, runs in ended.items()
    ]


def cold_starts(path: Path, options: Sequence[str], runs: int) -> list[Timing]:
    """Return timings of the parts of a first run in a fresh process, and of that run beyond what computing takes.

    path: a clip of one window. options: --engines, --provider and --threads as samotion-bench takes them.
    """
    seconds: dict[str, list[list[float]]] = defaultdict(list)
    peaks = []
    for _ in range(runs):
        ended = run([*COLD, str(path), *options])
        peaks.append(ended.peak_memory)
        for name, taken in json.loads(ended.output).items():
            seconds[name].append([taken])
    return [Timing("cold", name, rounds, facts={"peak_memory": peaks}) for name, rounds in seconds.items()]
