"""The command line of ``samotion-run``."""

import argparse
import re
from fractions import Fraction
from pathlib import Path

from samotion.runtime.console import PROGRAM
from samotion.runtime.output.formats.catalogue import DEFAULT, FORMATS
from samotion.runtime.version import version

DESCRIPTION = """\
Find everything that moves by itself in a video and follow it, each object with its own id.

INPUT is a video file of any length, a folder of images (in natural order), a printf pattern, a folder or quoted
glob of many of these, or a live source:
camera:0, an address (rtsp:// rtmp:// udp:// srt:// tcp:// http:// https://), or - for a video piped in.
Ctrl-C ends a live source and keeps its result. Of a camera or stream that is faster than computing every second
waiting frame is dropped, and from then on fewer are kept; how many is shown and recorded."""

EPILOG = """\
examples:
  samotion-run --demo                            try it on the clip that comes with the package
  samotion-run dog.mp4 -o results                writes results/dog
  samotion-run a.mp4 b.mov frames/ -o results    several at once; one that fails does not stop the others
  samotion-run 'shots/%05d.png' --fps 30         numbered images; quote the pattern
  samotion-run long.mp4 --max-frames 100         every n-th frame, at most 100
  samotion-run hour.mp4 --memory 2G              a window as long as fits in 2 GiB
  samotion-run hour.mp4 --split 4                four processes share one video
  samotion-run rtsp://cam.local/1 --window 48    masks about two seconds behind, and computing
  ffmpeg -i x.mkv -c copy -f matroska - | samotion-run -
  samotion-run dog.mp4 --engines large --provider cuda

Each input gets OUT/<name>/ with
  masks/00000.png   one per frame read, in the source's size: 0 is background, then object ids (see --format)
  overlay.mp4       the frames with masks, outlines and ids
  tracks.npz        the point tracks and how probably each moves by itself, window by window
  report.html       with --report: frames, masks, tracks and timelines to look at in a browser
  result.json       objects, frames, boxes, areas, settings, times

Exit status: 0 done (also when nothing moves), 2 an input or option that cannot be used, 70 a bug,
130 interrupted."""


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
    add("--engines", metavar="DIR", help="engine bundle, a folder or org/name on Hugging Face (default: nano)")
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
    add("--memory", type=_memory, metavar="SIZE", help="shorten the window so that it fits (default: 16 GB)")
    add("--fps", type=_rate, default=Fraction(24), help="frames a second of image inputs (default: 24)")
    published = "choose as the published system: its prompts, --best-three, 100 frames"
    add("--published", action="store_true", help=published)
    add("--parity", dest="published", action="store_true", help=argparse.SUPPRESS)  # the earlier name
    add("--best-three", action="store_const", const=True, help="take the three likeliest points if none passes")
    formats = f"how masks are written (default: davis): {', '.join(FORMATS)}"
    add("--format", type=_names, default=DEFAULT, metavar="NAME[,NAME…]", help=formats)
    add("--dilate", type=_count, default=0, metavar="PX", help="grow the masks of binary and colmap")
    add("--report", action="store_true", help="write report.html, a page to look at all of it in a browser")
    _add_job_options(parser)
    add("--no-overlay", action="store_true", help="do not write overlay.mp4")
    add("--no-audio", action="store_true", help="do not copy the source's sound into overlay.mp4")
    add("--quiet", action="store_true", help="no progress; warnings and errors stay")
    add("--version", action="version", version=f"{PROGRAM} {version()}")
    return parser


def _add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add what a job of many inputs takes."""
    add = parser.add_argument_group("many inputs").add_argument
    add("--list", type=Path, metavar="FILE", help="a file that names further inputs, one a line")
    add("--resume", action="store_true", help="leave out inputs whose results are there, for the same request")
    add("--hash", action="store_true", help="know inputs again by SHA-256, not by size and time of change")
    add("--keep-tree", action="store_true", help="name results by their path below the folder given")
    add(
        "--shard", type=_shard, metavar="I/N", help="work on every N-th input from the I-th on, as one of N processes"
    )
    add("--split", type=_workers, metavar="N", help="work on each input in N stretches, side by side, and join them")
    add("--ray", metavar="ADDRESS", help="work on a Ray cluster, a worker a GPU or core; local: start one here")
    add("--time-limit", type=float, metavar="SECONDS", help="with --ray: an input that takes longer has failed")


def _shard(text: str) -> tuple[int, int]:
    """Read a shard such as 1/8."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; expected such as 1/8 to 8/8")
    return number, count


def _workers(text: str) -> int:
    """Read how many workers share an input."""
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} workers cannot share a video; expected 2 or more")
    return int(text)


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


def _names(text: str) -> tuple[str, ...]:
    """Read names such as davis,ytvis."""
    return tuple(name.strip() for name in text.split(","))


def _memory(text: str) -> int:
    """Read an amount of memory such as 512M or 1.5G, in bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:iB|B)?", text, re.IGNORECASE)
    size = int(float(match[1]) * 1024 ** "KMGT".find(match[2].upper()) * 1024) if match and match[2] else 0
    if match is None or not size:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory; expected such as 512M or 4G")
    return size
