"""One cold start, timed from within: what samotion-bench runs in a fresh process, printing JSON."""

import argparse
import json
import os
import time
from pathlib import Path

from samotion.benchmarks.speed.launch import BEGUN


def main() -> None:
    """Import, load, find the first masks, then find them again warm, and print the seconds of each."""
    started = time.monotonic()
    begun = float(os.environ[BEGUN])
    parser = argparse.ArgumentParser("python -m samotion.benchmarks.speed.cold", description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--engines", type=Path)
    parser.add_argument("--provider", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()

    from samotion.engines.bundle import Bundle
    from samotion.runtime.pipeline import segment
    from samotion.runtime.settings import Settings
    from samotion.runtime.sources.open import read_clip

    imported = time.monotonic()
    with Bundle.load(args.engines, provider=args.provider, threads=args.threads) as bundle:
        for graph in bundle.manifest.graphs:
            bundle.engine(graph)
        loaded = time.monotonic()
        settings = Settings().override(bundle.settings)
        clip = read_clip(args.clip, settings)
        segment(clip, bundle, settings)
        first = time.monotonic()
        segment(read_clip(args.clip, settings), bundle, settings)
        again = time.monotonic()
    beyond = (first - begun) - (again - first)
    taken = {
        "interpreter": started - begun,
        "import": imported - started,
        "load engines": loaded - imported,
        "first masks": first - loaded,
        "same again": again - first,
        "start to first masks": first - begun,
        "beyond computing": max(1e-6, beyond),  # less than nothing is noise
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
