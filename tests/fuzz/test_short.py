"""A few inputs of every kind; `python -m tests.fuzz` has thousands."""

import os
import pkgutil
import random
import sys
from pathlib import Path

import pytest
from tests.fuzz.__main__ import KINDS
from tests.fuzz.harness import tally


@pytest.mark.parametrize("name", KINDS)
def test_no_input_ends_badly(name: str, tmp_path: Path) -> None:
    if name == "full-disk" and (sys.platform != "linux" or os.geteuid() != 0):
        pytest.skip("only root may mount a small disk")
    found = tally(pkgutil.resolve_name(KINDS[name])(random.Random(f"{name} short"), 24, tmp_path))
    assert not found.faults, found
    assert sum(found.ends.values()) == 24
