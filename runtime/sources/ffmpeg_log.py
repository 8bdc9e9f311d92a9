"""What FFmpeg logs, which is all that some of its parts say of damage."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

logging.getLogger("libav").addHandler(logging.NullHandler())  # what nobody listens for would go to the terminal


_lock = threading.Lock()
_listening = 0  # in how many threads; FFmpeg has one level for all of them


@contextmanager
def errors_heard() -> Iterator[list[tuple[int, str, str]]]:
    """Yield the errors (level, part, text) that FFmpeg logs meanwhile in this thread."""
    _listen(1)
    try:
        with av.logging.Capture() as lines:
            yield lines
    finally:
        _listen(-1)


def _listen(more: int) -> None:
    """Let FFmpeg log errors while anybody listens, and nothing otherwise, as PyAV has it."""
    global _listening  # noqa: PLW0603
    with _lock:
        _listening += more
        av.logging.set_level(av.logging.ERROR if _listening else None)
        av.logging.set_skip_repeated(not _listening)
