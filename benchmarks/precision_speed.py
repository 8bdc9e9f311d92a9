"""``python -m samotion.benchmarks.precision_speed``: what a bundle's precision saves on this CPU, side by side."""

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samotion.benchmarks.command import pair_options, parser_of, run_command, save_report
from samotion.benchmarks.report.record import header
from samotion.calibration.comparison.paired_timing import by_turns
from samotion.calibration.recording.activations import RecordingBundle, folder_clips
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings

PROGRAM = "samotion.benchmarks.precision_speed"
FRAMES = 16  # of the clip
EPILOG = """\
Every graph that differs runs on what the pipeline feeds it, once in each bundle, alternately; so does the pipeline.
CPU time is that of the process, all its threads together, and differs least from run to run on a busy machine.

example:
  python -m samotion.benchmarks.precision_speed --data CLIPS --engines int8 -o int8.json"""

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0, or 2 for a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _benchmark)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(
        f"python -m {PROGRAM}", "Time two bundles of the same networks on the CPU, alternately.", EPILOG
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of clips; the first is run")
    pair_options(parser)
    add("--threads", type=int, default=1, metavar="N", help="CPU threads of one engine (default: 1)")
    add("--rounds", type=int, default=20, metavar="N", help="calls of each engine (default: 20)")
    add("--runs", type=int, default=5, metavar="N", help="runs of the whole pipeline in each (default: 5)")
    return parser


def _benchmark(args: argparse.Namespace) -> int:
    """Time both bundles, print the table and write the report."""
    if min(args.rounds, args.runs) < 1:
        raise InputError("--rounds and --runs must be at least 1")
    with (
        RecordingBundle.load(args.against, threads=args.threads) as recording,
        Bundle.load(args.against, threads=args.threads) as against,
        Bundle.load(args.engines, threads=args.threads) as bundle,
    ):
        settings = Settings().override(bundle.settings)
        clip = folder_clips(args.data, 1, settings, FRAMES)[0]
        recording.keep = 1
        segment(clip, recording, settings)
        print(f"{'':16}{'float32 ms':>18}{'tested ms':>18}{'ratio':>8}   (CPU time: median, 95 %)", flush=True)
        rows: list[Row] = []
        for name, entry in bundle.manifest.graphs.items():
            if entry.sha256 != against.manifest.graphs[name].sha256 and name in recording.recorders:
                inputs = recording.recorders[name].samples[0]
                calls = [functools.partial(one.engine(name), **inputs) for one in (against, bundle)]
                rows.append(_row(name, entry.precision, by_turns(calls, args.rounds)))
        whole = [functools.partial(segment, clip, one, settings) for one in (against, bundle)]
        rows.append(_row("end to end", bundle.manifest.precision, by_turns(whole, args.runs)))
        record = {
            **header(PROGRAM, bundle, settings, args.threads),
            "against": {"name": against.name, "digest": against.digest},
            "clip": {"name": clip.name, "frames": len(clip.frames), "size": list(clip.size)},
            "rounds": args.rounds,
            "runs": args.runs,
            "rows": rows,
        }
    save_report(args.out, record)
    return 0


def _row(name: str, precision: str, taken: Sequence[dict[str, dict[str, float]]]) -> Row:
    """Return one entry of the report, and print it."""
    reference, tested = taken
    ratio = tested["cpu"]["p50"] / reference["cpu"]["p50"]
    print(f"{name:16}{_shown(reference['cpu'])}{_shown(tested['cpu'])}{ratio:>8.3f}", flush=True)
    return {"name": name, "precision": precision, "reference": reference, "tested": tested, "cpu_ratio": ratio}


def _shown(times: Mapping[str, float]) -> str:
    return f"{1e3 * times['p50']:>9.1f}{1e3 * times['p95']:>9.1f}"


if __name__ == "__main__":
    sys.exit(main())
