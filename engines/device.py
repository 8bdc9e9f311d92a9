"""GPU memory through pycuda: the primary context, buffers that grow and stay, and arrays that never leave the GPU."""

import contextlib
import weakref
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samotion.engines.engine import Array
from samotion.engines.errors import EngineError

GRAIN = 256  # bytes; what TensorRT wants its memory aligned to, and CUDA allocates by


class Device:
    """The first visible GPU's primary context, which every CUDA library of the process shares; raises EngineError."""

    def __init__(self) -> None:
        try:
            import pycuda.driver as cuda
        except ImportError as error:
            raise EngineError(f"pycuda is not installed here ({error}); pip install 'samotion[gpu]'") from error
        self.cuda: Any = cuda
        try:
            cuda.init()
            self._context: Any = cuda.Device(0).retain_primary_context()
        except cuda.Error as error:
            raise EngineError(f"the GPU does not answer ({error}); see that nvidia-smi lists it") from error

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make the context this thread's within the block."""
        self._context.push()
        try:
            yield
        finally:
            self.cuda.Context.pop()

    def synchronise(self) -> None:
        """Wait for everything on the GPU; the context must be active."""
        self.cuda.Context.synchronize()

    def close(self) -> None:
        """Let go of the context."""
        self._context = None


class Buffer:
    """GPU memory and pinned host memory of one tensor: grown where a shape needs more, kept until it is dropped."""

    def __init__(self, device: Device) -> None:
        self._cuda = device.cuda
        self._memory: Any = None
        self._size = 0
        self._pinned: NDArray[np.uint8] = np.empty(0, np.uint8)

    def address(self, size: int) -> int:
        """Return the address of at least ``size`` bytes on the GPU; nothing may use it when it has to grow."""
        if size > self._size or self._memory is None:
            self._memory, self._size = None, 0  # freed before more is taken
            wanted = rounded(size)
            self._memory, self._size = self._cuda.mem_alloc(wanted), wanted
        return int(self._memory)

    @property
    def size(self) -> int:
        """Bytes on the GPU."""
        return self._size

    def pinned(self, dtype: str, shape: tuple[int, ...]) -> Array:
        """Return pinned host memory as an array, what was in it before included."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size > len(self._pinned):
            self._pinned = self._cuda.pagelocked_empty(rounded(size), np.uint8)
        return self._pinned[:size].view(dtype).reshape(shape)


class Pool:
    """GPU memory for arrays that are kept: what one array gives back the next of its size gets."""

    def __init__(self, device: Device) -> None:
        self._cuda = device.cuda
        self._free: defaultdict[int, list[Any]] = defaultdict(list)

    def take(self, size: int) -> Any:
        """Return an allocation of at least ``size`` bytes."""
        free = self._free[rounded(size)]
        return free.pop() if free else self._cuda.mem_alloc(rounded(size))

    def give(self, size: int, memory: Any) -> None:
        """Take an allocation back."""
        self._free[rounded(size)].append(memory)


class Line:
    """A stream of one engine's work, or of kernels. done: the event that others wait for."""

    def __init__(self, device: Device) -> None:
        self.stream: Any = device.cuda.Stream()
        self.done: Any = device.cuda.Event()

    def mark(self) -> None:
        """Say that what is on the stream so far is what others wait for."""
        self.done.record(self.stream)

    def after(self, other: "Line") -> None:
        """Let what comes next here wait for all that was on ``other`` when it was last marked."""
        self.stream.wait_for_event(other.done)


class DeviceArray:
    """An array on the GPU, in C order: any engine takes it for a host array, and so does all that knows the CUDA
    array interface. Its memory goes back to its pool when it is forgotten.

    line: the stream that fills it; engines wait for it by themselves.
    """

    def __init__(self, device: Device, pool: Pool, line: Line, dtype: str, shape: tuple[int, ...]) -> None:
        self.dtype, self.shape, self.line = np.dtype(dtype), shape, line
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        memory = pool.take(self.nbytes)
        self.address = int(memory)
        self._device = device
        weakref.finalize(self, pool.give, self.nbytes, memory).atexit = False

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": int(self.line.stream.handle) or 1,
        }

    def wait(self) -> None:
        """Return when the array is filled."""
        with self._device.active():
            self.line.done.synchronize()

    def numpy(self) -> Array:
        """Return a copy on the host."""
        host = np.empty(self.shape, self.dtype)
        with self._device.active():
            self.line.stream.synchronize()
            self._device.cuda.memcpy_dtoh(host, self.address)
        return host


def rounded(size: int) -> int:
    """Return ``size`` rounded up to whole grains, at least one."""
    return max(GRAIN, -(-size // GRAIN) * GRAIN)
