"""By what a result tells that it is the answer to just this input and request."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samotion.engines.errors import InputError
from samotion.runtime.batch.inputs import Input
from samotion.runtime.sources.folders import PATTERN, SUFFIXES, list_pattern
from samotion.runtime.sources.live import is_live

RECORD = "result.json"
BLOCK = 1 << 20


def request_of(facts: Mapping[str, Any]) -> str:
    """Return a short hash of everything that was asked: engines, settings, outputs."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fingerprint(path: str, hashed: bool) -> dict[str, Any]:
    """Return what tells whether an input is the same: how many files and bytes it has, and when it was changed.

    hashed: also the SHA-256 of all its bytes, which takes as long as reading them. A live source has none.
    """
    if is_live(path):
        return {}
    files = _files(Path(path))
    states = [file.stat() for file in files]
    facts: dict[str, Any] = {
        "file_count": len(files),
        "bytes": sum(state.st_size for state in states),
        "modified_ns": max((state.st_mtime_ns for state in states), default=0),
    }
    return facts | ({"sha256": _sha256(files)} if hashed else {})


def is_done(out: Path, item: Input, request: str, hashed: bool) -> bool:
    """Return whether ``out`` holds the whole answer to ``request`` for an input that has not changed since.

    result.json is written last and a folder appears whole, so its presence says that nothing is missing. hashed: what
    the bytes are decides, not when they were written.
    """
    try:
        record = json.loads((out / item.name / RECORD).read_bytes())
        stated, told = record["input"], record["request"]
        marks = fingerprint(item.path, hashed)
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return False
    names = ("file_count", "bytes", "sha256") if hashed else ("file_count", "bytes", "modified_ns")
    return bool(marks) and told == request and all(stated.get(name) == marks[name] for name in names)


def _files(path: Path) -> list[Path]:
    """Return the files that an input is read from."""
    if path.is_dir():
        return sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
    return [path] if path.exists() or not PATTERN.search(str(path)) else list_pattern(path)


def _sha256(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()
