"""``python -m samotion.benchmarks.points``: the tracker against hand-marked joints and exact tracks of scenes."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.lucas_kanade import follow_lucas_kanade
from samotion.benchmarks.accuracy.point_metrics import pck, tap_scores
from samotion.benchmarks.command import cell, engine_options, load, parser_of, run_command, save_report
from samotion.benchmarks.datasets.joints import Joints, read_joints
from samotion.benchmarks.datasets.scene_clips import UNSEEN, first_queries
from samotion.benchmarks.report.record import header
from samotion.calibration.recording.activations import clip_of
from samotion.calibration.scenes.scene import SceneSpec, scene
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.ops.visibility import THRESHOLD
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages.tracks import follow
from samotion.runtime.values import Bool, Clip, Float

PROGRAM = "samotion.benchmarks.points"
TRACKERS = ("tracker", "lucas_kanade")
SHARE = 0.2
SPEC = SceneSpec(frames=24, height=256, width=256)
DESCRIPTION = "Check the tracker of a bundle, beside OpenCV's pyramidal Lucas-Kanade, on joints and on scenes."
EPILOG = """\
Joints (with --data): DIR/joints/<clip>.json as BADJA has them, and the clips as <clip>/frames with <clip>/masks in
DIR or one folder deeper. A joint is right within 0.2 · √(area of the animal's mask). "next": followed from every
keyframe to the next, all pairs together; "first": from the keyframe that first shows it to all later ones.
Scenes: TAP-Vid's measures in query-first style, frames of 256×256, seeds that no training saw.

example:
  python -m samotion.benchmarks.points --data DIR -o points.json

Exit status: 0 done, 2 an input that cannot be used."""

# Points (N, 3) as (t, y, x) → xy (N, T, 2) and whether each is visible (N, T).
Follow = Callable[[Clip, Float], tuple[Float, Bool]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check and return its exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _check)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="folder of joints and their clips (default: scenes only)")
    add("--scenes", type=int, default=24, metavar="N", help="scenes to draw (default: 24)")
    add("--points", type=int, default=128, metavar="N", help="points followed in each (default: 128)")
    engine_options(parser)
    return parser


def bundle_tracker(bundle: Bundle, settings: Settings) -> Follow:
    """Return the bundle's tracker; a point is visible where (1 − σ(occlusion)) · (1 − σ(distance)) > 0.5."""

    def run(clip: Clip, queries: Float) -> tuple[Float, Bool]:
        xy, occlusion, distance = map(HOST.down, follow(clip, queries, bundle, settings, Progress(), HOST))
        doubt = np.logaddexp(0, occlusion.astype(np.float64)) + np.logaddexp(0, distance.astype(np.float64))
        return xy, np.exp(-doubt) > THRESHOLD

    return run


def classical_tracker(clip: Clip, queries: Float) -> tuple[Float, Bool]:
    """Follow points by Lucas-Kanade."""
    return follow_lucas_kanade(clip.frames, queries)


def joint_hits(joints: Joints, clip: Clip, tracker: Follow) -> dict[str, Bool]:
    """Return which joints were met: ``next`` from every keyframe at the next, ``first`` from the first at all others.

    Both are flat, one entry a joint and keyframe that shows it. Every start is followed by itself.
    """
    start, joint = np.nonzero(joints.visible[:-1])
    first = joints.visible.argmax(axis=0)[joint] == start
    place = joints.xy[start, joint]
    queries = np.concatenate([joints.keyframes[start, None], place[:, ::-1]], axis=1).astype(np.float32)
    xy, _ = tracker(clip, queries)
    hits: dict[str, list[Bool]] = {"next": [], "first": []}
    for key, frame in enumerate(joints.keyframes):
        shown = joints.visible[key, joint]
        for name, asked in (("next", start == key - 1), ("first", first & (start < key))):
            chosen = asked & shown
            area = np.full(int(chosen.sum()), joints.area[key])
            hits[name].append(pck(xy[chosen, frame], joints.xy[key, joint[chosen]], area, SHARE))
    return {name: np.concatenate(parts) for name, parts in hits.items()}


def on_joints(data: Path, trackers: dict[str, Follow], settings: Settings) -> dict[str, Any]:
    """Return PCK by clip and over all: ``mean`` of the clips, ``pooled`` over all joints."""
    print(f"{'joints':<18}" + "".join(f"{name + ' ' + way:>20}" for name in trackers for way in ("next", "first")))
    rows: list[dict[str, Any]] = []
    pooled: dict[str, dict[str, list[Bool]]] = {name: {"next": [], "first": []} for name in trackers}
    for joints in read_joints(data):
        clip = read_clip(joints.frames, settings)
        if len(clip.frames) != clip.source_count or clip.size != clip.source_size:
            raise InputError(f"{joints.name}: frames were skipped or shrunk; joints need them as they are")
        row: dict[str, Any] = {"name": joints.name, "keyframes": joints.keyframes.tolist()}
        for name, tracker in trackers.items():
            hits = joint_hits(joints, clip, tracker)
            row["joints"] = {way: len(found) for way, found in hits.items()}
            row[name] = {way: _mean(found) for way, found in hits.items()}
            for way, found in hits.items():
                pooled[name][way].append(found)
        rows.append(row)
        _print_row(joints.name, row, trackers)
    mean = {name: {way: _mean([row[name][way] for row in rows]) for way in ("next", "first")} for name in trackers}
    total = {
        name: {way: _mean(np.concatenate(parts)) for way, parts in ways.items()} for name, ways in pooled.items()
    }
    _print_row("mean of clips", mean, trackers)
    _print_row("all joints", total, trackers)
    return {"share_of_root_area": SHARE, "mean": mean, "pooled": total, "clips": rows}


def on_scenes(count: int, points: int, trackers: dict[str, Follow]) -> dict[str, Any]:
    """Return TAP-Vid's measures over ``count`` scenes of unseen seeds, means over scenes and each of them."""
    measures = ("delta", "occlusion", "jaccard")
    found: dict[str, list[dict[str, float | None]]] = {name: [] for name in trackers}
    shown = []
    for seed in range(UNSEEN, UNSEEN + count):
        made = scene(seed, SPEC)
        clip = clip_of(f"scene {seed}", made.frames)
        queries = first_queries(made, points, seed)
        truth, visible, _ = made.tracks(queries)
        start = queries[:, 0].astype(np.int64)
        shown.append(float(visible[np.arange(visible.shape[1]) > start[:, None]].mean()))
        for name, tracker in trackers.items():
            xy, claimed = tracker(clip, queries)
            scores = asdict(tap_scores(start, truth, visible, xy, claimed, clip.size))
            found[name].append({key: _mean([value]) for key, value in scores.items()})
    mean = {name: {key: _mean([row[key] for row in rows]) for key in measures} for name, rows in found.items()}
    print(f"\n{'scenes':<18}{'delta_avg':>12}{'occlusion':>12}{'jaccard':>12}")
    for name, row in mean.items():
        print(f"{name:<18}" + "".join(cell(row[key], 12) for key in measures))
    print(f"{'always visible':<18}{'-':>12}{cell(_mean(shown), 12)}{'-':>12}")
    rows = [{"seed": UNSEEN + k, **{name: found[name][k] for name in trackers}} for k in range(count)]
    return {"spec": asdict(SPEC), "points": points, "mean": mean, "always_visible": _mean(shown), "scenes": rows}


def _check(args: argparse.Namespace) -> int:
    if args.scenes < 0 or args.points < 1:
        raise InputError(f"--scenes is {args.scenes} and --points {args.points}, expected at least 0 and 1")
    if args.data is None and not args.scenes:
        raise InputError("nothing to do: give --data, or --scenes above 0")
    bundle, settings = load(args)
    with bundle:
        trackers = dict(zip(TRACKERS, (bundle_tracker(bundle, settings), classical_tracker), strict=True))
        record = header(PROGRAM, bundle, settings, args.threads)
        if args.data is not None:
            record["joints"] = on_joints(args.data, trackers, settings)
        if args.scenes:
            record["scenes"] = on_scenes(args.scenes, args.points, trackers)
    save_report(args.out, record)
    return 0


def _mean(values: Sequence[float | None] | Bool) -> float | None:
    """Return the mean of what is known, None of nothing."""
    known = [float(value) for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(known)) if known else None


def _print_row(title: str, row: dict[str, Any], trackers: dict[str, Follow]) -> None:
    cells = "".join(cell(row[name][way], 20) for name in trackers for way in ("next", "first"))
    print(f"{title:<18}{cells}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
