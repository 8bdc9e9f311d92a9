"""samotion-export: build a bundle of engines from a preset and its weights."""

import argparse
import functools
import sys
import time
from pathlib import Path

from samotion.engines.errors import SamotionError

EPILOG = """examples:
  samotion-export --preset nano -o engines/           the shipped networks again
  samotion-export --preset nano --weights runs -o b/  networks that you trained yourself
  samotion-export --preset fast -o fast/              smaller published networks; downloads their weights
  samotion-export --preset paper -o paper/            the paper's networks; large, non-commercial depth weights
  samotion-export --preset fast --masks sam2.1-s --depth b --weights checkpoints -o mine/
  samotion-run --engines fast/ video.mp4 -o out/      run with them

Weights are kept in $SAMOTION_CACHE (default: the platform's cache folder, samotion/). Put official files there,
or name their folder with --weights, where there is no network. --weights random:0 tries the machine without any.
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after one line on standard error for what the user can mend."""
    options = _parser().parse_args(argv)
    # PyTorch takes seconds to import: --help and wrong options must not wait for it.
    from samotion.export.bundle import write
    from samotion.export.presets import choose
    from samotion.export.sources import is_random

    begun = time.perf_counter()
    try:
        preset = choose(options.preset, options.masks, options.depth)
        for name, network in preset.networks.items() if not is_random(options.weights) else ():
            print(f"{name}: {network.weights}, licence of the weights: {network.licence}", flush=True)
        tell = functools.partial(print, flush=True)
        manifest = write(preset, options.weights, options.output, tell, options.offline)
    except SamotionError as error:
        print(f"samotion-export: error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {manifest.name} {manifest.digest}, {time.perf_counter() - begun:.0f} s")
    return 0


def entry() -> None:
    """Console script."""
    sys.exit(main())


def _parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        prog="samotion-export",
        description="Export the five networks of a preset to ONNX, check each graph against PyTorch, and write "
        "the bundle that samotion-run takes with --engines.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", default="nano", help="which networks: nano, fast or paper (default: nano)")
    add("--masks", metavar="NAME", help="another SAM2: sam2- or sam2.1- and t, s, b+ or l, as in sam2.1-s")
    add("--depth", metavar="SIZE", help="another Depth-Anything-V2: s, b or l")
    add(
        "--weights",
        metavar="DIR",
        help="folder with the checkpoints under their official names, or random:SEED "
        "(default: what is shipped, otherwise a download)",
    )
    add("--offline", action="store_true", help="never download: take shipped and already downloaded weights only")
    add("-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the new bundle")
    return parser


if __name__ == "__main__":
    entry()
