"""``python -m samotion.benchmarks.stillness``: what a bundle finds where nothing moves."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from samotion.benchmarks.command import engine_options, load, parser_of, run_command, save_report
from samotion.benchmarks.datasets.still_clips import KINDS, SIZE, still_frames
from samotion.benchmarks.datasets.truth import read_pixels
from samotion.benchmarks.report.record import header
from samotion.calibration.recording.activations import clip_of
from samotion.engines.errors import InputError
from samotion.runtime.pipeline import segment
from samotion.runtime.values import Bytes, ClipResult

PROGRAM = "samotion.benchmarks.stillness"
SUFFIXES = (".jpg", ".jpeg", ".png")
DESCRIPTION = "Run the pipeline on clips made of photographs in which nothing moves, and count what it finds."
EPILOG = """\
DIR holds photographs, searched with all folders below it. Each clip is one of them under a camera that pans, zooms,
rolls, tilts or is held by hand, or one view of it repeated with noise, compression or flickering light. Any object
found is an error. objects: found; area: share of all pixels claimed; tracks: share of the tracks labelled moving.

example:
  python -m samotion.benchmarks.stillness --photos /usr/share/wallpapers -o stillness.json

Exit status: 0 done, 2 an input that cannot be used."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the clips and return the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _measure)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("--photos", type=Path, required=True, metavar="DIR", help="folder with photographs (JPEG or PNG)")
    add("--count", type=int, default=16, metavar="N", help="clips (default: 16, each kind twice)")
    engine_options(parser)
    return parser


def photographs(folder: Path) -> list[Path]:
    """Return the images below ``folder`` in order of their names; raises InputError where there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"{folder}: found no photograph; expected {', '.join(SUFFIXES)} in it or below")
    return found


def read_photograph(path: Path) -> Bytes:
    """Return a photograph (h, w, 3) uint8 RGB, alpha left out; raises InputError where it cannot be read."""
    pixels = read_pixels(path)
    return pixels[..., :3] if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB).astype(np.uint8)


def row_of(kind: str, photograph: str, result: ClipResult) -> dict[str, Any]:
    """Return one clip's entry of the report."""
    masks, dynamic = result.masks.values, result.labels.dynamic
    return {
        "kind": kind,
        "photograph": photograph,
        "objects": len(masks),
        "area": float(masks.any(axis=0).mean()),
        "tracks": float(dynamic.mean()) if len(dynamic) else 0.0,
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how many clips have an object, of how many, and the mean area claimed."""
    return {
        "clips": len(rows),
        "with_objects": sum(row["objects"] > 0 for row in rows),
        "area": float(np.mean([row["area"] for row in rows])),
    }


def table_row(row: Mapping[str, Any]) -> str:
    """Return one clip's line of the table."""
    return f"{row['kind']:<12}{row['objects']:>8}{row['area']:>8.3f}{row['tracks']:>8.3f}  {row['photograph']}"


def _measure(args: argparse.Namespace) -> int:
    if args.count < 1:
        raise InputError(f"--count is {args.count}, expected 1 or more")
    paths = photographs(args.photos)
    bundle, settings = load(args)
    with bundle:
        print(f"{'kind':<12}{'objects':>8}{'area':>8}{'tracks':>8}  photograph", flush=True)
        rows = []
        for number in range(args.count):
            # Evenly over the folder, so that one photograph in many sizes does not fill the set.
            path, kind = paths[number * len(paths) // args.count], KINDS[number % len(KINDS)]
            frames = still_frames(read_photograph(path), kind, number)
            rows.append(row_of(kind, path.name, segment(clip_of(kind, frames), bundle, settings)))
            print(table_row(rows[-1]), flush=True)
        total = summary(rows)
        record = header(PROGRAM, bundle, settings, args.threads) | {"size": SIZE, **total, "rows": rows}
    print(f"{total['with_objects']} of {total['clips']} clips with an object, {total['area']:.3f} of their area")
    save_report(args.out, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
