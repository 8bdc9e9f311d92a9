"""``samotion-run``: the command line of the runtime. Heavy imports wait until there is work."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from samotion.engines.errors import SamotionError
from samotion.engines.packages import require_packages
from samotion.engines.program import interrupt_as_usual, leave_when_interrupted, run_program
from samotion.runtime.console import PROGRAM, fail
from samotion.runtime.options import build_parser
from samotion.runtime.output.formats.catalogue import chosen_formats
from samotion.runtime.settings import Settings

DEMO = Path(__file__).with_name("demo.mp4")
SETTINGS = ("seed", "step", "max_frames", "max_side", "max_pixels", "max_tracks", "window", "overlap", "best_three")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 2 a user's error, 70 a bug, 130 interrupted."""
    parser = build_parser()
    args = parser.parse_args(argv)
    inputs: list[str] = [*args.inputs, *([str(DEMO)] if args.demo else [])]
    if not inputs and not args.list:
        parser.error("no INPUT given; name a video, or try --demo")
    try:
        return _run(inputs, args)
    except SamotionError as error:
        return fail(error)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return 130


def entry() -> None:
    """Run as a program: a polite kill cleans up as an interrupt does."""
    leave_when_interrupted()
    run_program(main, PROGRAM)


def _run(inputs: list[str], args: argparse.Namespace) -> int:
    given = {name: getattr(args, name) for name in SETTINGS if getattr(args, name) is not None}
    Settings().override(given)  # a setting out of range is reported before anything loads
    require_packages()
    chosen_formats(args.format, args.dilate)
    from samotion.engines.hub import bundle_folder
    from samotion.runtime.batch.inputs import Shard
    from samotion.runtime.batch.job_list import Plan, run_job
    from samotion.runtime.batch.worker import Request

    interrupt_as_usual()
    request = Request(
        engines=bundle_folder(args.engines),
        provider=args.provider,
        threads=args.threads,
        published=args.published,
        settings=given,
        out=args.out,
        fps=args.fps,
        memory=args.memory,
        formats=args.format,
        dilate=args.dilate,
        report=args.report,
        overlay=not args.no_overlay,
        audio=not args.no_audio,
        hashed=args.hash,
        quiet=args.quiet,
    )
    shard = Shard(*args.shard) if args.shard else None
    return run_job(
        inputs, request, Plan(args.list, args.keep_tree, args.resume, shard, args.ray, args.time_limit, args.split)
    )


if __name__ == "__main__":
    entry()
