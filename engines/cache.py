"""The folder of what can be made or fetched again: downloads, compiled kernels."""

import contextlib
import os
import sys
from pathlib import Path

from samotion.engines.atomic import atomic_file
from samotion.engines.errors import OutputError


def cache_folder() -> Path:
    """Return $SAMOTION_CACHE, or samotion's part of the platform's folder for caches."""
    if chosen := os.environ.get("SAMOTION_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/samotion"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "samotion" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samotion"


def keep(file: Path, made: bytes) -> None:
    """Write ``file``, so that nobody ever reads half of it; a full or read-only disk costs the making again."""
    with contextlib.suppress(OutputError), atomic_file(file) as partial:
        partial.write_bytes(made)
