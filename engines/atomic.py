"""Files and folders that appear whole under their name, or not at all; what they replace goes last.

While NAME is written, .NAME.partial and .NAME.lock lie beside it. The lock, which the system frees when its holder
dies, is the sign of life: process numbers repeat, between containers even at the same time. What a killed writer left
is cleared away by the next writer of the same name.
"""

import contextlib
import ctypes
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from samotion.engines.errors import OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LONGEST = 230  # bytes of NAME that hidden names repeat: file systems end at 255
PAUSE_SECONDS = 0.05
MOUNTS = Path("/proc/self/mountinfo")


def must_be_empty(folder: Path) -> None:
    """Raise OutputError where ``folder`` holds anything."""
    if name := next((path.name for path in folder.iterdir()), None):
        raise OutputError(f"{folder}: already holds {name}", "name an empty or a new folder")


@contextlib.contextmanager
def atomic_file(target: Path, patience: float = 10.0) -> Iterator[Path]:
    """Yield a hidden path to write; what lies there takes the place of ``target`` if the block ends well.

    Args:
        target: the file; its folder is made.
        patience: seconds to wait for another writer of the same file.

    Raises:
        OutputError: the file cannot be written, or somebody else writes it.
    """
    target = Path(os.path.realpath(target))
    with _failing_clearly(target), _parents(target), locked(target, patience):
        partial = _hidden(target, "partial")
        partial.unlink(missing_ok=True)
        try:
            yield partial
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: Path, check: Callable[[Path], None] = must_be_empty) -> Iterator[Path]:
    """Yield a hidden, empty folder that takes the place of ``target`` if the block ends well, else goes away.

    ``target`` is checked first, before anything is computed. A link to a folder stays a link: the folder behind it is
    replaced. Where the system can exchange two folders in one step (Linux), readers always find the old or the new
    one; elsewhere nothing bears the name for a moment.

    Args:
        target: the folder; the folders above it are made, and removed again if the block fails.
        check: raises OutputError where an existing folder must not be replaced, for it holds a file of somebody
            else's. Asked before the block, and again before the swap.

    Raises:
        OutputError: the folder cannot be written or replaced, or somebody else writes it.
    """
    with _failing_clearly(target):
        target = _resolved(target)
        with _parents(target), locked(target):
            _sweep(target)
            if target.exists():
                check(target)
            partial = _hidden(target, "partial")
            try:
                partial.mkdir()
                yield partial
                if target.exists():
                    check(target)
                    shutil.copymode(target, partial)
                _swap(partial, target)
            finally:
                try:
                    _sweep(target)
                except BaseException:  # a signal, just now
                    _sweep(target)
                    raise


@contextlib.contextmanager
def working_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target`` for whoever is writing that by atomic_folder; it goes away again."""
    with _failing_clearly(target):
        folder = _hidden(_resolved(target), "partial-work")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def clear_away(target: Path) -> None:
    """Remove what a killed writer of the folder ``target`` left. Raises OutputError where somebody writes it."""
    with _failing_clearly(target):
        target = _resolved(target)
        if target.parent.exists():
            with locked(target, patience=2.0):
                _sweep(target)


@contextlib.contextmanager
def locked(target: Path, patience: float = 0.0) -> Iterator[None]:
    """Keep every other writer of ``target`` away, in this process and others, while the block runs.

    Raises:
        OutputError: another writer is there after ``patience`` seconds.
    """
    path, until = _hidden(target, "lock"), time.monotonic() + patience
    while (descriptor := _lock(path)) is None:
        if time.monotonic() >= until:
            raise OutputError(f"{target}: another process is writing it", "wait for that one, or name another place")
        time.sleep(PAUSE_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file
            path.unlink()
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock on ``path``, None where somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its last holder may have removed the file since it was opened: then a newcomer would not see this lock.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, PermissionError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _hidden(target: Path, suffix: str) -> Path:
    """Return .NAME.SUFFIX beside ``target``; of a long name its beginning and a hash."""
    name = os.fsencode(target.name)
    if len(name) > LONGEST:
        begin = name[: LONGEST - 9].decode("utf-8", "ignore")  # not half a character: some file systems refuse it
        name = f"{begin}~{hashlib.sha256(name).hexdigest()[:8]}".encode()
    return target.with_name(f".{os.fsdecode(name)}.{suffix}")


def _resolved(target: Path) -> Path:
    """Return the folder that ``target`` names, without links and ".."; raises OutputError where there can be none."""
    for path in (target, *target.parents):
        if path.is_symlink() and not path.exists():
            raise OutputError(
                f"{target}: {path} is a link to {path.readlink()}, which is not there", "make that folder"
            )
    real = Path(os.path.realpath(target))
    if real.exists() and not real.is_dir():
        raise OutputError(f"{target}: is a file", "name a folder")
    if os.path.ismount(real) or real in _mount_points():
        raise OutputError(f"{target}: is a mount point: it cannot be replaced as a whole", "name a folder inside it")
    return real


def _mount_points() -> set[Path]:
    """Return every mount point, those of bound folders too, which os.path.ismount does not know."""
    try:
        lines = os.fsdecode(MOUNTS.read_bytes()).splitlines()
    except OSError:
        return set()
    return {Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split(" ")[4])) for line in lines}


@contextlib.contextmanager
def _parents(target: Path) -> Iterator[None]:
    """Make the folders above ``target``; those made go again if the block fails and left nothing in them."""
    made = [path for path in target.parents if not path.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):  # not there, or in use by somebody else by now
                path.rmdir()
        raise


def _sweep(target: Path) -> None:
    """Clear away what this writer and killed ones of ``target`` left; the caller holds its lock."""
    replaced = _hidden(target, "replaced")
    if replaced.exists() and not target.exists():  # stopped between two renames
        replaced.rename(target)
    left = re.compile(re.escape(_hidden(target, "").name) + r"(partial|replaced)(-\w+)?")
    for path in target.parent.iterdir():
        if left.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _swap(partial: Path, target: Path) -> None:
    """Give ``partial`` the name ``target``; what bore it is left for ``_sweep``, which puts it back on failure."""
    if target.exists() and not _exchange(partial, target):
        target.rename(_hidden(target, "replaced"))
    if partial.exists() and not target.exists():
        partial.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where system or file system cannot."""
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "renameat2"):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    return bool(libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)


@contextlib.contextmanager
def _failing_clearly(target: Path) -> Iterator[None]:
    """Turn what the system says into one line."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written ({error.strerror or error})", "free space there, or name another place"
        ) from error
