"""A short form of ``python -m tests.fuzz video image``."""

import random
import sys
from pathlib import Path

import pytest
from tests.fuzz.harness import Kind, tally
from tests.fuzz.media import images, videos


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
@pytest.mark.parametrize("kind", [videos, images])
def test_damage_ends_well(tmp_path: Path, kind: Kind) -> None:
    found = tally(kind(random.Random(1), 48, tmp_path))
    assert not found.faults, "\n".join(found.faults)
