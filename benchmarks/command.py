"""What the commands share: options, errors and reports, and the evaluation of a data set's clips."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samotion.benchmarks.accuracy.evaluation import ClipReport, Further, evaluate, means
from samotion.benchmarks.datasets.truth import Labelled
from samotion.benchmarks.report.pictures import write_sheets
from samotion.benchmarks.report.record import check_writable, header, write
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError, SamotionError
from samotion.engines.manifest import EMBEDDED
from samotion.runtime.pipeline import segment
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import ClipResult

HEADER = f"{'clip':<20}{'frames':>7}" + "".join(f"{name:>8}" for name in ("J", "F", "obj J", "obj F"))
HEADER += "".join(f"{name:>9}" for name in ("objects", "s/frame", "peak MB"))


@dataclass(frozen=True)
class Evaluation:
    """One data set's evaluation.

    program: the module's name. protocol: in words, for the report. published: what the published weights reach
    there. further: measures of each clip besides J and F; overall: entries of the report made of them; overall_row:
    their line under the table.
    """

    program: str
    protocol: str
    published: Mapping[str, float] = field(default_factory=dict)
    further: Further | None = None
    overall: Callable[[Sequence[ClipReport]], dict[str, Any]] = lambda _: {}
    overall_row: Callable[[dict[str, Any]], str] | None = None


def run_command(program: str, args: argparse.Namespace, work: Callable[[argparse.Namespace], int]) -> int:
    """Return the exit status of ``work``, or 2 after one line on standard error for what the user can fix."""
    try:
        if args.out is not None:
            check_writable(args.out)  # known before hours of work
        return work(args)
    except SamotionError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        return 2


def save_report(out: Path | None, record: dict[str, Any]) -> None:
    """Write a command's report where --out says, if it says so; raises OutputError."""
    if out is not None:
        write(out, record)


def parser_of(program: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return the parser of a command, with the option that every one has."""
    parser = argparse.ArgumentParser(
        program, description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="write the report there as JSON")
    return parser


def clip_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose labelled clips."""
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of clips")
    parser.add_argument("--clips", type=names, default=(), metavar="A,B", help="only these clips (default: all)")


def pair_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what holds one bundle to another."""
    parser.add_argument("--engines", type=Path, required=True, metavar="A", help="bundle under test")
    shipped = "its reference (default: the shipped nano)"
    parser.add_argument("--against", type=Path, default=EMBEDDED, metavar="B", help=shipped)


def evaluation_parser(program: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every evaluation of a data set has."""
    parser = parser_of(f"python -m {program}", description, epilog)
    clip_options(parser)
    engine_options(parser)
    add = parser.add_argument
    add("--pictures", type=Path, metavar="DIR", help="write pictures of the best and worst clips there")
    add("--count", type=int, default=3, metavar="N", help="pictures of the best and of the worst (default: 3)")
    return parser


def engine_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose bundle, provider and seed."""
    add = parser.add_argument
    add("--engines", type=Path, metavar="B", help="engine bundle (default: the nano bundle inside)")
    add("--provider", default="cpu", metavar="NAME", help="cpu (default) or cuda; never falls back silently")
    add("--threads", type=int, default=0, metavar="N", help="CPU threads of one engine (default: all cores)")
    add("--seed", type=int, metavar="N", help="which points are followed (default: 0)")


def load(args: argparse.Namespace) -> tuple[Bundle, Settings]:
    """Return the bundle and the settings that engine_options' arguments ask for."""
    if args.threads < 0:
        raise InputError(f"--threads is {args.threads}, expected 0 or more")
    bundle = Bundle.load(args.engines, provider=args.provider, threads=args.threads)
    given = {} if args.seed is None else {"seed": args.seed}
    return bundle, Settings().override(bundle.settings).override(given)


def score(evaluation: Evaluation, clips: Sequence[Labelled], args: argparse.Namespace) -> int:
    """Evaluate ``clips`` as the arguments ask, print the table and write what was asked for.

    Returns the exit status: 0 done, 2 where a clip failed. Raises SamotionError for anything the user got wrong.
    """
    if args.count < 1:
        raise InputError(f"--count is {args.count}, expected 1 or more")
    bundle, settings = load(args)
    with bundle:

        def run(clip: Labelled) -> ClipResult:
            read = dataclasses.replace(read_clip(clip.frames, settings), name=clip.name)
            return segment(read, bundle, settings)

        print(HEADER, flush=True)
        reports = evaluate(
            clips,
            run,
            lambda report: print(table_row(report), flush=True),
            evaluation.further,
            args.pictures is not None,
        )
        record = _record(evaluation, reports, header(evaluation.program, bundle, settings, args.threads))
    print(mean_row(record))
    if evaluation.overall_row:
        print(evaluation.overall_row(record))
    if evaluation.published:
        print(published_row(evaluation.published))
    save_report(args.out, record)
    if args.pictures is not None:
        sheets = [(r.name, float(r.j.mean()), r.sheet) for r in reports if r.j is not None and r.sheet is not None]
        for path in write_sheets(args.pictures, sheets, args.count):
            print(path)
    for report in reports:
        if report.error:
            print(f"{evaluation.program}: error: {report.name}: {report.error}", file=sys.stderr)
    return 2 if record["failed"] else 0


def _record(evaluation: Evaluation, reports: Sequence[ClipReport], head: dict[str, Any]) -> dict[str, Any]:
    return {
        **head,
        "protocol": evaluation.protocol,
        **means(reports),
        **evaluation.overall(reports),
        "published": dict(evaluation.published),
        "clips": [report.record() for report in reports],
        "failed": [report.name for report in reports if report.error],
    }


def table_row(report: ClipReport) -> str:
    """Return one clip's line of the table."""
    if report.j is None or report.f is None or report.matched is None:
        return f"{report.name:<20}  failed: {report.error}"
    objects = report.matched
    return (
        f"{report.name:<20}{report.frames:>7}{report.j.mean():>8.3f}{report.f.mean():>8.3f}"
        f"{cell(objects.j.mean() if objects.j.size else None)}{cell(objects.f.mean() if objects.f.size else None)}"
        f"{report.objects:>9}{report.wall / report.frames:>9.3f}{report.peak_memory / 1e6:>9.0f}"
    )


def mean_row(summary: Mapping[str, Any]) -> str:
    """Return the last line of the table; seconds are those of all frames, objects are weighed alike."""
    mean, objects = summary["mean"], summary["objects_mean"]
    seconds, memory = summary["seconds_per_frame"], summary["peak_memory_bytes"]
    return (
        f"{'mean':<20}{'':>7}{cell(mean['j'])}{cell(mean['f'])}{cell(objects['j'])}{cell(objects['f'])}"
        f"{'':>9}{cell(seconds, 9)}{cell(memory and memory / 1e6, 9, 0)}"
    )


def published_row(published: Mapping[str, float]) -> str:
    """Return the line that says what the paper reports for the published weights."""
    cells = "".join(cell(published.get(name)) for name in ("j", "f", "objects_j", "objects_f"))
    return f"{'the paper':<20}{'':>7}{cells}"


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(name for name in text.split(",") if name)


def cell(value: float | None, width: int = 8, places: int = 3) -> str:
    """Return a right-aligned number, or a dash where there is none."""
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{places}f}"
