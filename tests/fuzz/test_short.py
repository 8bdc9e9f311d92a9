"""A few inputs of every kind; `python -m tests.fuzz` has thousands."""

import pkgutil
import random
from pathlib import Path

import pytest
from tests.fuzz.__main__ import KINDS
from tests.fuzz.exports import may_mount
from tests.fuzz.harness import tally


@pytest.mark.parametrize("name", KINDS)
def test_no_input_ends_badly(name: str, tmp_path: Path) -> None:
    if name.startswith("full-disk") and not may_mount(tmp_path):
        pytest.skip("a small disk cannot be mounted here: that needs root")
    count = 8 if name.endswith("-run") else 24  # a run is a program that starts
    found = tally(pkgutil.resolve_name(KINDS[name])(random.Random(f"{name} short"), count, tmp_path))
    assert not found.faults, found
    assert sum(found.ends.values()) == count
