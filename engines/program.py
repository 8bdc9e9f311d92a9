"""What every command does around its work: streams that may be closed or full, signals, the status."""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from samotion.engines.errors import SamotionError
from samotion.engines.packages import explained

FAILED = 2  # the status of what a user can set right
INTERRUPTED = 130
TERMINATING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
POLITE = (signal.SIGINT, *TERMINATING)


def run_program(main: Callable[[], int], name: str) -> NoReturn:
    """Run ``main`` as the program ``name`` and end with its status.

    A standard stream that is closed swallows what is written; so does standard error where it fails. Standard
    output that fails is one line with status 2. So is an error of the user's, and a package of an extra that is not
    installed. An interrupt is one line with status 130.
    """
    _secure_streams()
    unwind_when_terminated()
    try:
        status = main()
    except SystemExit as stop:  # of argparse, or of a signal
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        status = INTERRUPTED
    except (SamotionError, ModuleNotFoundError) as error:
        print(f"{name}: error: {one_line(' '.join(str(explained(error)).split()))}", file=sys.stderr)
        status = FAILED
    status = tell("", name) or status
    if threading.active_count() > 1:
        # A reader may still wait in FFmpeg for a stream's next frame; an interpreter that ends would crash in it.
        os._exit(status)
    sys.exit(status)


def tell(line: str, name: str) -> int:
    """Print ``line``, if any, on standard output; return 0, or 2 where that fails, which ``name`` tells once."""
    try:
        print(one_line(line), end="\n" if line else "", flush=True)
    except OSError as error:
        # What waits in the buffer must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"{name}: error: standard output cannot be written ({error.strerror})", file=sys.stderr)
        return FAILED
    return 0


def one_line(text: str) -> str:
    """Return ``text`` with escapes for what a terminal would not print: file names may hold anything."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


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


def _secure_streams() -> None:
    """Put something behind descriptors 0 to 2, so that no other file takes their place, and behind sys.stdout."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, this one
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not suit the terminal's language
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr = io.TextIOWrapper(_Forgiving(), encoding, "backslashreplace", write_through=True)


class _Forgiving(io.BufferedIOBase):
    """Standard error as bytes; what cannot be written is lost."""

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(2)

    def fileno(self) -> int:
        return 2

    def write(self, data: object) -> int:
        content = bytes(memoryview(data))  # type: ignore[arg-type]
        try:
            written = 0
            while written < len(content):
                written += os.write(2, content[written:])
        except OSError:
            pass
        return len(content)
