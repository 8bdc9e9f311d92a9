"""``samotion-run``: the command line of the runtime. Heavy imports wait until there is work."""

import argparse
import logging
import re
import sys
import traceback
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samotion.engines.errors import SamotionError
from samotion.engines.packages import require_packages
from samotion.engines.termination import unwind_when_terminated
from samotion.runtime.settings import Settings
from samotion.runtime.version import version

if TYPE_CHECKING:
    from samotion.engines.bundle import Bundle

PROGRAM = "samotion-run"
DEMO = Path(__file__).with_name("demo.mp4")
BUG = 70  # EX_SOFTWARE of sysexits.h
SETTINGS = ("seed", "step", "max_frames", "max_side", "max_pixels", "max_tracks", "window", "overlap", "best_three")

DESCRIPTION = """\
Find everything that moves by itself in a video and follow it, each object with its own id.

INPUT is a video file of any length, a folder of images (in natural order), a printf pattern, or a live source:
camera:0, an address (rtsp:// rtmp:// udp:// srt:// tcp:// http:// https://), or - for a video piped in.
Ctrl-C ends a live source and keeps its result. Of a camera or stream that is faster than computing every second
waiting frame is dropped, and from then on fewer are kept; how many is told and recorded."""

EPILOG = """\
examples:
  samotion-run --demo                            try it on the clip that comes with the package
  samotion-run dog.mp4 -o results                writes results/dog
  samotion-run a.mp4 b.mov frames/ -o results    several at once; one that fails does not stop the others
  samotion-run 'shots/%05d.png' --fps 30         numbered images; quote the pattern
  samotion-run long.mp4 --max-frames 100         every n-th frame, at most 100
  samotion-run hour.mp4 --memory 2G              a window as long as fits in 2 GiB
  samotion-run rtsp://cam.local/1 --window 48    masks about two seconds behind, and computing
  ffmpeg -i x.mkv -c copy -f matroska - | samotion-run -
  samotion-run dog.mp4 --engines large --provider cuda

Each input gets OUT/<name>/ with
  masks/00000.png   one per frame read, in the source's size: 0 is background, then object ids
  overlay.mp4       the frames with masks, outlines and ids
  tracks.npz        the point tracks and how probably each moves by itself, window by window
  result.json       objects, frames, boxes, areas, settings, times

Exit status: 0 done (also when nothing moves), 2 an input or option that cannot be used, 70 a bug,
130 interrupted."""


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
    unwind_when_terminated()
    sys.exit(main())


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``samotion-run``."""
    parser = argparse.ArgumentParser(
        PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="video file, image folder, pattern or live source")
    add("-o", "--out", type=Path, default=Path("out"), metavar="OUT", help="where results go (default: out)")
    add("--demo", action="store_true", help="run on the clip that comes with the package")
    add("--engines", type=Path, metavar="DIR", help="engine bundle (default: the nano bundle inside)")
    add(
        "--provider",
        default="cpu",
        metavar="NAME",
        help="cpu (default), cuda, tensorrt or tensorrt-rtx; never falls back silently",
    )
    add("--threads", type=_count, default=0, metavar="N", help="CPU threads of one engine (default: all cores)")
    add("--seed", type=int, metavar="N", help="which points are followed; same seed, same masks (default: 0)")
    add("--step", type=int, metavar="N", help="frames between query frames; more is faster, less is finer")
    add("--max-tracks", type=int, metavar="N", help="most points followed at once; less is faster")
    add("--max-frames", type=int, metavar="N", help="read every n-th frame, so that at most N are read")
    add("--max-side", type=int, metavar="PX", help="shrink frames so that the longest side is at most PX")
    add("--max-pixels", type=int, metavar="N", help="refuse frames declared larger (default: 128000000)")
    add("--window", type=_count, metavar="N", help="frames worked on at a time (default: 120; 0: all at once)")
    add("--overlap", type=_count, metavar="N", help="frames that two windows share (default: 8)")
    add("--memory", type=_memory, metavar="SIZE", help="such as 2G: shorten the window so that it fits, and say so")
    add("--fps", type=_rate, default=Fraction(24), help="frames a second of image inputs (default: 24)")
    published = "choose as the published system: its prompts, --best-three, 100 frames"
    add("--published", action="store_true", help=published)
    add("--parity", dest="published", action="store_true", help=argparse.SUPPRESS)  # the earlier name
    add("--best-three", action="store_const", const=True, help="take the three likeliest points if none passes")
    add("--no-overlay", action="store_true", help="do not write overlay.mp4")
    add("--no-audio", action="store_true", help="do not copy the source's sound into overlay.mp4")
    add("--quiet", action="store_true", help="no progress; warnings and errors stay")
    add("--version", action="version", version=f"{PROGRAM} {version()}")
    return parser


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return the names with -2, -3, … added where one was taken, also but for its case."""
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
    Settings().override(given)  # a setting out of range is told before anything loads
    require_packages()
    from samotion.engines.bundle import Bundle
    from samotion.runtime.sources.open import clip_name

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
                print(_run_one(path, name, bundle, settings, args, warnings), flush=True)
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

    progress = progress_on(sys.stderr, name, args.quiet)
    return process(source, Job(bundle, settings, args.out, not args.no_overlay, args.memory, progress, _note, about))


class _Warnings(logging.Handler):
    """Shows the package's warnings as lines of the program and keeps them for the record."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        print(f"{PROGRAM}: warning: {record.getMessage()}", file=sys.stderr)


def _note(text: str) -> None:
    print(f"{PROGRAM}: note: {text}", file=sys.stderr, flush=True)


def _fail(error: SamotionError) -> int:
    print(f"{PROGRAM}: error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def _rate(text: str) -> Fraction:
    """Read frames a second such as 25, 29.97 or 30000/1001."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no frame rate; expected more than 0, at most 1000")
    return rate


def _count(text: str) -> int:
    """Read a whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected 0 or more")
    return int(text)


def _memory(text: str) -> int:
    """Read an amount of memory such as 512M or 1.5G, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:iB|B)?", text, re.IGNORECASE)
    size = int(float(match[1]) * 1024 ** "KMGT".find(match[2].upper()) * 1024) if match and match[2] else 0
    if match is None or not size:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory; expected such as 512M or 4G")
    return size


if __name__ == "__main__":
    entry()
