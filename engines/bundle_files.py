"""The files of a bundle: which names are its own, and whether each file has the hash that bundle.json states."""

import hashlib
import re
from pathlib import Path

from samotion.engines.errors import BundleError, OutputError
from samotion.engines.manifest import FILE, GRAPHS, REMEDY, GraphEntry
from samotion.engines.ort.onnx_parts import external_files

PLAN = re.compile(rf"({'|'.join(GRAPHS)})\.tensorrt(-rtx)?(\.\d+)?\.plan")
LEFT = rf"\.({re.escape(FILE)}|plans)\.(lock|partial)"  # by a writer that was killed
OWN = re.compile(rf"{re.escape(FILE)}|({'|'.join(GRAPHS)})\.onnx(\.data)?|{PLAN.pattern}|{LEFT}")


def must_be_bundle(folder: Path) -> None:
    """Raise OutputError where ``folder`` holds a file that is no bundle's: it would be lost with the bundle."""
    names = sorted(path.name for path in folder.iterdir())
    if foreign := [name for name in names if FILE not in names or not OWN.fullmatch(name)]:
        raise OutputError(
            f"{folder}: holds other files than an engine bundle ({', '.join(foreign[:3])})",
            "move them, or name an empty or new folder",
        )


def hash_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, entry: GraphEntry) -> None:
    """Raise BundleError unless every file of ``entry`` is there and has its hash, and the graph names no other."""
    for name, wanted in entry.sha256.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: missing from the bundle", REMEDY)
        if (found := hash_of(path)) != wanted:
            raise BundleError(f"{path}: damaged (sha256 {found[:12]}…, expected {wanted[:12]}…)", REMEDY)
    try:
        if unlisted := sorted(external_files(folder / entry.file) - set(entry.sha256)):
            raise BundleError(
                f"{folder / FILE}: {entry.file} reads {unlisted[0]!r:.60}, which sha256 does not list", REMEDY
            )
    except ValueError as error:
        raise BundleError(f"{folder / entry.file}: damaged ({error})", REMEDY) from error
