"""``python -m samotion.benchmarks.fbms``: FBMS-59's official measures, and J and F, of a bundle."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from samotion.benchmarks.accuracy.evaluation import ClipReport
from samotion.benchmarks.accuracy.metrics import Scores
from samotion.benchmarks.accuracy.moseg_metrics import RegionScores, region_scores, summed
from samotion.benchmarks.command import Evaluation, cell, evaluation_parser, run_command, score
from samotion.benchmarks.datasets.fbms_clips import find
from samotion.benchmarks.datasets.layouts import pick
from samotion.benchmarks.datasets.truth import Truth
from samotion.runtime.values import Bytes

PROGRAM = "samotion.benchmarks.fbms"
PROTOCOL = (
    "FBMS-59, annotated frames only. mean: J and F of everything that moves, as the paper reports; objects matched "
    "by mean (J+F)/2. regions: MoSegEval 2.0 on dense masks, an object is found where F > 0.75"
)
PUBLISHED = {"j": 0.783, "f": 0.828}  # SegAnyMo (CVPR 2025), table 1
REGIONS = "regions"
DESCRIPTION = "Run the pipeline over FBMS-59 and print the paper's J and F and the data set's own measures."
EPILOG = """\
DIR is the data set as published: Testset/<clip>/*.jpg with Testset/<clip>/GroundTruth, which holds <clip>Def.dat and
PPM or PGM images of regions, or PNG images named after their frames (001_gt.png, cars1_01.png). DIR may also be
Testset itself.

example:
  python -m samotion.benchmarks.fbms --data FBMS -o fbms.json --pictures sheets

Exit status: 0 done, 2 an input that cannot be used or a clip that failed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0 done, 2 a user's error or a clip that failed."""
    parser = evaluation_parser(PROGRAM, DESCRIPTION, EPILOG)
    parser.add_argument("--part", default="Testset", metavar="NAME", help="the data set's folder (default: Testset)")
    args = parser.parse_args(argv)
    published = {} if args.clips or args.part != "Testset" else PUBLISHED
    evaluation = Evaluation(PROGRAM, PROTOCOL, published, further, overall, overall_row)
    return run_command(
        PROGRAM, args, lambda args: score(evaluation, pick(args.data, find(args.data, args.part), args.clips), args)
    )


def further(truth: Truth, prediction: Bytes, j: Scores, f: Scores) -> dict[str, Any]:
    """Return the official measures of one clip."""
    del j, f
    found = region_scores(truth.labels, prediction, truth.certainty)
    return {REGIONS: {**asdict(found), "f": found.f}}


def overall(reports: Sequence[ClipReport]) -> dict[str, Any]:
    """Return the official measures of the data set."""
    rows = [report.further[REGIONS] for report in reports if REGIONS in report.further]
    names = ("precision", "recall", "found", "objects")
    return {REGIONS: summed([RegionScores(**{name: row[name] for name in names}) for row in rows])}


def overall_row(record: dict[str, Any]) -> str:
    """Return the line that states the official measures."""
    found = record[REGIONS]
    return (
        f"regions: precision{cell(found['precision'], 6)} recall{cell(found['recall'], 6)} F{cell(found['f'], 6)}, "
        f"{found['found']} of {found['objects']} objects found"
    )


if __name__ == "__main__":
    sys.exit(main())
