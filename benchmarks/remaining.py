"""``python -m samotion.benchmarks.remaining``: how right the time left is that a run shows."""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.command import engine_options, load, parser_of, run_command, save_report
from samotion.benchmarks.report.record import header
from samotion.runtime.job import Job, process
from samotion.runtime.progress import BarProgress
from samotion.runtime.sources.open import IMAGE_FPS, open_source
from samotion.runtime.time_left import TimeLeft

PROGRAM = "samotion.benchmarks.remaining"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
QUARTER = 0.25
SHOWN = 0.5  # seconds: the bar shows whole ones
DESCRIPTION = "Run the program on clips and compare each time left that its bar showed with what the rest took."
EPILOG = """\
A reading is right within a quarter of the time that was left, or within the half second that the bar rounds to.
later: the share of right readings after the first window; first: of those in it. The CPU's clock leaves out what
others do on the machine.

example:
  python -m samotion.benchmarks.remaining dog.mp4 frames/ --window 24 --clock cpu

Exit status: 0 done, 2 an input that cannot be used."""


class Readings(TimeLeft):
    """Notes each time left that is asked for: (in which window, when, seconds)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.found: list[tuple[int, float, float]] = []
        self._now, self._windows = clock, 0

    def begin_window(self, length: int) -> None:
        """Count it."""
        self._windows += 1
        super().begin_window(length)

    def wrote(self, frames: int, seconds: float) -> None:
        """Learn it where it is of the same clock."""
        if self._now is CLOCKS["wall"]:
            super().wrote(frames, seconds)

    @property
    def seconds(self) -> float | None:
        """What the bar shows."""
        left = super().seconds
        if left is not None:
            self.found.append((self._windows, self._now(), left))
        return left


def main(argv: Sequence[str] | None = None) -> int:
    """Run the clips and return the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _measure)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("clips", nargs="+", metavar="CLIP", help="videos or folders of frames")
    add("--window", type=int, metavar="N", help="frames a window (default: as the bundle has it)")
    add("--clock", choices=CLOCKS, default="wall", help="wall (default) or cpu")
    engine_options(parser)
    return parser


def share_right(readings: Sequence[tuple[float, float]]) -> float | None:
    """Return the share of readings, as (seconds left, seconds shown), that are right; None of none."""
    if not readings:
        return None
    return float(np.mean([abs(shown - left) <= max(QUARTER * left, SHOWN) for left, shown in readings]))


def _measure(args: argparse.Namespace) -> int:
    bundle, settings = load(args)
    settings = settings.override({} if args.window is None else {"window": args.window})
    clock, rows = CLOCKS[args.clock], []
    with bundle, tempfile.TemporaryDirectory() as out:
        print(f"{'readings':>9}{'later':>8}{'first':>8}  clip", flush=True)
        for clip in args.clips:
            readings = Readings(clock)
            with BarProgress(io.StringIO(), clip, readings) as progress:
                job = Job(bundle, settings, Path(out), True, None, progress, lambda _: None, dict)
                process(open_source(clip, settings, IMAGE_FPS), job)
            end = clock()
            parts = {
                name: [(end - now, left) for window, now, left in readings.found if (window > 1) == (name == "later")]
                for name in ("later", "first")
            }
            row = {"clip": Path(clip).name, **{name: share_right(part) for name, part in parts.items()}}
            rows.append({**row, "readings": len(readings.found)})
            print(_line(rows[-1], str(clip)), flush=True)
        record = header(PROGRAM, bundle, settings, args.threads) | {"clock": args.clock, "rows": rows}
    save_report(args.out, record)
    return 0


def _line(row: dict[str, Any], clip: str) -> str:
    shares = "".join("       -" if row[name] is None else f"{row[name]:8.2f}" for name in ("later", "first"))
    return f"{row['readings']:>9}{shares}  {clip}"


if __name__ == "__main__":
    sys.exit(main())
