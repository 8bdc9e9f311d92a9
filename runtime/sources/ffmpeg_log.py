"""What FFmpeg logs, which is all that some of its parts say of damage."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import av.logging

logging.getLogger("libav").addHandler(logging.NullHandler())  # what nobody listens for would go to the terminal


@contextmanager
def errors_heard() -> Iterator[list[tuple[int, str, str]]]:
    """Yield the errors (level, part, text) that FFmpeg logs meanwhile in this thread."""
    level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        with av.logging.Capture() as lines:
            yield lines
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip)
