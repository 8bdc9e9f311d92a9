"""GPU memory through pycuda: the primary context, buffers that grow and stay, and arrays that never leave the GPU."""

import atexit
import contextlib
import math
import operator
import weakref
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samotion.engines.engine import Array
from samotion.engines.errors import EngineError

GRAIN = 256  # bytes; what TensorRT wants its memory aligned to, and CUDA allocates by
# Copies of one size that may be on their way, one more waits for the first; fewer where they are large.
IN_FLIGHT, IN_FLIGHT_BYTES = 32, 2**20
PINNED = 2**25  # bytes of the largest copy; a window's frames (3 GB at 4K) go up in such pieces, by way of two blocks


class Device:
    """The first visible GPU's primary context, which every CUDA library of the process shares; raises EngineError.

    capability: its compute capability, 89 for 8.9. attached: what else is kept as long as it, by who keeps it.
    """

    def __init__(self) -> None:
        try:
            import pycuda.driver as cuda
        except ImportError as error:
            raise EngineError(f"pycuda is not installed here ({error}); pip install 'samotion[gpu]'") from error
        self.cuda: Any = cuda
        try:
            cuda.init()
            self._context: Any = _primary_context(cuda)
            major, minor = cuda.Device(0).compute_capability()
        except cuda.Error as error:
            raise EngineError(f"the GPU does not answer ({error}); see that nvidia-smi lists it") from error
        self.attached: dict[object, Any] = {}
        self.capability = 10 * int(major) + int(minor)

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
        """Let go of what is attached; the context is the process's."""
        with self.active():  # pycuda frees memory of another thread's context only where that is current
            self.attached.clear()


def _primary_context(cuda: Any) -> Any:
    """Return the first GPU's primary context, retained once by each process and let go of when that ends.

    pycuda (2026.1) leaves a context that it lets go of current in the thread that does, and takes one that it merely
    forgets for one that it made.
    """
    if cuda not in _PRIMARY:
        _PRIMARY[cuda] = cuda.Device(0).retain_primary_context()
    return _PRIMARY[cuda]


_PRIMARY: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


@atexit.register
def _let_go() -> None:
    for context in _PRIMARY.values():
        context.detach()


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
    def where(self) -> int:
        """The address on the GPU, 0 while there is none."""
        return int(self._memory) if self._size else 0

    @property
    def size(self) -> int:
        """Bytes on the GPU."""
        return self._size

    def pinned(self, dtype: str, shape: tuple[int, ...]) -> Array:
        """Return pinned host memory as an array, what was in it before included."""
        size = size_of(dtype, shape)
        if size > len(self._pinned):
            self._pinned = self._cuda.pagelocked_empty(rounded(size), np.uint8)
        return self._pinned[:size].view(dtype).reshape(shape)


class Pool:
    """GPU memory for the arrays that one stream fills: what a forgotten one gives back the next of its size gets."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._free: defaultdict[int, list[Any]] = defaultdict(list)

    def array(self, stream: "Stream", dtype: Any, shape: tuple[int, ...]) -> "DeviceArray":
        """Return an array for what ``stream`` is about to write."""
        size = coarse(size_of(dtype, shape))
        free = self._free[size]
        memory = free.pop() if free else self._device.cuda.mem_alloc(size)
        return DeviceArray(self._device, stream, dtype, shape, _Lease(memory, free), int(memory))


class _Lease:
    """An allocation in use: it goes back when the last array over it is forgotten."""

    def __init__(self, memory: Any, free: list[Any]) -> None:
        self._memory, self._free = memory, free

    def __del__(self) -> None:
        self._free.append(self._memory)


class Uploads:
    """Host arrays on their way to the GPU, by way of pinned memory: for each size a few blocks, used in rotation."""

    def __init__(self, device: Device) -> None:
        self._cuda = device.cuda
        self._blocks: dict[int, deque[tuple[NDArray[np.uint8], Any]]] = {}

    def send(self, host: Array, address: int, stream: "Stream") -> None:
        """Copy ``host``, C order, to ``address``, behind all that is on ``stream``; it may change at once."""
        whole = host.reshape(-1).view(np.uint8)
        for start in range(0, host.nbytes, PINNED):
            piece = whole[start : start + PINNED]
            blocks = self._of(coarse(len(piece)))
            pinned, copied = blocks[0]
            copied.synchronize()
            part = pinned[: len(piece)]
            part[:] = piece
            self._cuda.memcpy_htod_async(address + start, part, stream.cuda)
            copied.record(stream.cuda)
            blocks.rotate(-1)

    def _of(self, size: int) -> deque[tuple[NDArray[np.uint8], Any]]:
        """Return the blocks of one size, each with the event that says when its last copy is over."""
        if size not in self._blocks:
            count = 2 if size == PINNED else max(1, min(IN_FLIGHT, IN_FLIGHT_BYTES // size))
            whole = self._cuda.pagelocked_empty(count * size, np.uint8)
            self._blocks[size] = deque((part, self._cuda.Event()) for part in np.split(whole, count))
        return self._blocks[size]


class Stream:
    """A stream of one engine's work, or of kernels. cuda: pycuda's. done: the event that others wait for."""

    def __init__(self, device: Device) -> None:
        self.cuda: Any = device.cuda.Stream()
        self.done: Any = device.cuda.Event()

    def room(self, buffer: Buffer, size: int) -> int:
        """Return the address of at least ``size`` bytes; what runs here may use the buffer until it has to grow."""
        if size > buffer.size:
            self.cuda.synchronize()
        return buffer.address(size)

    def mark(self) -> None:
        """Say that what is on the stream so far is what others wait for."""
        self.done.record(self.cuda)

    def after(self, other: "Stream") -> None:
        """Let what comes next here wait for all that was on ``other`` when it was last marked."""
        self.cuda.wait_for_event(other.done)


class DeviceArray:
    """An array on the GPU, in C order: any engine takes it for a host array, and so does all that knows the CUDA
    array interface.

    stream: that fills it; engines and kernels wait for it by themselves. memory: kept as long as the array
    and its parts.
    """

    def __init__(
        self, device: Device, stream: Stream, dtype: Any, shape: tuple[int, ...], memory: object, address: int
    ) -> None:
        self.dtype, self.shape, self.stream, self.address = np.dtype(dtype), shape, stream, address
        self.nbytes = size_of(dtype, shape)
        self._device, self._memory = device, memory

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> "Iterator[DeviceArray]":
        """Yield one row after the other."""
        return (self[row] for row in range(len(self)))

    def __getitem__(self, rows: int | slice) -> "DeviceArray":
        """Return a part along the first axis, without a copy: one row, or those of a slice without a step."""
        inner = self.shape[1:]
        row = math.prod(inner) * self.dtype.itemsize
        if isinstance(rows, slice):
            first, last, step = rows.indices(len(self))
            if step != 1:
                raise IndexError(f"rows {rows} of an array on the GPU: expected a slice without a step")
            return self._over((max(0, last - first), *inner), first * row)
        number = operator.index(rows)
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of an array on the GPU with {len(self)}")
        return self._over(inner, number * row)

    def reshape(self, *shape: int) -> "DeviceArray":
        """Return the same numbers in another shape, without a copy."""
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"an array {self.shape} on the GPU does not become {shape}")
        return self._over(shape, 0)

    def _over(self, shape: tuple[int, ...], offset: int) -> "DeviceArray":
        return DeviceArray(self._device, self.stream, self.dtype, shape, self._memory, self.address + offset)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": int(self.stream.cuda.handle) or 1,
        }

    def numpy(self) -> Array:
        """Return a copy on the host, without waiting for anything but this array."""
        host = np.empty(self.shape, self.dtype)
        if host.nbytes:
            with self._device.active():
                self._device.cuda.memcpy_dtoh_async(host, self.address, self.stream.cuda)
                self.stream.cuda.synchronize()
        return host


def size_of(dtype: Any, shape: tuple[int, ...]) -> int:
    """Return the bytes of an array."""
    return math.prod(shape) * int(np.dtype(dtype).itemsize)


def coarse(size: int) -> int:
    """Return ``size`` rounded up to one of eight steps between powers of two, so that nearby sizes share memory."""
    step = max(GRAIN, 1 << max(0, size.bit_length() - 4))
    return max(GRAIN, -(-size // step) * step)


def rounded(size: int) -> int:
    """Return ``size`` rounded up to whole grains, at least one."""
    return max(GRAIN, -(-size // GRAIN) * GRAIN)
