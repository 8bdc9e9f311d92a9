"""What samotion-run says on standard error: notes, warnings and errors, a line each."""

import logging
import sys

from samotion.engines.errors import SamotionError
from samotion.engines.program import FAILED, one_line

PROGRAM = "samotion-run"
PACKAGE = "samotion"


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
    """Shows the package's warnings as lines of the program and keeps them for the record, until it is closed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        logging.getLogger(PACKAGE).addHandler(self)

    def close(self) -> None:
        """Show no more."""
        logging.getLogger(PACKAGE).removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Show and keep one warning."""
        self.lines.append(record.getMessage())
        print(f"{PROGRAM}: warning: {one_line(record.getMessage())}", file=sys.stderr)
