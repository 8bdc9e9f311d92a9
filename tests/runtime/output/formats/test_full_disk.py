"""A disk that is full fails a result in every format: none passes over what its library only logs."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.paths import ROOT

from samotion.runtime.output.formats.catalogue import FORMATS

# Files end at 300 bytes, as on a full disk: less than any of a format's has.
PROGRAM = """
import resource
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from tests.support.made_results import made_windows

from samotion.runtime.output.formats.catalogue import chosen_formats
from samotion.runtime.output.formats.format import MaskFrame, Target
from samotion.runtime.output.record import Record

labels = np.random.default_rng(0).integers(0, 4, (3, 64, 64)).astype(np.uint8)
(window,) = made_windows(labels)
record = Record()
record.add_frames(window)
kind = chosen_formats(sys.argv[2:])[sys.argv[2]]
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    own = kind(Target(Path(sys.argv[1]), window.clip))
    try:
        for number in range(3):
            own.add(MaskFrame(labels[number], number, window, number))
        own.finish(record, ["0.png", "1.png", "2.png"])
    finally:
        with suppress(OSError):
            own.close()
except OSError as error:
    print("OSError")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
@pytest.mark.parametrize("name", list(FORMATS))
def test_a_full_disk_is_an_error(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "OSError\n"
