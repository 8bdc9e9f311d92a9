"""``python -m samotion.benchmarks.davis``: the official DAVIS measures of a bundle on a folder of clips."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samotion.benchmarks.datasets import LabelledClip, find_clips
from samotion.benchmarks.environment import environment
from samotion.benchmarks.evaluation import ClipReport, evaluate, means
from samotion.engines.bundle import Bundle
from samotion.engines.errors import OutputError, SamotionError
from samotion.runtime.clip import read_clip
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.values import Result
from samotion.runtime.version import version

PROGRAM = "samotion.benchmarks.davis"
PROTOCOL = "DAVIS-2017 unsupervised: all frames, first and last included; objects matched by mean (J+F)/2"
HEADER = f"{'clip':<20}{'frames':>7}" + "".join(f"{name:>8}" for name in ("J", "F", "obj J", "obj F"))
HEADER += "".join(f"{name:>9}" for name in ("objects", "s/frame", "peak MB"))
DESCRIPTION = "Run the pipeline over clips with true masks and print the official DAVIS measures."
EPILOG = """\
DIR holds <clip>/frames and <clip>/masks, or JPEGImages/480p/<clip> and Annotations/480p/<clip>.
J and F: everything that moves against everything true. obj J and obj F: object by object, matched one to one.
Every frame counts. Exit status: 0 done, 2 an input that cannot be used or a clip that failed."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0 done, 2 a user's error or a clip that failed."""
    args = build_parser().parse_args(argv)
    try:
        return _benchmark(args)
    except SamotionError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        f"python -m {PROGRAM}",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="DIR", help="folder of clips")
    add("--clips", type=_names, default=(), metavar="A,B", help="only these clips (default: all)")
    add("--subset", metavar="NAME", help="only the clips that DIR/ImageSets/NAME.txt lists, such as 2016/val")
    add("--engines", type=Path, metavar="B", help="engine bundle (default: the nano bundle inside)")
    add("--provider", default="cpu", metavar="NAME", help="cpu (default) or cuda; never falls back silently")
    add("--seed", type=int, metavar="N", help="which points are followed (default: 0)")
    add("-o", "--out", type=Path, metavar="FILE", help="write the report there as JSON")
    return parser


def table_row(report: ClipReport) -> str:
    """Return one clip's line of the table."""
    if report.j is None or report.f is None or report.matched is None:
        return f"{report.name:<20}  failed: {report.error}"
    objects = report.matched
    return (
        f"{report.name:<20}{report.frames:>7}{report.j.mean():>8.3f}{report.f.mean():>8.3f}"
        f"{_cell(objects.j.mean() if objects.j.size else None)}{_cell(objects.f.mean() if objects.f.size else None)}"
        f"{report.objects:>9}{report.wall / report.frames:>9.3f}{report.peak_memory / 1e6:>9.0f}"
    )


def mean_row(summary: dict[str, Any]) -> str:
    """Return the last line of the table; seconds are those of all frames, objects are weighed alike."""
    mean, objects = summary["mean"], summary["objects_mean"]
    seconds, memory = summary["seconds_per_frame"], summary["peak_memory_bytes"]
    return (
        f"{'mean':<20}{'':>7}{_cell(mean['j'])}{_cell(mean['f'])}{_cell(objects['j'])}{_cell(objects['f'])}"
        f"{'':>9}{_cell(seconds, 9)}{_cell(memory and memory / 1e6, 9, 0)}"
    )


def _benchmark(args: argparse.Namespace) -> int:
    clips = find_clips(args.data, args.clips, args.subset)
    if args.out is not None and not args.out.resolve().parent.is_dir():
        raise OutputError(f"{args.out}: its folder does not exist")  # known before hours of work
    given = {} if args.seed is None else {"seed": args.seed}
    with Bundle.load(args.engines, provider=args.provider) as bundle:
        settings = Settings().override(bundle.settings).override(given)

        def run(clip: LabelledClip) -> Result:
            read = dataclasses.replace(read_clip(clip.frames, settings), name=clip.name)
            return segment(read, bundle, settings)

        print(HEADER, flush=True)
        reports = evaluate(clips, run, lambda report: print(table_row(report), flush=True))
        summary = means(reports)
        print(mean_row(summary))
        record = {
            "program": PROGRAM,
            "version": version(),
            "protocol": PROTOCOL,
            **summary,
            "clips": [report.record() for report in reports],
            "failed": [report.name for report in reports if report.error],
            "bundle": {"name": bundle.name, "digest": bundle.digest, "provider": args.provider},
            "settings": dataclasses.asdict(settings),
            "environment": environment(),
        }
    if args.out is not None:
        _write(args.out, record)
    for report in reports:
        if report.error:
            print(f"{PROGRAM}: error: {report.name}: {report.error}", file=sys.stderr)
    return 2 if record["failed"] else 0


def _write(path: Path, record: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _cell(value: float | None, width: int = 8, places: int = 3) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{places}f}"


if __name__ == "__main__":
    sys.exit(main())
