"""``python -m samotion.benchmarks.precision``: what FP16 engines change, end to end, beside the FP32 ones."""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.command import guarded, names
from samotion.benchmarks.datasets import find_clips
from samotion.benchmarks.evaluation import predicted_ids
from samotion.benchmarks.metrics import binary_scores
from samotion.benchmarks.record import check_writable, header, write
from samotion.benchmarks.truth import Labelled
from samotion.engines.bundle import Bundle
from samotion.engines.manifest import EMBEDDED, read
from samotion.runtime.clip import read_clip
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Result

PROGRAM = "samotion.benchmarks.precision"
POINTS, MEAN_IOU, LABELS = 0.005, 0.98, 0.99  # bounds: |ΔJ|, masks of both, motion labels of both
HEADER = f"{'clip':<20}{'frames':>7}" + "".join(
    f"{name:>9}" for name in ("J", "J ref.", "ΔJ", "IoU", "labels", "objects")
)
EPILOG = """\
J: of --engines; J ref.: of --against; IoU: of both's masks, everything that moves together, mean over the frames (1
where both are empty); labels: share of the tracks that both call moving or both call still (tracks that one of them
never saw count as still there); objects: of each.
On a CPU, float16 engines run as float32 ones that round every result to float16 (see export/README.md): slower than
either, but with the masks that a GPU would make.

example:
  python -m samotion.benchmarks.precision --data DAVIS --engines fp16 -o fp16.json

Exit status: 0 within the bounds, 1 past one of them, 2 an input that cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0, 1 past the bounds, 2 a user's error."""
    args = build_parser().parse_args(argv)
    return guarded(PROGRAM, lambda: _benchmark(args))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        f"python -m {PROGRAM}",
        description="Run two bundles of the same networks over clips with true masks and hold one to the other.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of clips")
    add("--clips", type=names, default=(), metavar="A,B", help="only these clips (default: all)")
    add("--engines", type=Path, required=True, metavar="A", help="bundle under test")
    add("--against", type=Path, default=EMBEDDED, metavar="B", help="its reference (default: the shipped nano)")
    add("--threads", type=int, default=0, metavar="N", help="CPU threads of one engine (default: all cores)")
    add("-o", "--out", type=Path, metavar="FILE", help="write the report there as JSON")
    return parser


def compare(clip: str, truth: Bytes, found: Result, wanted: Result) -> dict[str, Any]:
    """Return one clip's entry of the report: both J, IoU of both's masks, agreement of both's labels."""
    masks = [predicted_ids(result, truth) for result in (found, wanted)]
    j, j_reference = (float(binary_scores(truth, one)[0].mean()) for one in masks)
    a, b = (one > 0 for one in masks)
    together, either = (a & b).sum(axis=(1, 2)), (a | b).sum(axis=(1, 2))
    same, tracks = _labels(found, wanted)
    return {
        "name": clip,
        "frames": len(truth),
        "j": j,
        "j_reference": j_reference,
        "iou": float(np.where(either > 0, together / np.maximum(either, 1), 1.0).mean()),
        "same_labels": same,
        "tracks": tracks,
        "objects": [len(result.masks.values) for result in (found, wanted)],
    }


def overall(clips: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means (J over clips, IoU over frames, labels over tracks) and whether they are within bounds."""
    frames, tracks = sum(c["frames"] for c in clips), sum(c["tracks"] for c in clips)
    j, reference = (float(np.mean([c[name] for c in clips])) for name in ("j", "j_reference"))
    found = {
        "j": j,
        "j_reference": reference,
        "difference": j - reference,
        "mean_iou": sum(c["iou"] * c["frames"] for c in clips) / frames,
        "labels": sum(c["same_labels"] for c in clips) / max(1, tracks),
    }
    within = abs(found["difference"]) <= POINTS and found["mean_iou"] >= MEAN_IOU and found["labels"] >= LABELS
    return {**found, "bounds": {"difference": POINTS, "mean_iou": MEAN_IOU, "labels": LABELS}, "within": within}


def _benchmark(args: argparse.Namespace) -> int:
    """Run both bundles over the clips, print the table and write the report."""
    from samotion.export.precision import rounded_bundle

    if args.out is not None:
        check_writable(args.out)  # known before long work
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
    if args.out is not None:
        write(args.out, {**record, **total, "clips": rows})
    return 0 if total["within"] else 1


def _clip(clip: Labelled, bundle: Bundle, against: Bundle, settings: Settings) -> dict[str, Any]:
    """Run both bundles over one clip."""
    read_once = dataclasses.replace(read_clip(clip.frames, settings), name=clip.name)
    found, wanted = (segment(read_once, one, settings) for one in (bundle, against))
    return compare(clip.name, clip.scored().labels, found, wanted)


def _labels(found: Result, wanted: Result) -> tuple[int, int]:
    """Return of how many tracks both have the same label, and how many tracks either has."""
    moving, still = zip(*(_by_query(result) for result in (found, wanted)), strict=True)
    every = moving[0] | moving[1] | still[0] | still[1]
    return len(every) - len(moving[0] ^ moving[1]), len(every)


def _by_query(result: Result) -> tuple[set[bytes], set[bytes]]:
    """Return the queries of the tracks that move and of those that do not: two runs know a track by its query."""
    tracks = result.tracks
    frames = tracks.query_frame
    xy = tracks.xy[np.arange(len(frames)), frames]
    keys = [np.append(point, frame).tobytes() for point, frame in zip(xy, frames, strict=True)]
    moving = {key for key, moves in zip(keys, result.labels.dynamic, strict=True) if moves}
    return moving, set(keys) - moving


def table_row(clip: dict[str, Any]) -> str:
    """Return one clip's line of the table."""
    labels = clip["same_labels"] / max(1, clip["tracks"])
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
