"""``python -m samotion.benchmarks.factors``: the pipeline on unseen scenes, one difficulty at a time."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.evaluation import predicted_ids
from samotion.benchmarks.accuracy.metrics import Scores, object_scores
from samotion.benchmarks.command import cell, engine_options, load, names, parser_of, run_command, save_report
from samotion.benchmarks.datasets.scene_clips import UNSEEN, moving_truth
from samotion.benchmarks.datasets.truth import Truth
from samotion.benchmarks.report.pictures import contact_sheet, save
from samotion.benchmarks.report.record import header
from samotion.calibration.comparison.iou import mask_ious
from samotion.calibration.recording.activations import clip_of
from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.values import Bytes, Clip, ClipResult

PROGRAM = "samotion.benchmarks.factors"
# One or two movers on a ground before scenery, a handheld camera, and nothing that makes it harder.
PLAIN = replace(
    SceneSpec(frames=36, objects=(1, 2), scenery=(1, 3), camera=0.7, moving=1.0).plain(),
    ground=1.0,
    nothing_moves=0.0,
    still_camera=0.0,
    follow=0.0,
    look_alike=0.0,
    stops=0.0,
    in_place=0.0,
)
ONLY_FIRST = 1e-9  # no object moves by chance, and where none does the first one is made to
FACTORS: dict[str, dict[str, Any]] = {
    "plain": {},
    "camouflage": {"camouflage": 1.0},
    "motion blur": {"blur": 1.0},
    "transparency": {"transparent": 1.0},
    "reflections": {"reflection": 1.0},
    "shadows": {"shadow": 1.0},
    "changing light": {"light": 1.0},
    "noise and compression": {"noise": 1.0, "jpeg": 1.0},
    "still camera": {"camera": 0.0},
    "strong camera motion": {"camera": 2.5},
    "occlusion by a post": {"occluder": 1.0},
    "look-alike stands still": {"objects": (2, 2), "look_alike": 1.0, "moving": ONLY_FIRST},
    "stops": {"halts": 1.0},
    "enters late": {"enters": 1.0},
    "two cross": {"objects": (2, 2), "crosses": 1.0},
    "nothing moves": {"objects": (1, 4), "nothing_moves": 1.0},
    "nothing moves, strong camera motion": {"objects": (1, 4), "nothing_moves": 1.0, "camera": 2.5},
    "nothing there but scenery": {"objects": (0, 0), "nothing_moves": 1.0, "scenery": (2, 3)},
}
DESCRIPTION = "Run the pipeline on scenes that no training saw, with one factor at a time turned on."
EPILOG = """\
J: everything found against everything that moves, mean over frames, then scenes; ± is that mean's standard error.
thirds: J in the first, middle and last third of the clips. obj J: object by object. still: share of the standing
objects' pixels that were claimed. alarms: of the scenes that show no mover, the share in which something was found.
Every factor uses the same seeds, so that scenes differ in the factor and in what follows from it.

example:
  python -m samotion.benchmarks.factors -o factors.json

Exit status: 0 done, 2 an input that cannot be used."""

Run = Callable[[Clip], ClipResult]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenes and return the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _measure)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--factors", type=names, default=(), metavar="A,B", help="only these (default: all)")
    add("--seeds", type=int, default=8, metavar="N", help="scenes of each factor (default: 8)")
    add("--frames", type=int, default=PLAIN.frames, metavar="N", help=f"of each scene (default: {PLAIN.frames})")
    engine_options(parser)
    add("--pictures", type=Path, metavar="DIR", help="write a picture of each factor's worst scene there")
    return parser


def spec_of(name: str, frames: int) -> SceneSpec:
    """Return the scenes of one factor; raises SettingsError for no frames."""
    return replace(PLAIN, frames=frames, **FACTORS[name])


def score_scene(made: Scene, result: ClipResult) -> tuple[dict[str, Any], Bytes, Scores]:
    """Return one scene's measures, and what they were taken from: ids found (T, H, W) and J (T,).

    j, thirds: of all objects together. objects_j: of each matched mover. still: share of the standing objects'
    pixels claimed, None without any. found, movers: counts. claimed: share of all pixels.
    """
    truth = moving_truth(made)
    prediction = predicted_ids(result, truth)
    j = mask_ious(truth > 0, prediction > 0)
    standing = (made.instance > 0) & (truth == 0)
    record = {
        "j": float(j.mean()),
        "thirds": [float(part.mean()) for part in np.array_split(j, 3)],
        "objects_j": object_scores(truth, prediction).j.mean(axis=1).tolist() if truth.any() else [],
        "still": float((prediction[standing] > 0).mean()) if standing.any() else None,
        "found": len(result.masks.values),
        "movers": len(np.unique(truth)) - 1,
        "claimed": float((prediction > 0).mean()),
    }
    return record, prediction, j


def run_factor(name: str, spec: SceneSpec, seeds: Sequence[int], run: Run) -> tuple[dict[str, Any], Bytes]:
    """Return one factor's measures over ``seeds`` and a picture of its worst scene."""
    rows, worst, picture = [], np.inf, np.zeros((1, 1, 3), np.uint8)
    for seed in seeds:
        made = scene(seed, spec)
        result = run(clip_of(f"{name}, seed {seed}", made.frames))
        row, prediction, j = score_scene(made, result)
        rows.append({"seed": seed, **row})
        if row["j"] < worst:
            worst, picture = row["j"], contact_sheet(result.clip, Truth(moving_truth(made)), prediction, j)
    return {"factor": name, **summary(rows), "scenes": rows}, picture


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over scenes, in the order of the table; None where nothing counts."""
    j = np.array([row["j"] for row in rows])
    quiet = [row["found"] > 0 for row in rows if not row["movers"]]
    return {
        "j": float(j.mean()),
        "j_error": float(j.std(ddof=1) / np.sqrt(len(j))) if len(j) > 1 else None,
        "thirds": np.mean([row["thirds"] for row in rows], axis=0).tolist(),
        "objects_j": _mean([value for row in rows for value in row["objects_j"]]),
        "still": _mean([row["still"] for row in rows if row["still"] is not None]),
        "alarms": _mean(quiet),
        "found": float(np.mean([row["found"] for row in rows])),
        "movers": float(np.mean([row["movers"] for row in rows])),
    }


def table_row(record: Mapping[str, Any]) -> str:
    """Return one factor's line of the table."""
    thirds = "  ".join(f"{value:.2f}" for value in record["thirds"])
    return (
        f"{record['factor']:<36}{cell(record['j'])}{cell(record['j_error'])}{thirds:>19}{cell(record['objects_j'])}"
        f"{cell(record['still'])}{cell(record['alarms'])}{cell(record['found'], 8, 1)}{cell(record['movers'], 8, 1)}"
    )


def _measure(args: argparse.Namespace) -> int:
    if unknown := [name for name in args.factors if name not in FACTORS]:
        raise InputError(f"--factors: no {unknown[0]!r}; there are {', '.join(FACTORS)}")
    if args.seeds < 1 or args.frames < 3:
        raise InputError(f"--seeds is {args.seeds} and --frames {args.frames}, expected at least 1 and 3")
    seeds = range(UNSEEN, UNSEEN + args.seeds)
    bundle, settings = load(args)
    with bundle:
        record = header(PROGRAM, bundle, settings, args.threads)
        record |= {"plain": asdict(spec_of("plain", args.frames)), "factors": []}
        heads = ("J", "±", "thirds", "obj J", "still", "alarms", "found", "movers")
        print(f"{'factor':<36}" + "".join(f"{head:>{19 if head == 'thirds' else 8}}" for head in heads))
        for name in args.factors or FACTORS:
            found, picture = run_factor(
                name, spec_of(name, args.frames), seeds, lambda clip: segment(clip, bundle, settings)
            )
            record["factors"].append(found)
            print(table_row(found), flush=True)
            if args.pictures is not None:
                save(args.pictures / f"{name.replace(',', '').replace(' ', '-')}.png", picture)
    save_report(args.out, record)
    return 0


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None


if __name__ == "__main__":
    sys.exit(main())
