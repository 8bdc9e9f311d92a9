"""Where the tests' files lie."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
GOLDEN = TESTS / "golden"  # the published answers, and results as an earlier release wrote them
MANIFESTS = TESTS / "manifests"  # every tensor of each official checkpoint
