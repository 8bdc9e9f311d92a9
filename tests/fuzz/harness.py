"""Damaged inputs by the thousand: each is worked on by a process of its own within limits, and its end is counted.

    python -m tests.fuzz                      every kind, 1000 inputs each
    python -m tests.fuzz bundle --count 200   one kind, fewer

A kind is a function ``(rng, count, scratch) -> Iterator[Case]``, listed in tests/fuzz/__main__.py.
"""

import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from samotion.engines.errors import SamotionError

SECONDS = 30.0
MEMORY = 2 << 30  # bytes on top of what the parent had


class End(IntEnum):
    """How an input ended: the first two are as they should be. Values are exit statuses of the worker."""

    RIGHT = 0  # accepted, and worked on to the end
    CLEAN = 10  # refused by one line of ours
    UNCAUGHT = 11  # another exception, or more than one line, or control characters in it
    CRASH = 12
    HANG = 13
    MEMORY = 14  # more than MEMORY


GOOD = (End.RIGHT, End.CLEAN)


@dataclass(frozen=True)
class Case:
    """One input: its name, by which it can be found again, and what is done with it, in the worker."""

    name: str
    work: Callable[[], object]


Kind = Callable[[random.Random, int, Path], Iterator[Case]]


@dataclass
class Tally:
    """How many inputs ended how, and the name and last words of each that ended badly."""

    ends: Counter[End] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return ", ".join(f"{end.name.lower()} {self.ends[end]}" for end in End)


def tally(cases: Iterable[Case], seconds: float = SECONDS) -> Tally:
    """Return how the cases end, one worker process after the other."""
    found = Tally()
    for case in cases:
        end, words = attempt(case.work, seconds)
        found.ends[end] += 1
        if end not in GOOD:
            found.faults.append(f"{case.name}: {end.name}: {words}")
    return found


def attempt(work: Callable[[], object], seconds: float = SECONDS) -> tuple[End, str]:
    """Return how ``work`` ends in a forked process, and its last words."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _work(work, write)
    os.close(write)
    status, used = _wait(child, time.monotonic() + seconds)
    with os.fdopen(read, encoding="utf-8", errors="replace") as pipe:
        words = pipe.read()
    if status is None:
        return End.HANG, f"after {seconds} s"
    if used > MEMORY:
        return End.MEMORY, f"{used / 2**30:.1f} GiB"
    code = os.waitstatus_to_exitcode(status)
    return (End(code), words) if code in set(End) else (End.CRASH, f"status {code} {words}")


def _wait(child: int, until: float) -> tuple[int | None, int]:
    """Return the status of ``child`` (None: killed for its time was over) and its largest resident size in bytes."""
    pause = 0.0005
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return status, usage.ru_maxrss * 1024
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.wait4(child, 0)
            return None, 0
        time.sleep(pause := min(0.02, pause * 1.5))


def _work(work: Callable[[], object], write: int) -> None:
    """Do the work of a worker, and exit with its end."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    end, words = End.RIGHT, ""
    try:
        work()
    except SamotionError as error:
        words = str(error)
        tidy = words.isprintable() and not isinstance(error.__cause__, MemoryError)
        end = End.CLEAN if tidy else End.UNCAUGHT
    except MemoryError:
        end, words = End.MEMORY, traceback.format_exc()
    except BaseException:
        end, words = End.UNCAUGHT, traceback.format_exc()
    os.write(write, words[-4000:].encode("utf-8", "replace"))
    os._exit(end)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return ``data`` with one to four faults: flipped bits, set bytes, a part lost, doubled, zeroed or moved."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if not changed:
            break
        at = rng.randrange(len(changed))
        end = min(len(changed), at + rng.choice((1, 4, 64, 4096)))
        match rng.randrange(7):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del changed[at:]
            case 3:
                del changed[at:end]
            case 4:
                changed[at:at] = changed[at:end]
            case 5:
                changed[at:end] = bytes(end - at)
            case _:
                changed[at:end] = rng.randbytes(end - at)
    return bytes(changed)


def report(kinds: dict[str, Kind], count: int, seed: int, scratch: Path) -> int:
    """Run kinds, print the figures of each and every fault, and return how many inputs ended badly."""
    bad = 0
    for name, kind in kinds.items():
        begun = time.perf_counter()
        (scratch / name).mkdir()
        found = tally(kind(random.Random(f"{name} {seed}"), count, scratch / name))
        print(f"{name}: {found} ({time.perf_counter() - begun:.0f} s)", flush=True)
        for fault in found.faults:
            print(fault, file=sys.stderr, flush=True)
        bad += len(found.faults)
    return bad
