"""The memory of this machine, and how much of it this process has held."""

import os

MEMORY_SHARE = 0.5  # of the machine's memory, at most this much for frames; masks and engines need the rest


def machine_memory() -> int | None:
    """Return the machine's memory in bytes, None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def peak_memory() -> int | None:
    """Return the most bytes that this process has held, None where the system does not say."""
    try:
        import resource
        import sys
    except ImportError:  # not on Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
