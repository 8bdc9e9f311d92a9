"""Exports that are killed at any time, and exports onto disks that are too small; a toy stands for the networks."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.fuzz.harness import Case
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle_files import verify
from samotion.engines.manifest import Manifest, read
from samotion.export import cli

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SECONDS = 0.15  # that the toy export takes, and a little more
PAGE = 4096


def killed_exports(rng: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield exports over an old bundle that are killed, by the four signals in turn."""
    out = tiny_bundle(scratch / "bundle")
    (scratch / "notes.txt").touch()
    for number in range(count):
        name = SIGNALS[number % len(SIGNALS)]
        yield Case(f"{name.name} {number}", _killing(out, name, rng.uniform(0, SECONDS)))


def full_disks(_: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield exports over an old bundle on file systems that grow by a page; needs root, and Linux."""
    for number in range(count):
        yield Case(f"{number} pages more", _filling(scratch, 14 + number))


def may_mount(folder: Path) -> bool:
    """Return whether this process may mount a small disk on ``folder``: root in a container may not."""
    try:
        _mount(folder, PAGE)
    except (OSError, subprocess.CalledProcessError):
        return False
    subprocess.run(["umount", folder], check=True)
    return True


def _mount(folder: Path, size: int) -> None:
    """Mount an empty disk of ``size`` bytes on ``folder``."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True, capture_output=True)


def _killing(out: Path, number: signal.Signals, after: float) -> Callable[[], None]:
    def work() -> None:
        child = _export(out)
        time.sleep(after)
        os.kill(child, number)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _check(out)
        if number != signal.SIGKILL or status == 0:
            assert _left(out) == [], _left(out)
            assert status in (0, 130, 128 + number, -number), status  # at the very start, the system's own handling
        else:
            assert os.waitpid(_export(out), 0)[1] == 0
            assert _left(out) == [], _left(out)

    return work


def _filling(scratch: Path, pages: int) -> Callable[[], None]:
    def work() -> None:
        disk = scratch / "disk"
        disk.mkdir(exist_ok=True)
        _mount(disk, pages * PAGE)
        try:
            out = tiny_bundle(disk / "bundle")
            assert os.waitstatus_to_exitcode(os.waitpid(_export(out), 0)[1]) in (0, 2)
            _check(out)
            assert _left(out) == [], _left(out)
        finally:
            subprocess.run(["umount", disk], check=True)

    return work


def _export(out: Path) -> int:
    """Start samotion-export in a process of its own; return its number."""
    child = os.fork()
    if child:
        return child
    sys.argv = ["samotion-export", "-o", str(out)]
    setattr(cli, "_graphs", _toy)  # noqa: B010 - mypy minds the plain way
    try:
        cli.entry()
    except SystemExit as ended:
        os._exit(int(ended.code or 0))
    except KeyboardInterrupt:  # before the command line has begun
        os._exit(130)
    except BaseException:
        os._exit(70)
    os._exit(71)


def _toy(_: Any, folder: Path, tell: Callable[[str], None]) -> Manifest:
    """Write a bundle in the place of the preset's graphs."""
    tell("begun")
    time.sleep(SECONDS / 4)
    tiny_bundle(folder)
    time.sleep(SECONDS / 4)
    return read(folder)


def _check(out: Path) -> None:
    """Raise unless a whole bundle is in ``out``."""
    for entry in read(out).graphs.values():
        verify(out, entry)


def _left(out: Path) -> list[str]:
    """Return what should not lie beside or in a bundle; an empty lock may, of a signal just when it was made."""
    beside = {path.name for path in out.parent.iterdir()} - {out.name, "notes.txt", f".{out.name}.lock"}
    return sorted(beside | {path.name for path in out.iterdir() if path.name.startswith(".")})
