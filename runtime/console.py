"""What samotion-run says on standard error: notes, warnings and errors, a line each."""

import logging
import sys
import threading
from types import TracebackType
from typing import Self

from samotion.engines.errors import SamotionError
from samotion.engines.program import FAILED, one_line

PROGRAM = "samotion-run"
PACKAGE = "samotion"
READING, WRITING = "reading for ", "writing for "  # names of threads begin so, and go on with whom they serve


def note(text: str) -> None:
    """Say what a user should know."""
    print(f"{PROGRAM}: note: {one_line(text)}", file=sys.stderr, flush=True)


def fail(error: SamotionError) -> int:
    """Say what went wrong and return the exit status."""
    print(f"{PROGRAM}: error: {message_of(error)}", file=sys.stderr, flush=True)
    return FAILED


def message_of(error: BaseException) -> str:
    """Return an error as one line."""
    return one_line(" ".join(str(error).split())) or type(error).__name__


class Warnings(logging.Handler):
    """Shows the package's warnings as lines of the program and keeps them for the record; a context manager.

    They are those of the thread that makes it, and of the threads that read and write for it.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.current_thread().name
        logging.getLogger(PACKAGE).addHandler(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger(PACKAGE).removeHandler(self)
        self.close()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a warning comes from one of the threads."""
        return (record.threadName or "").removeprefix(READING).removeprefix(WRITING) == self._thread

    def emit(self, record: logging.LogRecord) -> None:
        """Show and keep one warning."""
        self.lines.append(record.getMessage())
        print(f"{PROGRAM}: warning: {one_line(record.getMessage())}", file=sys.stderr)
