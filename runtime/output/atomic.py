"""A folder that appears whole under its name, or not at all."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from samotion.engines.errors import OutputError
from samotion.runtime.version import PROGRAM

RECORD = "result.json"  # what marks a folder as an earlier result, free to be replaced


@contextlib.contextmanager
def staged(out: Path, name: str) -> Iterator[Path]:
    """Yield a hidden sibling of OUT/<name> that takes its place if the block ends well, else goes away."""
    target = out / name
    _check_replaceable(target)
    folder, created = _make_staging(out, name)
    try:
        yield folder
        _swap_in(folder, target)
    except OSError as error:
        _discard(folder, created)
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        _discard(folder, created)
        raise


def _check_replaceable(target: Path) -> None:
    """Raise OutputError where ``target`` holds anything but an earlier result of this program."""
    try:
        if not target.exists() or (target.is_dir() and not any(target.iterdir())):
            return
        record = json.loads((target / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict) or record.get("program") != PROGRAM:
        raise OutputError(f"{target}: exists and is no earlier result of {PROGRAM}; move it or choose another -o")


def _make_staging(out: Path, name: str) -> tuple[Path, list[Path]]:
    """Make the hidden folder; also return every folder made for it, deepest first."""
    folder = out / f".{name}.partial-{os.getpid()}"
    created: list[Path] = []
    try:
        created = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True)
    except OSError as error:
        _discard(folder, created)
        raise OutputError(f"{out}: cannot be written ({error.strerror or error})") from error
    return folder, created


def _discard(folder: Path, created: list[Path]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for path in created:
        with contextlib.suppress(OSError):  # not there, or in use by someone else by now
            path.rmdir()


def _swap_in(folder: Path, target: Path) -> None:
    """Rename ``folder`` to ``target``; an earlier result stays until that has worked."""
    old = folder.with_name(f".{target.name}.replaced-{os.getpid()}")
    replacing = target.exists()
    if replacing:
        target.rename(old)
    try:
        folder.rename(target)
    except BaseException:
        if replacing:
            old.rename(target)
        raise
    if replacing:
        shutil.rmtree(old, ignore_errors=True)
