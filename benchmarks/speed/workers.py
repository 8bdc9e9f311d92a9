"""``python -m samotion.benchmarks.speed.workers``: a worker a core by ``--ray local`` against one process."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from samotion.benchmarks.command import parser_of, run_command, save_report
from samotion.benchmarks.report.noise import paired_ratio
from samotion.benchmarks.report.record import header
from samotion.benchmarks.speed.clips import moving_scene, write_clip
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.batch.dispatch import Dispatcher
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.ledger import FAILED, Outcome
from samotion.runtime.batch.ray_pool import RayPool
from samotion.runtime.batch.worker import Request, Worker
from samotion.runtime.output.formats.catalogue import DEFAULT
from samotion.runtime.settings import Settings

PROGRAM = "samotion.benchmarks.speed.workers"
DESCRIPTION = "Time a job on a worker a core, as --ray local makes them, against one process with all cores."
EPILOG = """\
Both sides write all their results. They take turns, the first of a pair alternating, after clips that load and warm
the workers. How long the cluster took to start is stated apart.

Exit status: 0 done, 2 what cannot be used."""
SIZE = {"frames": 24, "height": 240, "width": 428}
Side = Callable[[Sequence[Input]], None]
SETTINGS = {"max_tracks": 300}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and return its exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _compare)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--clips", type=int, default=8, metavar="N", help="made clips of 24 frames, 428×240 (default: 8)")
    add("--runs", type=int, default=4, metavar="N", help="pairs of runs over all clips (default: 4)")
    return parser


def _compare(args: argparse.Namespace) -> int:
    save_report(args.out, measure(args.clips, args.runs))
    return 0


def measure(clips: int, runs: int) -> dict[str, Any]:
    """Return the record of the comparison, printing each pair as it is done. Raises InputError, EngineError."""
    if clips < 1 or runs < 1:
        raise InputError(f"--clips is {clips}, --runs is {runs}, expected at least 1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = [
            Input(str(write_clip(moving_scene(seed=seed, **SIZE).frames, folder / f"{seed}.mp4")), str(seed))
            for seed in range(clips)
        ]
        one = _request(folder / "one")
        begun = time.perf_counter()
        with RayPool("local", replace(one, threads=1, out=folder / "ray")) as pool, Worker(one, print) as worker:
            start = time.perf_counter() - begun

            def one_process(items: Sequence[Input]) -> None:
                for item in items:
                    worker.run(item)

            def ray_local(items: Sequence[Input]) -> None:
                Dispatcher[Input, Any](pool, None, _must_be_done).work_through(items)

            sides: dict[str, Side] = {"one_process": one_process, "ray_local": ray_local}
            for run in sides.values():
                run(inputs[: pool.size])
            pairs = [_pair(number, sides, inputs) for number in range(runs)]
            workers = pool.size
    found = paired_ratio([pair["one_process"] for pair in pairs], [pair["ray_local"] for pair in pairs])
    with Bundle.load() as bundle:
        about = header(PROGRAM, bundle, Settings().override(bundle.settings).override(SETTINGS), 0)
    interval = [found.low, found.high] if runs > 1 else None
    print(f"{workers} workers have {found.middle:.2f} times the throughput of one process with as many threads")
    facts = {"clips": clips, **SIZE, "workers": workers, "start_seconds": round(start, 1)}
    return {**about, **facts, "ratio": found.middle, "ratio_interval": interval, "pairs": pairs}


def _pair(number: int, sides: dict[str, Side], inputs: Sequence[Input]) -> dict[str, float]:
    """Return the seconds that each side takes; even pairs begin with one process."""
    seconds = {}
    for side in sides if number % 2 == 0 else reversed(sides):
        begun = time.perf_counter()
        sides[side](inputs)
        seconds[side] = time.perf_counter() - begun
    print(f"{number + 1}: " + ", ".join(f"{side} {spent:.1f} s" for side, spent in seconds.items()), flush=True)
    return seconds


def _must_be_done(item: Input, outcome: Outcome) -> None:
    if outcome.status == FAILED:
        raise InputError(f"{item.path}: {outcome.message}")


def _request(out: Path) -> Request:
    return Request(
        engines=None,
        provider="cpu",
        threads=0,
        published=False,
        settings=SETTINGS,
        out=out,
        fps=Fraction(24),
        memory=None,
        formats=DEFAULT,
        dilate=0,
        report=False,
        overlay=True,
        audio=False,
        hashed=False,
        quiet=True,
    )


if __name__ == "__main__":
    sys.exit(main())
