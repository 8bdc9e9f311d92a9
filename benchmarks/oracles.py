"""``python -m samotion.benchmarks.oracles``: what each stage costs, by replacing its answer by the truth."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from samotion.benchmarks.accuracy.oracle_stages import (
    average_precision,
    drawn_points,
    oracle_masks,
    true_groups,
    true_labels,
)
from samotion.benchmarks.command import cell, clip_options, engine_options, load, parser_of, run_command, save_report
from samotion.benchmarks.datasets.layouts import LabelledClip, find_clips
from samotion.benchmarks.datasets.truth import VOID
from samotion.benchmarks.report.record import header
from samotion.calibration.comparison.iou import mask_ious
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.pipeline import find_groups
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages import window
from samotion.runtime.stages.masks import segment_objects
from samotion.runtime.stages.merging import merge_objects
from samotion.runtime.stages.motion import STILL
from samotion.runtime.stages.support import supported
from samotion.runtime.stages.votes import sureness
from samotion.runtime.values import Bool, Bytes, Clip, MotionLabels, ObjectMasks, TrackGroup, Tracks

PROGRAM = "samotion.benchmarks.oracles"
ROWS = ("as is", "true labels", "true groups", "true clicks", "true masks")
DESCRIPTION = "Replace one stage's answer at a time by the truth and print the region similarity J that is reached."
EPILOG = """\
as is: the pipeline. true labels: a track is dynamic if more than half of its visible points lie on true objects.
true groups: true labels, and one group of tracks for each true object in stage 1's place. true clicks: as many clicks
as the pipeline makes on the frames where it makes them, drawn from the true masks. true masks: labels and groups as
they are, and each group gets the true mask of the object that it lies on; groups on none keep theirs.
labels AP: average precision of the motion labels on the tracks.

example:
  python -m samotion.benchmarks.oracles --data DIR -o oracles.json

DIR holds <clip>/frames and <clip>/masks, or DAVIS's own layout.
Exit status: 0 done, 2 an input that cannot be used."""


class Stages:
    """One clip, what the stages up to the labels answered, and its frames encoded for masks once for all rows."""

    def __init__(self, clip: Clip, bundle: Bundle, settings: Settings) -> None:
        self.clip, self.settings, self.quiet = clip, settings, Progress()
        stages = window.Stages(clip, bundle, settings, self.quiet, HOST)
        self.tracks, self.labels, _ = stages.motion()
        self.network = stages.network()

    def split(self, labels: MotionLabels) -> tuple[Tracks, Tracks]:
        """Return the moving and the surely static tracks, as the pipeline does."""
        return self.tracks.select(labels.dynamic), self.tracks.select(labels.probability < STILL)

    def groups(self, moving: Tracks, static: Tracks) -> list[TrackGroup]:
        """Return stage 1's groups; none of no tracks."""
        return find_groups(moving, static, self.network, self.settings) if len(moving.xy) else []

    def masks(
        self, groups: list[TrackGroup], moving: Tracks, static: Tracks, labels: MotionLabels | None = None
    ) -> Bool:
        """Return stage 2's masks (K, T, H, W) before objects are merged; labels: None where no track is in doubt."""
        sure = None if labels is None else sureness(labels, self.settings)
        return segment_objects(groups, moving, static, self.network, self.settings, self.quiet, sure).values

    def final(self, masks: Bool, labels: MotionLabels) -> Bool:
        """Return objects merged, without those that the labels do not support, as the pipeline does."""
        merged = merge_objects(ObjectMasks(masks))
        return supported(merged, self.tracks, labels, self.settings.least_support).values


def main(argv: Sequence[str] | None = None) -> int:
    """Run the oracles and return the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _measure)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    clip_options(parser)
    engine_options(parser)
    return parser


def evaluate(stages: Stages, truth: Bytes, seed: int = 0) -> dict[str, Any]:
    """Return one clip's J by row, how many objects each found, and how good the labels are.

    truth: (T, H, W) ids at the size of the clip's frames. seed: of the clicks drawn from the truth.
    """
    known = true_labels(stages.tracks, truth)
    right = MotionLabels(known.dynamic.astype(np.float32), known.dynamic)
    found = {
        row: stages.final(masks, right if row in ROWS[1:4] else stages.labels)
        for row, masks in _answers(stages, truth, seed).items()
    }
    chosen = stages.labels.dynamic
    return {
        "j": {row: float(_j(masks, truth).mean()) for row, masks in found.items()},
        "objects": {row: len(masks) for row, masks in found.items()},
        "tracks": len(chosen),
        "tracks_moving": int(known.dynamic.sum()),
        "tracks_chosen": int(chosen.sum()),
        "tracks_chosen_rightly": int((chosen & known.dynamic).sum()),
        "labels_ap": average_precision(stages.labels.probability, known.dynamic),
    }


def _answers(stages: Stages, truth: Bytes, seed: int) -> dict[str, Bool]:
    """Return the masks (K, T, H, W) of every row, in the order of ROWS."""
    moving, static = stages.split(stages.labels)
    groups = stages.groups(moving, static)
    as_is = stages.masks(groups, moving, static, stages.labels)

    known = true_labels(stages.tracks, truth)
    labels = MotionLabels(known.dynamic.astype(np.float32), known.dynamic)
    true_moving, true_static = stages.split(labels)
    found = stages.groups(true_moving, true_static)
    exact = true_groups(true_moving, known.owner[known.dynamic], stages.settings)

    points, owner, around = drawn_points(truth, seed)
    clicked = true_groups(points, owner, stages.settings)
    answers = (
        as_is,
        stages.masks(found, true_moving, true_static),
        stages.masks(exact, true_moving, true_static),
        stages.masks(clicked, points, around),
        oracle_masks(groups, moving, truth, as_is),
    )
    return dict(zip(ROWS, answers, strict=True))


def _j(masks: Bool, truth: Bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Return J (T,) of all objects together; pixels that are not scored count for nobody."""
    scored = truth != VOID
    return mask_ious((truth > 0) & scored, masks.any(axis=0) & scored)


def read(labelled: LabelledClip, settings: Settings) -> tuple[Clip, Bytes]:
    """Return a clip and its truth, frame by frame and at the size of its frames; raises InputError."""
    truth = labelled.truth()
    clip = read_clip(labelled.frames, settings)
    if clip.source_count != len(truth):
        raise InputError(f"{labelled.name}: {clip.source_count} frames read but {len(truth)} masks")
    size = clip.size[::-1]
    kept = truth[clip.source_index]
    return clip, np.stack([cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT) for mask in kept])


def _measure(args: argparse.Namespace) -> int:
    clips = find_clips(args.data, args.clips)
    bundle, settings = load(args)
    rows: list[dict[str, Any]] = []
    with bundle:
        record = header(PROGRAM, bundle, settings, args.threads)
        print(f"{'clip':<20}" + "".join(f"{row:>13}" for row in ROWS) + f"{'labels AP':>12}")
        for labelled in clips:
            clip, truth = read(labelled, settings)
            rows.append({"name": labelled.name, **evaluate(Stages(clip, bundle, settings), truth)})
            print(_table_row(labelled.name, rows[-1]["j"], rows[-1]["labels_ap"]), flush=True)
    mean = {row: float(np.mean([one["j"][row] for one in rows])) for row in ROWS}
    known = [one["labels_ap"] for one in rows if one["labels_ap"] is not None]
    precision = float(np.mean(known)) if known else None
    print(_table_row("mean", mean, precision))
    save_report(args.out, {**record, "mean_j": mean, "mean_labels_ap": precision, "clips": rows})
    return 0


def _table_row(name: str, j: dict[str, float], precision: float | None) -> str:
    return f"{name:<20}" + "".join(cell(j[row], 13) for row in ROWS) + cell(precision, 12)


if __name__ == "__main__":
    sys.exit(main())
