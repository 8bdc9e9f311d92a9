"""A long clip in every format at once needs little more memory than in the default one."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.paths import ROOT

from samotion.runtime.output.formats.catalogue import DEFAULT, FORMATS

FRAMES = 3000
MOST = 1.3  # times the peak of davis alone

# Three boxes go round in frames of 640×360, in windows of 120; the fourth object is new in each window.
PROGRAM = """
import resource
import sys
from pathlib import Path

import numpy as np
from tests.support.made_results import made_windows

from samotion.runtime.output.writer import ResultWriter


def label_maps(frames):
    for frame in range(frames):
        labels = np.zeros((360, 640), np.uint16)
        for own in (1, 2, 3, 4 + frame // 120):
            x = (frame * 2 + 40 * own) % 400
            labels[60 + 40 * (own % 4) :, x:][:30, :60] = own
        yield labels


with ResultWriter(Path(sys.argv[1]), "made", overlay=False, formats=sys.argv[3].split(",")) as writer:
    for window in made_windows(label_maps(int(sys.argv[2])), length=120):
        writer.add(window)
    writer.finish({}, int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(out: Path, formats: tuple[str, ...], frames: int = FRAMES) -> int:
    """Return the peak memory in KiB of a process that writes a clip."""
    command = [sys.executable, "-c", PROGRAM, str(out), str(frames), ",".join(formats)]
    return int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
def test_every_format_at_once_needs_little_more_than_davis(tmp_path: Path) -> None:
    alone = peak(tmp_path / "davis", DEFAULT)
    every = peak(tmp_path / "every", tuple(FORMATS))
    assert every <= MOST * alone, f"{every / 1024:.0f} MiB in every format, {alone / 1024:.0f} MiB in davis alone"
