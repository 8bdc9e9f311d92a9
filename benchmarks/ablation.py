"""``python -m samotion.benchmarks.ablation``: what each part of the motion network is worth, beside the paper's."""

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.evaluation import ClipReport, evaluate, means
from samotion.benchmarks.command import cell, clip_options, parser_of, run_command, save_report
from samotion.benchmarks.datasets.layouts import find_clips
from samotion.benchmarks.datasets.truth import Labelled
from samotion.benchmarks.report.record import header
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import ClipResult

PROGRAM = "samotion.benchmarks.ablation"
WHOLE = "nothing"
# Mean of J and F lost on DAVIS17-Moving, in points, by the published networks (the paper's ablation table).
PUBLISHED = {"tracks": 61.0, "MSDE": 17.5, "DINO": 15.5, "ST-ATT": 15.0, "PE": 14.0, "depth": 11.0}
ROWS = (WHOLE, *PUBLISHED)
DESCRIPTION = "Run bundles whose motion networks were trained alike, each without one part, and print what it costs."
EPILOG = """\
RUNS is where `python -m samotion.export.training.ablation` wrote its bundles, RUNS/ablation/NAME.
lost: mean of J and F below the network that lacks nothing, in points; paper: the same by the published networks on
DAVIS17-Moving, each of them trained to its end.

Exit status: 0 done, 2 an input that cannot be used or a clip that failed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0 done, 2 a user's error or a clip that failed."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _measure)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    clip_options(parser)
    add = parser.add_argument
    add("--runs", type=Path, required=True, metavar="RUNS", help="folder that the training of the ablation wrote")
    add("--threads", type=int, default=0, metavar="N", help="CPU threads (default: all cores)")
    return parser


def _measure(args: argparse.Namespace) -> int:
    clips = find_clips(args.data, args.clips)
    folders = {name: args.runs / "ablation" / name for name in ROWS}
    if missing := [name for name, folder in folders.items() if not folder.is_dir()]:
        raise InputError(
            f"{folders[missing[0]]}: no such bundle; make it with python -m samotion.export.training.ablation"
        )
    rows: dict[str, Any] = {}
    failed: list[str] = []
    head: dict[str, Any] = {}
    print(f"{'without':<12}" + "".join(f"{name:>8}" for name in ("J", "F", "lost", "paper")), flush=True)
    for name, folder in folders.items():
        with Bundle.load(folder, threads=args.threads) as bundle:
            settings = Settings().override(bundle.settings)
            head = head or header(PROGRAM, bundle, settings, args.threads)
            reports = _reports(clips, bundle, settings)
        failed += [f"{name}: {report.name}: {report.error}" for report in reports if report.error]
        by_clip = {report.name: float(report.j.mean()) for report in reports if report.j is not None}
        rows[name] = {**means(reports)["mean"], "clips": by_clip}
        print(table_row(name, rows), flush=True)
    save_report(args.out, {**head, "without": rows, "published_lost": PUBLISHED, "failed": failed})
    for line in failed:
        print(f"{PROGRAM}: error: {line}", file=sys.stderr)
    return 2 if failed else 0


def _reports(clips: Sequence[Labelled], bundle: Bundle, settings: Settings) -> list[ClipReport]:
    """Return one report a clip."""

    def run(clip: Labelled) -> ClipResult:
        read = dataclasses.replace(read_clip(clip.frames, settings), name=clip.name)
        return segment(read, bundle, settings)

    return evaluate(clips, run, lambda _: None)


def table_row(name: str, rows: dict[str, Any]) -> str:
    """Return one line of the table; a dash where there is nothing to say."""
    j, f = rows[name]["j"], rows[name]["f"]
    whole = rows[WHOLE]
    known = None not in (j, f, whole["j"], whole["f"]) and name != WHOLE
    lost = 100 * float(np.mean([whole["j"] - j, whole["f"] - f])) if known else None
    return f"{name:<12}{cell(j)}{cell(f)}{cell(lost, 8, 1)}{cell(PUBLISHED.get(name), 8, 1)}"


if __name__ == "__main__":
    sys.exit(main())
