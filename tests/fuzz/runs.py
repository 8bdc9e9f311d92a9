"""Runs that are killed at any time, and runs onto disks that are too small; made-up masks stand for the networks."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz.harness import Case
from tests.support.coded import MEDIA

from samotion.engines.bundle import Bundle
from samotion.runtime import cli, job
from samotion.runtime.sources.windows import Window
from samotion.runtime.values import MotionLabels, ObjectMasks, State, Tracks, WindowResult

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SECONDS = 0.4  # that the toy run takes, and a little more
VIDEO = MEDIA / "anamorphic_sar_2_1.mp4"
PAGE = 4096


def killed_runs(rng: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield runs over an old result that are killed, by the four signals in turn."""
    out = scratch / "out"
    assert os.waitpid(_run(out), 0)[1] == 0
    for number in range(count):
        name = SIGNALS[number % len(SIGNALS)]
        yield Case(f"{name.name} {number}", _killing(out, name, rng.uniform(0, SECONDS)))


def full_disks(_: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield runs on file systems that grow by two pages; needs root, and Linux."""
    for number in range(count):
        yield Case(f"{2 * number} pages more", _filling(scratch, 4 + 2 * number))


def _killing(out: Path, number: signal.Signals, after: float) -> Callable[[], None]:
    def work() -> None:
        child = _run(out)
        time.sleep(after)
        os.kill(child, number)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _check(out)
        if number != signal.SIGKILL or status == 0:
            assert status in (0, 130, 128 + number, -number), status  # at the very start, the system's own handling
        else:
            assert os.waitpid(_run(out), 0)[1] == 0
        assert _left(out) == [], _left(out)

    return work


def _filling(scratch: Path, pages: int) -> Callable[[], None]:
    def work() -> None:
        disk = scratch / "disk"
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pages * PAGE}", "tmpfs", disk], check=True)
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(_run(disk / "out"), 0)[1])
            assert status in (0, 2), status
            if status == 0:
                _check(disk / "out")
            else:
                assert list(disk.iterdir()) == []
        finally:
            subprocess.run(["umount", disk], check=True)

    return work


def _run(out: Path) -> int:
    """Start samotion-run in a process of its own; return its number."""
    bundle = _bundle()
    child = os.fork()
    if child:
        return child
    sys.argv = ["samotion-run", str(VIDEO), "-o", str(out), "--quiet"]
    setattr(Bundle, "load", lambda *_, **__: bundle)  # noqa: B010 - mypy minds the plain way
    setattr(job, "stream", _toy)  # noqa: B010
    try:
        cli.entry()
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    except KeyboardInterrupt:  # before the command line has begun
        os._exit(130)
    except BaseException:
        os._exit(70)
    os._exit(71)


@functools.cache
def _bundle() -> Bundle:
    """The shipped bundle, none of whose networks is ever loaded."""
    return Bundle.load()


def _toy(windows: Iterable[Window], *_: Any) -> Iterator[WindowResult]:
    """Yield one object that stands in the corner."""
    for window in windows:
        clip = window.clip.part(slice(window.shared, None))
        count = len(clip.frames)
        masks = np.zeros((1, count, *clip.size), np.bool_)
        masks[:, :, 5:40, 5:40] = True
        ones = np.ones((1, count), np.float32)
        tracks = Tracks(np.zeros((1, count, 2), np.float32), ones > 0, ones, ones, np.zeros(1, np.int64))
        labels = MotionLabels(np.ones(1, np.float32), np.ones(1, np.bool_))
        states = np.full((1, count), State.MOVING, np.uint8)
        identities, scores = np.ones(1, np.int64), np.ones(1, np.float32)
        yield WindowResult(
            clip, identities, ObjectMasks(masks), scores, states, tracks, labels, window.start, {}, window.arrived
        )


def _check(out: Path) -> None:
    """Raise unless a whole result is in ``out``."""
    folder = out / VIDEO.stem
    record = json.loads((folder / "result.json").read_text())
    assert len(os.listdir(folder / "masks")) == len(record["input"]["frames"]) == 12
    assert (folder / "overlay.mp4").stat().st_size > 1000


def _left(out: Path) -> list[str]:
    """Return what should not lie in OUT; an empty lock may, of a signal just when it was made."""
    return sorted({path.name for path in out.iterdir()} - {VIDEO.stem, f".{VIDEO.stem}.lock"})
