"""Signals that end a program politely: what is half written goes away."""

import os
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


def leave_when_interrupted() -> None:
    """Let Ctrl-C end the process at once while modules are imported: one that is half there raises anything.

    An interrupt that is ignored, as in a shell's background, stays ignored.
    """
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def interrupt_as_usual() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, once all is imported."""
    if signal.getsignal(signal.SIGINT) == _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)
