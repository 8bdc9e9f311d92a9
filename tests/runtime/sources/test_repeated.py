"""Many inputs in one process: threads, descriptors and memory stay flat; a fork after use works."""

import multiprocessing
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.coded import MEDIA
from tests.support.video_files import write_video

from samotion.runtime.sources.open import open_source
from samotion.runtime.sources.prefetch import FramesAhead

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts of Linux")
VIDEO = MEDIA / "anamorphic_sar_2_1.mp4"


def read(path: Path) -> int:
    with FramesAhead(open_source(path), 4) as ahead:
        return sum(1 for _ in ahead)


def counts() -> tuple[int, int]:
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


def test_twenty_files_leave_nothing_open(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 1080, 1920, 3), np.uint8)
    large = write_video(tmp_path / "large.mp4", list(noise[:1]) * 6, options={})
    for path in (large, VIDEO, large):
        read(path)
    before, memory = counts(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):
        assert read(large) == 6
        assert read(VIDEO) == 12
    threads, descriptors = counts()
    assert threads <= before[0] + 1  # the last reader may be about to end
    assert descriptors <= before[1]
    # Kept decoders would take 18 MB a large file. In a large process the allocator alone moves by some tens of MB.
    if memory < 2**20:  # KiB; the peak of a process that did much else before says nothing
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= memory + 128 * 1024


def test_a_fork_after_use_works() -> None:
    read(MEDIA / "burst_copies")
    read(VIDEO)
    forked = multiprocessing.get_context("fork")
    with forked.Pool(1) as pool:
        assert pool.apply_async(read, (VIDEO,)).get(timeout=60) == 12
        assert pool.apply_async(read, (MEDIA / "burst_copies",)).get(timeout=60) == 12
