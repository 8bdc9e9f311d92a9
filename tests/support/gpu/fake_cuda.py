"""A GPU's memory, streams and events on the host, with the rules that they have.

GPU memory is the host's, at its real addresses; reading memory that was freed or is outside an allocation fails, what
was never written is NaN, and whoever writes behind an allocation is found out. Streams are as lazy as they may be:
nothing on one happens until somebody waits for it, and then no more than that, so that what is not made to wait for
what fills its inputs comes too early. Or they get on by chance, each at its own pace, so that what does not wait
for those that still read what it writes over comes too early as well. tests/fake_pycuda.py is pycuda over them.
"""

import bisect
import ctypes
import functools
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

Work = Callable[[], object]

GUARD = 256  # bytes behind an allocation that nobody may write
SMALL = 2**20  # a freed allocation of less is nobody's again, so that whoever still knows its address is found out
RUBBISH, CANARY = 0xFF, 0xA5


class FakeCudaError(Exception):
    pass


class FakeMemoryError(FakeCudaError):
    pass


class FakeLogicError(FakeCudaError):
    pass


class Memory:
    """All GPU memory. log: what happened, in order. strangers: addresses of others may be read, too.

    seed: lets streams get on by chance; None: they are lazy.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._chance = None if seed is None else random.Random(seed)
        self.blocks: dict[int, np.ndarray] = {}
        self.log: list[tuple[Any, ...]] = []
        self.limit = 1 << 40
        self.graphs = 0  # CUDA graphs that somebody still holds
        self.strangers = False
        self.streams: dict[int, Stream] = {}
        self._starts: list[int] = []
        self._whole: dict[int, np.ndarray] = {}
        self._gone: list[np.ndarray] = []

    def take(self, size: int) -> int:
        """Return the address of new memory."""
        self.not_while_recording()
        if sum(map(len, self.blocks.values())) + size > self.limit:
            raise FakeMemoryError("cuMemAlloc failed: out of memory")
        whole = np.full(size + 2 * GUARD, CANARY, np.uint8)
        address = -(-whole.ctypes.data // GUARD) * GUARD
        first = address - whole.ctypes.data
        self._whole[address], self.blocks[address] = whole[first + size :], whole[first : first + size]
        self.blocks[address][:] = RUBBISH
        bisect.insort(self._starts, address)
        self.log.append(("alloc", size))
        return address

    def free(self, address: int) -> None:
        """Forget an allocation, once all is done, as cuMemFree does."""
        if address not in self.blocks:
            return
        self.synchronize()
        whole = self._whole.pop(address)
        assert (whole == CANARY).all(), "written behind an allocation"
        self._gone += [whole] if len(self.blocks[address]) < SMALL else []
        self.blocks.pop(address)[:] = RUBBISH
        self._starts.remove(address)

    def at(self, address: int, size: int) -> np.ndarray:
        """Return ``size`` bytes at an address, which must lie in one allocation."""
        place = bisect.bisect_right(self._starts, address) - 1
        if place >= 0:
            start = self._starts[place]
            block = self.blocks[start]
            if address + size <= start + len(block):
                return block[address - start : address - start + size]
        if self.strangers:
            return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        raise FakeLogicError(f"cuMemcpy failed: invalid argument {address}+{size}")

    def count(self, what: str) -> int:
        return sum(entry[0] == what for entry in self.log)

    def not_while_recording(self) -> None:
        """What CUDA refuses while a stream is recorded."""
        if any(stream.recorded is not None for stream in self.streams.values()):
            raise FakeLogicError("operation not permitted when stream is capturing")

    def get_on(self) -> None:
        """Let some stream do some of its work, or not."""
        if self._chance is not None and self._chance.random() < 0.5:
            stream = self._chance.choice(list(self.streams.values()))
            stream.run_to(min(stream.issued, stream.done + self._chance.randrange(12)))

    def synchronize(self) -> None:
        for stream in list(self.streams.values()):
            stream.run_to(stream.issued)


class Allocation:
    def __init__(self, memory: Memory, size: int) -> None:
        self._memory = memory
        self._address = -1
        self._address = memory.take(size)

    def __int__(self) -> int:
        return self._address

    def __del__(self) -> None:
        self._memory.free(self._address)


class Stream:
    """Work in order. issued, done: how much was put on it, and is done. recorded: what is put on it for a graph."""

    def __init__(self, memory: Memory) -> None:
        self.handle = id(self)
        self.issued = self.done = 0
        self.recorded: list[Work] | None = None
        self._memory = memory
        self._todo: deque[Work] = deque()
        self._busy = False
        memory.streams[self.handle] = self

    def put(self, work: Work) -> None:
        if self.recorded is not None:
            self.recorded.append(work)
            return
        self._todo.append(work)
        self.issued += 1
        self._memory.get_on()

    def run_to(self, count: int) -> None:
        if self._busy:  # what it waits for waits for what it did before
            return
        self._busy = True
        try:
            while self.done < count:
                self._todo.popleft()()
                self.done += 1
        finally:
            self._busy = False

    def synchronize(self) -> None:
        self._memory.not_while_recording()
        self._memory.log.append(("sync", self.handle))
        self.run_to(self.issued)

    def wait_for_event(self, event: "Event") -> None:
        self._memory.not_while_recording()
        self._memory.log.append(("wait", self.handle, event.on))
        if event.stream is not None:
            self.put(functools.partial(event.stream.run_to, event.place))


class Event:
    """A place on a stream; when it is reached is written down, so that two of them tell the time between."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.place = 0
        self._reached: list[float] = []

    @property
    def on(self) -> int | None:
        return None if self.stream is None else self.stream.handle

    def record(self, stream: Stream) -> None:
        reached = self._reached = []  # its own: that of the record before may still be to come
        stream.put(lambda: reached.append(time.perf_counter()))
        self.stream, self.place = stream, stream.issued

    def query(self) -> bool:
        return self.stream is None or self.stream.done >= self.place

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.run_to(self.place)

    def time_till(self, end: "Event") -> float:
        """Return milliseconds from here to ``end``."""
        if self.stream is None or end.stream is None:
            raise FakeLogicError("cuEventElapsedTime failed: invalid resource handle")
        if not (self.query() and end.query()):
            raise FakeLogicError("cuEventElapsedTime failed: device not ready")
        return 1e3 * (end._reached[0] - self._reached[0])

    def time_since(self, start: "Event") -> float:
        return start.time_till(self)
