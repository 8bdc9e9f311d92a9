"""A TensorRT and a pycuda that run on the host: the calls that the engine makes, with the rules that they have.

The "plan" is a pickle-free description: a function by name. GPU memory is bytes behind made-up addresses; reading
memory that was freed, was never written or is outside an allocation fails, as does a run whose shapes, addresses or
memory were not given. Copies and runs happen at once: order between streams is not simulated, it is recorded.
"""

import json
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

Shape = tuple[int, ...]


class Memory:
    """All GPU memory. log: what happened, in order."""

    def __init__(self) -> None:
        self.blocks: dict[int, np.ndarray] = {}
        self.log: list[tuple[Any, ...]] = []
        self.limit = 1 << 40
        self._next = 1 << 20

    def take(self, size: int) -> int:
        """Return the address of new memory."""
        if sum(map(len, self.blocks.values())) + size > self.limit:
            raise FakeMemoryError("cuMemAlloc failed: out of memory")
        address, self._next = self._next, self._next + size + 4096
        self.blocks[address] = np.full(size, 0xFF, np.uint8)
        self.log.append(("alloc", size))
        return address

    def at(self, address: int, size: int) -> np.ndarray:
        """Return ``size`` bytes at an address, which must lie in one allocation."""
        for start, block in self.blocks.items():
            if start <= address and address + size <= start + len(block):
                return block[address - start : address - start + size]
        raise FakeLogicError(f"cuMemcpy failed: invalid argument {address}+{size}")

    def count(self, what: str) -> int:
        return sum(entry[0] == what for entry in self.log)


class FakeCudaError(Exception):
    pass


class FakeMemoryError(FakeCudaError):
    pass


class FakeLogicError(FakeCudaError):
    pass


class Allocation:
    def __init__(self, memory: Memory, size: int) -> None:
        self._memory = memory
        self._address = -1
        self._address = memory.take(size)

    def __int__(self) -> int:
        return self._address

    def __del__(self) -> None:
        self._memory.blocks.pop(self._address, None)


class Stream:
    def __init__(self, memory: Memory) -> None:
        self.handle = id(self)
        self._memory = memory

    def synchronize(self) -> None:
        self._memory.log.append(("sync", self.handle))

    def wait_for_event(self, event: "Event") -> None:
        self._memory.log.append(("wait", self.handle, event.on))


class Event:
    def __init__(self) -> None:
        self.on: int | None = None

    def record(self, stream: Stream) -> None:
        self.on = stream.handle

    def synchronize(self) -> None:
        pass


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

        @staticmethod
        def pop() -> None:
            depth.pop()

        @staticmethod
        def synchronize() -> None:
            memory.log.append(("sync all",))

    def to_device(address: int, host: np.ndarray, *_: Any) -> None:
        assert host.flags.c_contiguous
        memory.at(address, host.nbytes)[:] = np.ascontiguousarray(host).reshape(-1).view(np.uint8)

    def to_host(host: np.ndarray, address: int, *_: Any) -> None:
        host.reshape(-1).view(np.uint8)[:] = memory.at(address, host.nbytes)

    def pinned(size: int, dtype: Any) -> np.ndarray:
        memory.log.append(("pinned", size))
        return np.zeros(size, dtype)

    driver = ModuleType("pycuda.driver")
    driver.__dict__.update(
        init=lambda: None,
        Device=lambda _: SimpleNamespace(retain_primary_context=Context),
        Context=Context,
        Stream=needs_context(lambda: Stream(memory)),
        Event=needs_context(Event),
        mem_alloc=needs_context(lambda size: Allocation(memory, size)),
        pagelocked_empty=needs_context(pinned),
        memcpy_htod_async=needs_context(to_device),
        memcpy_dtoh_async=needs_context(to_host),
        memcpy_dtoh=needs_context(to_host),
        Error=FakeCudaError,
        MemoryError=FakeMemoryError,
        LogicError=FakeLogicError,
    )
    return driver


class Runner:
    """An execution context. The plan: inputs and outputs by name with dtypes, and which work they are for."""

    def __init__(self, plan: dict[str, Any], memory: Memory) -> None:
        self._plan, self._memory = plan, memory
        self._shapes: dict[str, Shape] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = 0

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        self._shapes[name] = shape
        self._scratch = 0  # stale: asked for anew
        self._memory.log.append(("shape", name, shape))
        return True

    def infer_shapes(self) -> list[str]:
        return [name for name in self._plan["inputs"] if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> Shape:
        x = self._shapes["x"]
        return {"y": x, "total": (x[0],)}[name]

    def update_device_memory_size_for_shapes(self) -> int:
        return 1024 * self._shapes["x"][0]

    def set_device_memory(self, address: int, size: int) -> None:
        if size < self.update_device_memory_size_for_shapes() or address % 256:
            raise FakeLogicError("too little memory")
        self._memory.at(address, size)
        self._scratch = address

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        """Run: y = 2 x + shift, total = the sum of x's rows."""
        self._memory.log.append(("run", stream))
        if self._infer() or not self._scratch or self._plan.get("fails"):
            return False
        x, shift = self._read("x"), self._read("shift")
        self._write("y", 2 * x + shift)
        self._write("total", x.sum(1))
        return True

    def _infer(self) -> list[str]:
        return self.infer_shapes() + [name for name in ("y", "total") if name not in self._addresses]

    def _read(self, name: str) -> np.ndarray:
        dtype, shape = np.dtype(self._plan["inputs"][name]), self._shapes[name]
        size = int(np.prod(shape, dtype=int)) * dtype.itemsize
        found: np.ndarray = self._memory.at(self._addresses[name], size).view(dtype)
        return found.reshape(shape)

    def _write(self, name: str, value: np.ndarray) -> None:
        data = np.ascontiguousarray(value, self._plan["outputs"][name]).reshape(-1).view(np.uint8)
        self._memory.at(self._addresses[name], len(data))[:] = data


def tensorrt(memory: Memory, version: str = "10.13.2.6") -> ModuleType:
    """Return what stands in for the tensorrt module, as far as running a plan goes."""

    class Logger:
        ERROR, INTERNAL_ERROR = "error", "internal"

        def __init__(self) -> None:
            pass

    class Runtime:
        def __init__(self, log: Any) -> None:
            self._log = log
            self.engine_host_code_allowed = False

        def deserialize_cuda_engine(self, data: bytes) -> Any:
            try:
                plan = json.loads(data)
            except ValueError:
                self._log.log(
                    Logger.ERROR,
                    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion magic "
                    "failed. In deserialize at /_src/runtime.cpp:123)",
                )
                return None
            tensors = {**plan["inputs"], **plan["outputs"]}
            return SimpleNamespace(
                get_tensor_dtype=tensors.__getitem__,
                create_execution_context=lambda strategy: Runner(plan, memory) if strategy == "by user" else None,
            )

    trt = ModuleType("tensorrt")
    trt.__dict__.update(
        __version__=version,
        ILogger=Logger,
        Runtime=Runtime,
        nptype=lambda name: np.dtype(name).type,
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="by user"),
    )
    return trt
