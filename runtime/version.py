"""Which version of the program this is."""

import importlib.metadata

PROGRAM = "samotion"


def version() -> str:
    """Return the installed version; a source tree that is not installed says so."""
    try:
        return importlib.metadata.version(PROGRAM)
    except importlib.metadata.PackageNotFoundError:
        return "source"
