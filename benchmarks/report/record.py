"""Results on disk: JSON that says what was measured with which engines on which machine."""

import dataclasses
import datetime
import json
import os
from pathlib import Path
from typing import Any

from samotion.benchmarks.report.environment import environment
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError, OutputError
from samotion.runtime.settings import Settings
from samotion.runtime.version import version

FORMAT = 1


def header(program: str, bundle: Bundle, settings: Settings, threads: int) -> dict[str, Any]:
    """Return what every result starts with: program, versions, machine, settings and the hash of every engine.

    threads: as asked for, 0 being every core.
    """
    graphs = {name: dict(entry.sha256) for name, entry in sorted(bundle.manifest.graphs.items())}
    return {
        "program": program,
        "format": FORMAT,
        "version": version(),
        "measured": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "environment": environment(bundle.provider != "cpu"),
        "bundle": {
            "name": bundle.name,
            "digest": bundle.digest,
            "provider": bundle.provider,
            "threads": threads,
            "graphs": graphs,
        },
        "settings": dataclasses.asdict(settings),
    }


def check_writable(path: Path) -> None:
    """Raise OutputError now if ``path`` could not be written after long work."""
    folder = path.resolve().parent
    if not folder.is_dir():
        raise OutputError(f"{path}: its folder does not exist; make it or name another file")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{path}: cannot be written; name another file")


def write(path: Path, record: dict[str, Any]) -> None:
    """Write ``record`` as JSON, whole or not at all; raises OutputError."""
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; raises OutputError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def read(path: Path, program: str) -> dict[str, Any]:
    """Return a result of ``program``; raises InputError for anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: no JSON ({error}); name a result of {program}") from error
    found = record.get("program") if isinstance(record, dict) else None
    if found != program or record.get("format") != FORMAT:
        raise InputError(f"{path}: no result of {program} in format {FORMAT}; measure again with {program} -o")
    return dict(record)
