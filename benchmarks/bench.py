"""``samotion-bench``: engines, stages, objects, length and start, timed so that the figures can be trusted."""

import argparse
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samotion.benchmarks.command import parser_of, run_command, save_report
from samotion.benchmarks.orchestration import PROGRAM as ORCHESTRATION
from samotion.benchmarks.report import compare, markdown, plots
from samotion.benchmarks.report.record import read
from samotion.benchmarks.speed.suite import MEASUREMENTS, PROGRAM, QUICK, Plan, Target, measure
from samotion.engines.errors import InputError

DESCRIPTION = "Time samotion's engines and pipeline on this machine."
EPILOG = """\
WHAT is measured, all of it if none is named:
  engines   every engine by itself in several batch sizes: p50, p95, p99, throughput
  gpu       every engine and every kernel by the GPU's own clock (needs --provider cuda, tensorrt or tensorrt-rtx)
  torch     every engine against PyTorch, eager and compiled, on the same inputs (needs samotion[export])
  roofline  every engine's arithmetic against the peak of this processor, measured in the same run
  stages    the pipeline from file to masks to files, stage by stage
  objects   the pipeline with 1, 4, 16 and 64 objects
  length    samotion-run on 60, 300 and 3000 frames in fresh processes: time a frame, peak memory
  cold      import, loading, first masks in fresh processes

examples:
  samotion-bench -o now.json                            everything
  samotion-bench engines stages -o now.json --compare then.json
  samotion-bench --from now.json --compare then.json    no measuring, only the verdicts
  samotion-bench --from now.json --plots plots          pictures of a result
  samotion-bench gpu stages --provider tensorrt-rtx --engines DIR -o gpu.json
                                                        all that a GPU is asked for

Exit status: 0 done, 2 something that cannot be used, such as a provider that is not there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, compare, markdown, as asked; returns the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _run)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(PROGRAM, DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("what", nargs="*", metavar="WHAT", help=f"any of {', '.join(MEASUREMENTS)} (default: all that run there)")
    add("--engines", type=Path, metavar="DIR", help="engine bundle (default: the nano bundle inside)")
    add("--provider", default="cpu", metavar="NAME", help="cpu (default), cuda, tensorrt or tensorrt-rtx")
    add("--threads", type=int, default=0, metavar="N", help="CPU threads of one engine (default: all cores)")
    add("--clip", type=Path, metavar="CLIP", help="video or folder in place of the made clip; not for objects")
    add("--runs", type=int, metavar="N", help="runs of the whole pipeline (default: 5)")
    add("--quick", action="store_true", help="short clips and few samples: a trial, not figures to quote")
    add("--from", dest="source", type=Path, metavar="FILE", help="measure nothing: take this result of -o")
    add("--compare", type=Path, metavar="OLD", help="say what became faster or slower than in this result of -o")
    add("--orchestration", type=Path, metavar="FILE", help="add a result of samotion.benchmarks.orchestration -o")
    add("--gpu", action="append", type=Path, default=[], metavar="FILE", help="add a result from a GPU (repeatable)")
    add("--readme", type=Path, metavar="FILE", help="put the tables between this file's markers")
    add("--plots", type=Path, metavar="DIR", help="draw the plots there as SVG (needs matplotlib)")
    return parser


def _run(args: argparse.Namespace) -> int:
    old = read(args.compare, PROGRAM) if args.compare else None
    other = read(args.orchestration, ORCHESTRATION) if args.orchestration else None
    gpu = markdown.gpu_markdown([_from_gpu(path) for path in args.gpu])
    if args.plots:
        plots.check_matplotlib()
    if args.readme:
        markdown.check_markers(args.readme, bool(args.gpu))
    if args.source:
        if args.what or args.out:
            raise InputError("--from measures nothing, so it goes with neither WHAT nor -o")
        found = read(args.source, PROGRAM)
    else:
        found = _measured(args)
        save_report(args.out, found)
    drawn = plots.draw(found, other, args.plots) if args.plots else []
    if args.readme:
        pictures = {path.stem: Path(os.path.relpath(path, args.readme.parent)).as_posix() for path in drawn}
        markdown.insert(args.readme, markdown.markdown(found, other, pictures), gpu)
    else:
        print("\n".join([markdown.markdown(found, other), *([gpu] if args.gpu else [])]))
    if old:
        print("\n".join(compare.lines(found, old)))
    return 0


def _from_gpu(path: Path) -> dict[str, Any]:
    """Return a result that was measured on a GPU."""
    record = read(path, PROGRAM)
    if "gpu" not in record["environment"]:
        raise InputError(
            f"{path}: measured on {record['bundle']['provider']}, expected a result from a GPU; make one with "
            f"{PROGRAM} gpu stages --provider tensorrt-rtx --engines DIR -o FILE"
        )
    return record


def _measured(args: argparse.Namespace) -> dict[str, Any]:
    """Return a new result."""
    plan = QUICK if args.quick else Plan()
    if args.runs is not None:
        plan = dataclasses.replace(plan, runs=args.runs)
    return measure(args.what, Target(args.engines, args.provider, args.threads, args.clip), plan)


if __name__ == "__main__":
    raise SystemExit(main())
