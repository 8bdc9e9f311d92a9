"""samotion-export: build a bundle of engines from a preset and its weights."""

import argparse
import functools
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from samotion.engines.atomic import atomic_folder
from samotion.engines.bundle_files import must_be_bundle
from samotion.engines.errors import SamotionError
from samotion.engines.manifest import EMBEDDED, Manifest
from samotion.engines.preflight import ONNX
from samotion.engines.program import run_program
from samotion.engines.trt.flavours import BACKENDS, Target
from samotion.export.plans.add import add_plans, possible, tell_whether_it_fits

FP32, FP16, INT8 = "fp32", "fp16", "int8"
EPILOG = """examples:
  samotion-export --preset nano -o engines/           the shipped networks again
  samotion-export --preset nano --weights runs -o b/  networks that you trained yourself
  samotion-export --preset fast -o fast/              smaller published networks; downloads their weights
  samotion-export --preset paper -o paper/            the paper's networks; large, non-commercial depth weights
  samotion-export --preset fast --masks sam2.1-s --depth b --weights checkpoints -o mine/
  samotion-run --engines fast/ video.mp4 -o out/      run with them
  samotion-export --preset fast --precision fp16 -o fast16/      FP16 where it does no harm, measured on real inputs
  samotion-export --from fast/ --precision fp16 -o fast16/       the same of graphs that are there
  samotion-export --from fast/ --precision int8 --calibrate CLIPS -o fast8/      image encoders in INT8

TensorRT plans, from graphs that are there or on top of an export (PyTorch is needed only for an export):
  samotion-export --preset nano --backend tensorrt -o nano-trt/    the shipped graphs, for this machine's GPU
  samotion-export --from fast/ --backend tensorrt                  added to the bundle
  samotion-export --from fast/ --backend tensorrt-rtx --compute-capability 8.9 12.0 -o fast-rtx/   needs no GPU
  samotion-export --check fast-rtx/                                will it run here, and if not, what to do
  samotion-run --engines fast-rtx/ --provider tensorrt-rtx video.mp4 -o out/

Weights are kept in $SAMOTION_CACHE (default: the platform's cache folder, samotion/). Put official files there,
or name their folder with --weights, where there is no network. --weights random:0 tries the machine without any.

Exit status: 0 done, 2 a mistake that you can correct or a bundle that does not run here.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after one line on standard error for a mistake of the user."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if wrong := _contradiction(options) or _contradiction_of_precision(options):
        parser.error(wrong)
    begun = time.perf_counter()
    tell = functools.partial(print, flush=True)
    try:
        if options.check is not None:
            return 0 if tell_whether_it_fits(options.check, options.backend, tell) else 2
        manifest = _export(options, tell)
    except SamotionError as error:
        print(f"samotion-export: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    where = options.output or options.source
    print(f"{where}: {manifest.name} {manifest.digest}, {manifest.precision}, {time.perf_counter() - begun:.0f} s")
    return 0


def _export(options: argparse.Namespace, tell: Callable[[str], None]) -> Manifest:
    """Write the graphs and plans asked for, and return their manifest."""
    target = Target(
        tuple(options.compute_capability),
        options.hardware_compatible,
        options.version_compatible,
        options.timing_cache,
    )
    if options.backend in BACKENDS:
        possible(options.backend, target)  # reported now, not after the minutes of an export
    if options.provider != "cpu":
        from samotion.engines.ort.session import require

        require(options.provider)
    out = options.output or options.source
    if options.source is not None and options.precision == FP32 and out.resolve() == options.source.resolve():
        return add_plans(out, out, options.backend, target, tell)
    with atomic_folder(out, must_be_bundle) as folder:
        return _fill(folder, options, target, tell)


def _fill(folder: Path, options: argparse.Namespace, target: Target, tell: Callable[[str], None]) -> Manifest:
    """Write the graphs and plans asked for into the empty ``folder``."""
    source = options.source
    if source is None and _shipped_will_do(options):
        source = EMBEDDED
        tell("nano: the shipped graphs; --weights exports them again")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if source is None:
            source = folder if options.precision == FP32 else Path(scratch)
            manifest = _graphs(options, source, tell)
        if options.precision != FP32:
            manifest = _converted(options, source, folder, tell)
            source = folder
    return add_plans(source, folder, options.backend, target, tell) if options.backend in BACKENDS else manifest


def _converted(options: argparse.Namespace, source: Path, folder: Path, tell: Callable[[str], None]) -> Manifest:
    """Write the bundle in ``source`` into ``folder`` in the precision asked for."""
    if options.precision == FP16:
        from samotion.engines.ort.session import Execution
        from samotion.export.precision.convert import convert

        return convert(source, folder, options.calibrate, tell, Execution(options.provider))[0]
    from samotion.export.precision.int8 import convert as quantise

    return quantise(source, folder, options.calibrate, tell, for_plans=options.backend in BACKENDS)[0]


def _graphs(options: argparse.Namespace, folder: Path, tell: Callable[[str], None]) -> Manifest:
    """Export the preset's graphs into ``folder``."""
    # PyTorch takes seconds to import: --help and wrong options must not wait for it.
    from samotion.export.bundle import write
    from samotion.export.presets import choose
    from samotion.export.weights.sources import is_random

    preset = choose(options.preset or "nano", options.masks, options.depth)
    for name, network in preset.networks.items() if not is_random(options.weights) else ():
        tell(f"{name}: {network.weights}, licence of the weights: {network.licence}")
    return write(preset, options.weights, folder, tell, options.offline)


def _shipped_will_do(options: argparse.Namespace) -> bool:
    """Return whether plans are asked for of exactly the graphs that come with the package."""
    own = options.weights or options.masks or options.depth
    return options.preset in (None, "nano") and options.backend in BACKENDS and not own


def _contradiction(options: argparse.Namespace) -> str | None:
    """Return which options do not go together, if any."""
    for_plans = options.compute_capability or options.hardware_compatible or options.version_compatible
    exporting = options.preset or options.masks or options.depth or options.weights
    if (for_plans or options.timing_cache) and (options.backend not in BACKENDS or options.check is not None):
        return (
            "--compute-capability, --hardware-compatible, --version-compatible and --timing-cache say how plans "
            f"are built; they need --backend {' or '.join(BACKENDS)}"
        )
    if options.check is not None:
        return (
            "--check looks at a bundle and writes nothing" if exporting or options.source or options.output else None
        )
    if options.source is not None:
        if exporting:
            return (
                "--from takes the graphs of a bundle as they are; leave out --preset, --masks, --depth and --weights"
            )
        if options.backend not in BACKENDS and options.precision == FP32:
            return (
                f"--from builds plans: name their --backend, {' or '.join(BACKENDS)}, or --precision {FP16} or {INT8}"
            )
    elif options.output is None:
        return "the following arguments are required: -o/--output"
    return None


def _contradiction_of_precision(options: argparse.Namespace) -> str | None:
    """Return what --precision does not go together with, if anything."""
    precision = options.precision
    if options.provider != "cpu" and precision != FP16:
        return f"--provider says what runs the graphs while islands are chosen for --precision {FP16}"
    if precision == FP32:
        return f"--calibrate names clips for --precision {FP16} and {INT8}" if options.calibrate is not None else None
    if options.check is not None:
        return "--check looks at a bundle and writes nothing"
    if options.source is not None and options.output is None:
        return f"--precision {precision} would take the place of the graphs that --from names; name a folder with -o"
    return None


def entry() -> None:
    """Run as a program: a polite kill cleans up as an interrupt does."""
    run_program(main, "samotion-export")


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="samotion-export",
        description="Export the five networks of a preset to ONNX, check each graph against PyTorch, and write "
        "the bundle that samotion-run takes with --engines. Build TensorRT plans of it. Check whether it runs here.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", help="which networks: nano, fast or paper (default: nano)")
    add("--masks", metavar="NAME", help="another SAM2: sam2- or sam2.1- and t, s, b+ or l, as in sam2.1-s")
    add("--depth", metavar="SIZE", help="another Depth-Anything-V2: s, b or l")
    add(
        "--weights",
        metavar="DIR",
        help="folder with the checkpoints under their official names, or random:SEED "
        "(default: what is shipped, otherwise a download)",
    )
    add("--offline", action="store_true", help="never download: take shipped and already downloaded weights only")
    add("-o", "--output", metavar="DIR", type=Path, help="folder of the new bundle (with --from: that bundle itself)")
    add("--from", dest="source", metavar="BUNDLE", type=Path, help="build plans of a bundle's graphs as they are")
    add(
        "--check",
        metavar="BUNDLE",
        type=Path,
        help="tell whether a bundle runs on this machine, and what to do if not",
    )
    add(
        "--backend", choices=(ONNX, *BACKENDS), help=f"what the bundle is for (default: {ONNX}, which needs no plans)"
    )
    add(
        "--compute-capability",
        nargs="+",
        type=_capability,
        default=[],
        metavar="N.N",
        help="GPUs that tensorrt-rtx plans are for (default: all it knows from 8.0 on); tensorrt: the one here",
    )
    add("--hardware-compatible", action="store_true", help="tensorrt plans that run on every GPU from 8.0 on, slower")
    add("--version-compatible", action="store_true", help="tensorrt plans that later versions run too, slower")
    add(
        "--precision",
        choices=(FP32, FP16, INT8),
        default=FP32,
        help="what the graphs compute in; int8: the image encoders, for the backend named (default: fp32)",
    )
    add(
        "--calibrate",
        metavar="DIR",
        type=Path,
        help="clips to choose fp16's islands or int8's ranges by, besides made scenes",
    )
    add(
        "--provider",
        choices=("cpu", "cuda"),
        default="cpu",
        help="what runs the graphs while fp16's islands are chosen (default: cpu; published sizes take it days)",
    )
    add("--timing-cache", metavar="FILE", type=Path, help="kernels that tensorrt measured, read and added to")
    return parser


def _capability(text: str) -> str:
    """Read a compute capability such as 8.9."""
    if not re.fullmatch(r"\d{1,2}\.\d", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no compute capability; expected such as 8.9")
    return text


if __name__ == "__main__":
    entry()
