"""Signals that end a program politely: what is half written goes away."""

import signal
import sys
from types import FrameType

TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
POLITE = (signal.SIGINT, *TERMINATING)


def unwind_when_terminated() -> None:
    """Let TERM and HUP end the program by way of every ``finally``, as Ctrl-C does, with status 128 + signal.

    A HUP that is ignored, as nohup has it, stays ignored.
    """
    for number in TERMINATING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _unwind)


def _unwind(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)
