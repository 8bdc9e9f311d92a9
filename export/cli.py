"""samotion-export: build a bundle of engines from a preset and its weights."""

import argparse
import sys
import time
from pathlib import Path

from samotion.engines.errors import SamotionError

EPILOG = """examples:
  samotion-export --preset nano -o engines/           the shipped networks again
  samotion-export --preset nano --weights runs -o b/  networks that you trained yourself
  samotion-run --engines b/ video.mp4 -o out/         run with them
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after one line on standard error for what the user can mend."""
    options = _parser().parse_args(argv)
    # PyTorch takes seconds to import: --help and wrong options must not wait for it.
    from samotion.export.bundle import write
    from samotion.export.presets import PRESETS

    begun = time.perf_counter()
    try:
        if options.preset not in PRESETS:
            raise SamotionError(f"preset '{options.preset}' is unknown; known are {', '.join(PRESETS)}")
        preset = PRESETS[options.preset]
        for licence in sorted({network.licence for network in preset.networks.values()}):
            print(f"licence of the weights: {licence}", flush=True)
        manifest = write(preset, options.weights, options.output, lambda line: print(line, flush=True))
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
    parser.add_argument("--preset", default="nano", help="which networks (default: nano)")
    parser.add_argument(
        "--weights", metavar="DIR", help="folder with the checkpoints, or random:SEED (default: what is shipped)"
    )
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the new bundle")
    return parser


if __name__ == "__main__":
    entry()
