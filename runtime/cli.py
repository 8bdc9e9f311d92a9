"""``samotion-run``: the command line of the runtime. Heavy imports wait until there is work."""

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samotion.engines.errors import SamotionError
from samotion.engines.packages import require_packages
from samotion.engines.program import one_line, run_program, tell
from samotion.engines.termination import interrupt_as_usual, leave_when_interrupted
from samotion.runtime.options import PROGRAM, build_parser
from samotion.runtime.output.formats.catalogue import chosen_formats
from samotion.runtime.settings import Settings

if TYPE_CHECKING:
    from samotion.engines.bundle import Bundle

DEMO = Path(__file__).with_name("demo.mp4")
BUG = 70  # EX_SOFTWARE of sysexits.h
SETTINGS = ("seed", "step", "max_frames", "max_side", "max_pixels", "max_tracks", "window", "overlap", "best_three")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 2 a user's error, 70 a bug, 130 interrupted."""
    parser = build_parser()
    args = parser.parse_args(argv)
    inputs: list[str] = [*args.inputs, *([str(DEMO)] if args.demo else [])]
    if not inputs:
        parser.error("no INPUT given; name a video, or try --demo")
    warnings = _Warnings()
    logger = logging.getLogger("samotion")
    logger.addHandler(warnings)
    try:
        return _run_all(inputs, args, warnings)
    except SamotionError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    finally:
        logger.removeHandler(warnings)


def entry() -> None:
    """Run as a program: a polite kill cleans up as an interrupt does."""
    leave_when_interrupted()
    run_program(main, PROGRAM)


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return the names with -2, -3, … added where one was taken; case makes no difference."""
    taken: set[str] = set()
    chosen = []
    for name in names:
        unique, number = name, 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.casefold())
        chosen.append(unique)
    return chosen


def _run_all(inputs: list[str], args: argparse.Namespace, warnings: "_Warnings") -> int:
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    Settings().override(given)  # a setting out of range is reported before anything loads
    require_packages()
    chosen_formats(args.format)
    from samotion.engines.bundle import Bundle
    from samotion.runtime.job import Job, process  # noqa: F401 - all that is heavy, before Ctrl-C unwinds
    from samotion.runtime.sources.open import clip_name

    interrupt_as_usual()
    status = 0
    plain = [clip_name(path) for path in inputs]
    with Bundle.load(args.engines, provider=args.provider, threads=args.threads) as bundle:
        settings = Settings.published() if args.published else Settings().override(bundle.settings)
        settings = settings.override(given)
        if (precision := bundle.manifest.precision) != "float32":
            _note(f"{bundle.name} {bundle.digest} is {precision}")
        for path, wanted, name in zip(inputs, plain, distinct_names(plain), strict=True):
            if name != wanted:
                _note(f"{path} is written as {name}: {wanted} is taken")
            warnings.lines.clear()
            try:
                line = _run_one(path, name, bundle, settings, args, warnings)
                status = max(status, tell(line, PROGRAM))
            except SamotionError as error:
                status = max(status, _fail(error))
            except Exception:  # a bug: shown in full, and the other inputs still get their turn
                status = BUG
                traceback.print_exc()
    return status


def _run_one(
    path: str, name: str, bundle: "Bundle", settings: Settings, args: argparse.Namespace, warnings: "_Warnings"
) -> str:
    """Process one input and return the line that says what was found and where it is."""
    from samotion.runtime.job import Job, process
    from samotion.runtime.progress import progress_on
    from samotion.runtime.sources.open import open_source

    source = open_source(path, settings, args.fps)
    source.name = name
    if args.no_audio:
        source.playback.audio = None

    def about() -> dict[str, Any]:
        return {
            "bundle": {
                "name": bundle.name,
                "digest": bundle.digest,
                "precision": bundle.manifest.precision,
                "provider": args.provider,
            },
            "input": {"path": source.label},
            "warnings": list(warnings.lines),
        }

    progress = progress_on(sys.stderr, one_line(name), args.quiet)
    job = Job(
        bundle,
        settings,
        args.out,
        not args.no_overlay,
        args.memory,
        progress,
        _note,
        about,
        formats=args.format,
        dilate=args.dilate,
    )
    return process(source, job)


class _Warnings(logging.Handler):
    """Shows the package's warnings as lines of the program and keeps them for the record."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        print(f"{PROGRAM}: warning: {one_line(record.getMessage())}", file=sys.stderr)


def _note(text: str) -> None:
    print(f"{PROGRAM}: note: {one_line(text)}", file=sys.stderr, flush=True)


def _fail(error: SamotionError) -> int:
    print(f"{PROGRAM}: error: {one_line(' '.join(str(error).split()))}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    entry()
