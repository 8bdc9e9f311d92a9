"""``python -m samotion.benchmarks.robustness``: what a bundle loses on clips that differ in looks only."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.evaluation import predicted_ids
from samotion.benchmarks.command import cell, clip_options, engine_options, load, parser_of, run_command, save_report
from samotion.benchmarks.datasets.altered import CHANGES
from samotion.benchmarks.datasets.layouts import LabelledClip, find_clips
from samotion.benchmarks.datasets.truth import VOID
from samotion.benchmarks.report.record import header
from samotion.calibration.comparison.iou import mask_ious
from samotion.calibration.recording.activations import clip_of
from samotion.engines.bundle import Bundle
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bytes

PROGRAM = "samotion.benchmarks.robustness"
DESCRIPTION = "Run the pipeline on clips as they are, reversed, shrunk, thinned, compressed, recoloured, after black."
EPILOG = """\
DIR: as for samotion.benchmarks.davis. J: everything found against everything true, mean over frames. loss: J of the
clip as it is minus J of the changed one; frames put before a clip are not scored.

example:
  python -m samotion.benchmarks.robustness --data DAVIS --clips parkour -o robustness.json

Exit status: 0 done, 2 an input that cannot be used."""
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the clips and return the exit status: 0 done, 2 a user's error."""
    return run_command(PROGRAM, build_parser().parse_args(argv), _measure)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = parser_of(f"python -m {PROGRAM}", DESCRIPTION, EPILOG)
    clip_options(parser)
    engine_options(parser)
    return parser


def similarity(frames: Bytes, labels: Bytes, bundle: Bundle, settings: Settings) -> float:
    """Return the mean J of what is found in frames (T, H, W, 3) against ids (S, h, w) of the last S of them."""
    result = segment(clip_of("altered", frames), bundle, settings)
    scored = np.arange(len(frames) - len(labels), len(frames), dtype=np.int64)
    found = predicted_ids(result, labels, scored)
    sure = labels != VOID
    return float(mask_ious((labels > 0) & sure, (found > 0) & sure).mean())


def clip_row(clip: LabelledClip, bundle: Bundle, settings: Settings) -> list[float]:
    """Return a clip's J under each of CHANGES; raises InputError for a clip that cannot be read."""
    labels, frames = clip.truth(), read_clip(clip.frames, settings).frames
    return [similarity(*change(frames, labels), bundle, settings) for change in CHANGES.values()]


def _line(name: str, values: Sequence[float]) -> str:
    return f"{name:<20}" + "".join(cell(value, 14) for value in values)


def _measure(args: argparse.Namespace) -> int:
    clips = find_clips(args.data, args.clips)
    bundle, settings = load(args)
    with bundle:
        print(f"{'J':<20}" + "".join(f"{name:>14}" for name in CHANGES), flush=True)
        rows = []
        for clip in clips:
            rows.append(clip_row(clip, bundle, settings))
            print(_line(clip.name, rows[-1]), flush=True)
        record = header(PROGRAM, bundle, settings, args.threads)
    j: Matrix = np.array(rows)
    mean, loss = j.mean(axis=0), (j[:, :1] - j).mean(axis=0)
    print(_line("mean", mean.tolist()))
    print(_line("loss", loss.tolist()))
    by_clip = {clip.name: dict(zip(CHANGES, row, strict=True)) for clip, row in zip(clips, rows, strict=True)}
    record |= {"mean": dict(zip(CHANGES, mean.tolist(), strict=True))}
    save_report(args.out, record | {"loss": dict(zip(CHANGES, loss.tolist(), strict=True)), "clips": by_clip})
    return 0


if __name__ == "__main__":
    sys.exit(main())
