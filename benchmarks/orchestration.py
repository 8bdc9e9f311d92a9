"""``python -m samotion.benchmarks.orchestration``: the pipeline against the published orchestration, same engines."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.agreement import mean_iou
from samotion.benchmarks.command import parser_of, run_command, save_report
from samotion.benchmarks.published import driver
from samotion.benchmarks.report.noise import paired_ratio
from samotion.benchmarks.report.record import header
from samotion.benchmarks.speed.clips import NONE_LEFT_OUT, made_clip
from samotion.calibration.recording.sequential import OneByOne
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.stages.tracks import query_grid
from samotion.runtime.values import Clip, ClipResult, ObjectMasks

PROGRAM = "samotion.benchmarks.orchestration"
DESCRIPTION = "Time the pipeline against the published orchestration, both on the same engines, clip and settings."
EPILOG = """\
Both sides read the clip and end with masks; neither writes files. They take turns, the first of a pair alternating.
The published side follows every point of the grid in parts of 128 and makes the feature grids again for each part,
and once more the sampled points alone ("same tracks"):
a run over 60 frames takes many minutes on two cores. samotion/benchmarks/published/driver.py lists what it does and
where it differs from the authors' program.

Exit status: 0 done, 2 an input that cannot be used."""
CLIPS = "videos or folders of images (default: one made of 60 frames, 854×480, in which 3 objects are found)"
Found = ClipResult | driver.Published
WHOLE: dict[str, Any] = {"window": None, **NONE_LEFT_OUT}  # the published system knows no windows
# A clip and a grid that take seconds, to see that everything works: 12 frames, two of them query frames.
QUICK = {"step": 6, "grid_pixels": 600}
QUICK_CLIP = {"objects": 2, "frames": 12, "height": 240, "width": 428}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and return its exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _compare)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--clips", nargs="+", type=Path, default=[], metavar="CLIP", help=CLIPS)
    add("--engines", type=Path, metavar="DIR", help="engine bundle (default: the nano bundle inside)")
    add("--provider", default="cpu", metavar="NAME", help="cpu (default) or cuda; never falls back silently")
    add("--threads", type=int, default=0, metavar="N", help="CPU threads of one engine (default: all cores)")
    add("--runs", type=int, default=5, metavar="N", help="pairs of runs a clip (default: 5)")
    add("--max-tracks", type=int, metavar="N", help="most tracks kept, on both sides (default: the bundle's)")
    add("--quick", action="store_true", help="a short clip and a coarse grid: a trial, not a figure to quote")
    return parser


def _compare(args: argparse.Namespace) -> int:
    save_report(args.out, measure(args))
    return 0


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return the record of the whole comparison, printing each pair as it is done."""
    if args.runs < 1:
        raise InputError(f"--runs is {args.runs}, expected at least 1")
    given = {} if args.max_tracks is None else {"max_tracks": args.max_tracks}
    with (
        Bundle.load(args.engines, provider=args.provider, threads=args.threads) as bundle,
        OneByOne.load(args.engines, provider=args.provider, threads=args.threads) as one_by_one,
    ):
        settings = Settings().override(bundle.settings).override(QUICK if args.quick else {}).override(WHOLE | given)
        for graph in bundle.manifest.graphs:
            one_by_one.engine(graph)  # loaded, so that the first pair does not pay for it
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:

            def found(clip: Clip) -> int:
                return len(segment(clip, bundle, settings).masks.values)

            sizes = QUICK_CLIP if args.quick else {}
            paths = args.clips or [made_clip(Path(folder), found, **sizes)]
            clips = [_clip(path, args.runs, (bundle, one_by_one), settings) for path in paths]
        pairs = [pair for clip in clips for pair in clip["pairs"]]
        spent = {"orchestration": round(time.perf_counter() - begun, 1)}
        about = {**header(PROGRAM, bundle, settings, args.threads), "measuring_seconds": spent}
        record = {**about, **_summary(pairs), "clips": clips}
    print(
        f"median of {len(pairs)} pairs: the published orchestration takes {record['ratio']:.1f} times as long "
        f"(95 %: {_interval(record['ratio_interval'])}), {record['same_tracks_ratio']:.1f} times where it follows "
        f"the same tracks alone (95 %: {_interval(record['same_tracks_ratio_interval'])}); mean IoU of the masks "
        f"{record['mean_iou']:.4f}"
    )
    return record


def _clip(path: Path, runs: int, bundles: tuple[Bundle, OneByOne], settings: Settings) -> dict[str, Any]:
    """Return what ``runs`` pairs of runs over one clip gave, after one run that loads and warms the engines."""
    clip = read_clip(path, settings)
    if len(clip.frames) < 2:
        raise InputError(f"{path}: {len(clip.frames)} frame, expected a clip")
    if not len(segment(clip, bundles[0], settings).masks.values):
        raise InputError(f"{path}: nothing moves in it, so there are no masks to compare; name another clip")
    pairs = [_pair(path, run, bundles, settings) for run in range(runs)]
    facts = {
        "name": clip.name,
        "frames": len(clip.frames),
        "height": clip.size[0],
        "width": clip.size[1],
        "points_a_query_frame": len(query_grid(clip.size, settings)[1]),
        **_summary(pairs),
        "pairs": pairs,
    }
    print(f"{clip.name}: ratio {facts['ratio']:.1f}, mean IoU {facts['mean_iou']:.4f}", flush=True)
    return facts


def _pair(path: Path, run: int, bundles: tuple[Bundle, OneByOne], settings: Settings) -> dict[str, Any]:
    """Return one run of each side over the clip at ``path``; even runs begin with samotion."""
    sides: dict[str, Callable[[Clip], Found]] = {
        "samotion": lambda clip: segment(clip, bundles[0], settings),
        "same tracks": lambda clip: driver.segment(clip, bundles[1], settings, sampled=True),
        "published": lambda clip: driver.segment(clip, bundles[1], settings),
    }
    done: dict[str, Any] = {}
    masks: dict[str, ObjectMasks] = {}
    for side in sides if run % 2 == 0 else reversed(sides):
        done[side], masks[side] = _run(path, sides[side], settings)
    ratio = done["ratio"] = done["published"]["seconds"] / done["samotion"]["seconds"]
    fair = done["same_tracks_ratio"] = done["same tracks"]["seconds"] / done["samotion"]["seconds"]
    iou = done["mean_iou"] = mean_iou(masks["samotion"], masks["published"]) or 0.0  # None: none found, though before
    times = ", ".join(f"{side} {done[side]['seconds']:.2f} s" for side in sides)
    print(
        f"{path.stem} {run + 1}: {times}, ratio {ratio:.1f}, with the same tracks {fair:.1f}, mean IoU {iou:.4f}",
        flush=True,
    )
    return done


def _run(path: Path, find: Callable[[Clip], Found], settings: Settings) -> tuple[dict[str, Any], ObjectMasks]:
    """Return what one run from file to masks took, stage by stage, and its masks."""
    begun = time.perf_counter()
    clip = read_clip(path, settings)
    reading = time.perf_counter() - begun
    found = find(clip)
    seconds = time.perf_counter() - begun
    facts = {"seconds": seconds, "stages": {"reading": reading, **found.seconds}, "objects": len(found.masks.values)}
    if isinstance(found, driver.Published):
        facts["encoder_runs"] = found.encoded
    return facts, found.masks


def _summary(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median ratios with their intervals and the mean IoU over ``pairs``."""
    sides = ("published", "same tracks", "samotion")
    whole, same, ours = ([pair[side]["seconds"] for pair in pairs] for side in sides)
    found, fair = paired_ratio(whole, ours), paired_ratio(same, ours)
    several = len(pairs) > 1  # one pair knows nothing of noise
    return {
        "ratio": found.middle,
        "ratio_interval": [found.low, found.high] if several else None,
        "same_tracks_ratio": fair.middle,
        "same_tracks_ratio_interval": [fair.low, fair.high] if several else None,
        "mean_iou": float(np.mean([pair["mean_iou"] for pair in pairs])),
    }


def _interval(ends: list[float] | None) -> str:
    return "unknown from one pair" if ends is None else f"{ends[0]:.1f} to {ends[1]:.1f}"


if __name__ == "__main__":
    sys.exit(main())
