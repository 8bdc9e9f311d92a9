"""``python -m samotion.benchmarks.precision``: what FP16 engines change, end to end, beside the FP32 ones."""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.evaluation import predicted_ids
from samotion.benchmarks.accuracy.metrics import binary_scores
from samotion.benchmarks.command import clip_options, pair_options, parser_of, run_command, save_report
from samotion.benchmarks.datasets.layouts import find_clips
from samotion.benchmarks.datasets.truth import Labelled
from samotion.benchmarks.report.record import header
from samotion.calibration.comparison.end_to_end import Agreement, Bounds, agree, means
from samotion.engines.bundle import Bundle
from samotion.engines.manifest import read
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bytes, ClipResult

PROGRAM = "samotion.benchmarks.precision"
BOUNDS = Bounds()  # of all clips together
HEADER = f"{'clip':<20}{'frames':>7}" + "".join(
    f"{name:>9}" for name in ("J", "J ref.", "ΔJ", "IoU", "labels", "objects")
)
DESCRIPTION = "Run two bundles of the same networks over clips with true masks and hold one to the other."
EPILOG = """\
J: of --engines; J ref.: of --against; IoU: of both's masks, everything that moves together, mean over the frames (1
where both are empty); labels: share of the tracks that both call moving or both call still (tracks that one of them
never saw count as still there); objects: of each.
On a CPU, float16 engines run as float32 ones that round every result to float16 (see docs/precision.md): slower
than either, but with the masks that a GPU would make.

example:
  python -m samotion.benchmarks.precision --data DAVIS --engines fp16 -o fp16.json

Exit status: 0 within the bounds, 1 past one of them, 2 an input that cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0, 1 past the bounds, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _benchmark)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    clip_options(parser)
    pair_options(parser)
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="CPU threads of one engine (default: all cores)"
    )
    return parser


def compare(truth: Bytes, found: ClipResult, wanted: ClipResult) -> dict[str, Any]:
    """Return one clip's entry of the report: both J, IoU of both's masks, agreement of both's labels."""
    j, j_reference = (float(binary_scores(truth, predicted_ids(one, truth))[0].mean()) for one in (found, wanted))
    agreement = dataclasses.replace(agree(found, wanted), j=j, j_reference=j_reference)
    return dataclasses.asdict(agreement)


def overall(clips: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means (J over clips, IoU over frames, labels over tracks) and whether they are within bounds."""
    rows = [Agreement(**clip) for clip in clips]
    difference, iou, labels = means(rows)
    j, reference = (float(np.mean([c[name] for c in clips])) for name in ("j", "j_reference"))
    return {
        **{"j": j, "j_reference": reference, "difference": difference, "mean_iou": iou, "labels": labels},
        "bounds": dataclasses.asdict(BOUNDS),
        "within": BOUNDS.hold(rows),
    }


def _benchmark(args: argparse.Namespace) -> int:
    """Run both bundles over the clips, print the table and write the report."""
    from samotion.export.precision.convert import rounded_bundle

    clips = find_clips(args.data, args.clips)
    with tempfile.TemporaryDirectory() as folder:
        tested = args.engines
        if any(entry.precision == "float16" for entry in read(tested).graphs.values()):
            tested = Path(folder)
            rounded_bundle(args.engines, tested)
        with (
            Bundle.load(args.against, threads=args.threads) as against,
            Bundle.load(tested, threads=args.threads) as bundle,
        ):
            settings = Settings().override(bundle.settings)
            print(HEADER, flush=True)
            rows = []
            for clip in clips:
                rows.append(_clip(clip, bundle, against, settings))
                print(table_row(rows[-1]), flush=True)
            record = {
                **header(PROGRAM, bundle, settings, args.threads),
                "against": {"name": against.name, "digest": against.digest},
            }
    record["bundle"]["digest"] = read(args.engines).digest
    total = overall(rows)
    print(mean_row(total))
    save_report(args.out, {**record, **total, "clips": rows})
    return 0 if total["within"] else 1


def _clip(clip: Labelled, bundle: Bundle, against: Bundle, settings: Settings) -> dict[str, Any]:
    """Run both bundles over one clip."""
    read_once = dataclasses.replace(read_clip(clip.frames, settings), name=clip.name)
    found, wanted = (segment(read_once, one, settings) for one in (bundle, against))
    return compare(clip.scored().labels, found, wanted)


def table_row(clip: dict[str, Any]) -> str:
    """Return one clip's line of the table."""
    labels = clip["same"] / max(1, clip["tracks"])
    return (
        f"{clip['name']:<20}{clip['frames']:>7}{clip['j']:>9.4f}{clip['j_reference']:>9.4f}"
        f"{clip['j'] - clip['j_reference']:>+9.4f}{clip['iou']:>9.4f}{labels:>9.4f}"
        f"{'{}/{}'.format(*clip['objects']):>9}"
    )


def mean_row(total: dict[str, Any]) -> str:
    """Return the last line of the table."""
    verdict = "within the bounds" if total["within"] else "past the bounds"
    return (
        f"{'mean':<27}{total['j']:>9.4f}{total['j_reference']:>9.4f}{total['difference']:>+9.4f}"
        f"{total['mean_iou']:>9.4f}{total['labels']:>9.4f}  {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
