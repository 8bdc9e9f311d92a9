"""The folder of what can be made or fetched again: downloads, compiled kernels."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path


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
    """Write ``file`` under a name of its own, then rename it, so that nobody ever reads half of it.

    A full or read-only disk costs the making again, nothing else.
    """
    part = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}", delete=False) as part:
            part.write(made)
        os.replace(part.name, file)
    except OSError:
        if part is not None:
            with contextlib.suppress(OSError):
                os.unlink(part.name)
