"""``python -m tests.fuzz``: see harness.py."""

import argparse
import pkgutil
import tempfile
from pathlib import Path

from tests.fuzz.harness import report

# Where each kind is made; imported when it is asked for.
KINDS = {
    "video": "tests.fuzz.media:videos",
    "image": "tests.fuzz.media:images",
    "bundle": "tests.fuzz.bundles:damaged_bundles",
    "checkpoint": "tests.fuzz.checkpoints:damaged_checkpoints",
    "killed-export": "tests.fuzz.exports:killed_exports",
    "full-disk": "tests.fuzz.exports:full_disks",
    "killed-run": "tests.fuzz.runs:killed_runs",
    "full-disk-run": "tests.fuzz.runs:full_disks",
}


def main() -> int:
    """Run the kinds named, print the figures of each and every fault; status 1 where there is a fault."""
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--count", type=int, default=1000, help="inputs of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same inputs (default: %(default)s)")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    kinds = {name: pkgutil.resolve_name(KINDS[name]) for name in options.kinds or KINDS}
    with tempfile.TemporaryDirectory() as scratch:
        return int(report(kinds, options.count, options.seed, Path(scratch)) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
