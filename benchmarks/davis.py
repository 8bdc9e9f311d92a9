"""``python -m samotion.benchmarks.davis``: the official DAVIS measures of a bundle on a folder of clips."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.evaluation import ClipReport
from samotion.benchmarks.accuracy.metrics import Scores
from samotion.benchmarks.command import Evaluation, evaluation_parser, run_command, score
from samotion.benchmarks.datasets.davis_sets import SETS
from samotion.benchmarks.datasets.layouts import DAVIS_MASKS, find_clips
from samotion.benchmarks.datasets.truth import Truth
from samotion.engines.errors import InputError
from samotion.runtime.values import Bytes

PROGRAM = "samotion.benchmarks.davis"
PROTOCOL = "DAVIS-2017 unsupervised: all frames, first and last included; objects matched by mean (J+F)/2"
WITHOUT_ENDS = "without_ends"
DESCRIPTION = "Run the pipeline over clips with true masks and print the official DAVIS measures."
EPILOG = """\
DIR holds <clip>/frames and <clip>/masks, or DAVIS's JPEGImages/480p/<clip> with Annotations/480p/<clip>
(--set davis17…: Annotations_unsupervised/480p/<clip>).
J and F: everything that moves against everything true. obj J and obj F: object by object, matched one to one.
Every frame counts, as in DAVIS-2017's unsupervised task and in the paper's tables; the JSON also has the means
without first and last frame ("without_ends"), which DAVIS-2016's own program takes.
davis16-moving: the authors publish no list; here it is davis17-moving's clips that DAVIS-2016 has.

examples:
  python -m samotion.benchmarks.davis --data DAVIS --set davis16-moving -o davis16-moving.json
  python -m samotion.benchmarks.davis --data DAVIS --set davis17-moving --pictures sheets

Exit status: 0 done, 2 an input that cannot be used or a clip that failed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0 done, 2 a user's error or a clip that failed."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _benchmark)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = evaluation_parser(PROGRAM, DESCRIPTION, EPILOG)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--set", choices=sorted(SETS), help="only the clips of this row of the paper's tables")
    which.add_argument("--subset", metavar="NAME", help="only the clips that DIR/ImageSets/NAME.txt lists")
    return parser


def without_ends(truth: Truth, prediction: Bytes, j: Scores, f: Scores) -> dict[str, Any]:
    """Return J and F without first and last frame, as DAVIS-2016's program scores; none for shorter clips."""
    del truth, prediction
    inner = slice(1, -1)
    return {WITHOUT_ENDS: {"j": float(j[inner].mean()), "f": float(f[inner].mean())}} if len(j) > 2 else {}


def overall(reports: Sequence[ClipReport]) -> dict[str, Any]:
    """Return the means over the clips of what without_ends gave each."""
    found = [report.further[WITHOUT_ENDS] for report in reports if WITHOUT_ENDS in report.further]
    return {WITHOUT_ENDS: {key: float(np.mean([one[key] for one in found])) if found else None for key in ("j", "f")}}


def _benchmark(args: argparse.Namespace) -> int:
    chosen = SETS[args.set] if args.set else None
    masks: Path = chosen.masks if chosen else DAVIS_MASKS
    wanted = args.clips or (chosen.clips if chosen else ())
    if chosen and (stray := [name for name in args.clips if name not in chosen.clips]):
        raise InputError(f"--clips: {stray[0]} is not in {args.set}; it has {', '.join(chosen.clips)}")
    clips = find_clips(args.data, wanted, args.subset, masks)
    whole = chosen is not None and len(clips) == len(chosen.clips)
    published = chosen.published if chosen and whole else {}  # figures of a whole set say nothing of a part
    return score(Evaluation(PROGRAM, PROTOCOL, published, without_ends, overall), clips, args)


if __name__ == "__main__":
    sys.exit(main())
