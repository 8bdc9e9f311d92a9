"""A pycuda that runs on the host, over the memory and streams of fake_cuda.

Kernels are the very sources, compiled for the host (kernels_host).
"""

import ctypes
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from tests.support.gpu.fake_cuda import (
    Allocation,
    Event,
    FakeCudaError,
    FakeLogicError,
    FakeMemoryError,
    Memory,
    Stream,
)
from tests.support.gpu.kernels_host import kernels_of, library

from samotion.runtime.kernels.compile import SOURCES


class Module:
    """A cubin's kernels, run by their sources."""

    def __init__(self, memory: Memory, code: bytes) -> None:
        assert code[:4] == b"\x7fELF"
        self._memory, self._code = memory, code

    def get_function(self, name: str) -> Callable[..., None]:
        assert f".text.{name}\0".encode() in self._code
        source = next(source for source in SOURCES if name in kernels_of(source))
        entry = getattr(library(source), f"host_{name}")

        def start(*arguments: Any, grid: tuple[int, int], block: tuple[int, int, int], stream: Stream) -> None:
            held = [_value(argument) for argument in arguments]
            pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(value) for value in held))

            def work(_: Any = held) -> None:  # the values that pointers lead to
                entry(ctypes.c_uint(grid[0]), ctypes.c_uint(block[0]), 0, pointers)

            self._memory.log.append(("kernel", name))
            stream.put(work)

        return start


def _value(argument: Any) -> Any:
    kinds = {np.int32: ctypes.c_int, np.float32: ctypes.c_float, np.uint64: ctypes.c_uint64}
    return kinds[type(argument)](argument.item())


def pycuda_driver(memory: Memory) -> ModuleType:
    """Return what stands in for pycuda.driver."""
    depth: list[int] = []

    def needs_context(work: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*args: Any) -> Any:
            if not depth:
                raise FakeLogicError("invalid device context")
            return work(*args)

        return checked

    class Context:
        def push(self) -> None:
            depth.append(1)

        def detach(self) -> None:
            assert not depth, "still current"

        @staticmethod
        def pop() -> None:
            depth.pop()

        @staticmethod
        def synchronize() -> None:
            memory.log.append(("sync all",))
            memory.synchronize()

    def up(address: int, host: np.ndarray, stream: Stream) -> None:
        assert host.flags.c_contiguous
        memory.log.append(("up", host.nbytes))
        there = memory.at(address, host.nbytes)
        stream.put(lambda: there.__setitem__(slice(None), host.reshape(-1).view(np.uint8)))

    def down(host: np.ndarray, address: int, stream: Stream) -> None:
        memory.log.append(("down", host.nbytes))
        there, here = memory.at(address, host.nbytes), host.reshape(-1).view(np.uint8)
        stream.put(lambda: here.__setitem__(slice(None), there))

    def across(to: int, source: int, size: int, stream: Stream) -> None:
        memory.log.append(("copy", size))
        there, here = memory.at(to, size), memory.at(source, size)
        stream.put(lambda: there.__setitem__(slice(None), here))

    def fill(address: int, bits: int, count: int, stream: Stream) -> None:
        there = memory.at(address, 4 * count).view(np.uint32)
        stream.put(lambda: there.__setitem__(slice(None), bits))

    def pinned(size: int, dtype: Any) -> np.ndarray:
        memory.log.append(("pinned", size))
        return np.zeros(size, dtype)

    driver = ModuleType("pycuda.driver")
    driver.__dict__.update(
        init=lambda: None,
        Device=lambda _: SimpleNamespace(retain_primary_context=Context, compute_capability=lambda: (8, 9)),
        Context=Context,
        Stream=needs_context(lambda: Stream(memory)),
        Event=needs_context(Event),
        mem_alloc=needs_context(lambda size: Allocation(memory, size)),
        pagelocked_empty=needs_context(pinned),
        memcpy_htod_async=needs_context(up),
        memcpy_dtoh_async=needs_context(down),
        memcpy_dtod_async=needs_context(across),
        memset_d32_async=needs_context(fill),
        module_from_buffer=needs_context(lambda code: Module(memory, code)),
        Error=FakeCudaError,
        MemoryError=FakeMemoryError,
        LogicError=FakeLogicError,
    )
    return driver
