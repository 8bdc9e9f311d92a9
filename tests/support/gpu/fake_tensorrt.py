"""A TensorRT that runs on the host, over the memory and streams of fake_cuda: the calls that the engine makes.

A "plan" is a description of a toy, or an ONNX graph, which ONNX Runtime runs. A run whose shapes, addresses or memory
were not given fails.
"""

import json
from functools import cached_property
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidProtobuf
from tests.support.gpu.fake_cuda import FakeLogicError, Memory

Shape = tuple[int, ...]
KINDS = {"tensor(float)": "float32", "tensor(bool)": "bool", "tensor(int64)": "int64"}


class Runner:
    """An execution context of ``plan``."""

    def __init__(self, plan: "Toy | Graph", memory: Memory) -> None:
        self._plan, self._memory = plan, memory
        self._shapes: dict[str, Shape] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = 0
        self._ran = False
        self._told = 0  # how often it was told something: a graph of it is good for what it was told before

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        self._shapes[name] = shape
        self._ran = False
        self._told += 1
        self._scratch = 0  # stale: asked for again
        self._memory.log.append(("shape", name, shape))
        return True

    def infer_shapes(self) -> list[str]:
        return [name for name in self._plan.inputs if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> Shape:
        return self._plan.shapes(self._shapes)[name]

    def update_device_memory_size_for_shapes(self) -> int:
        return 1024 * (sum(sum(shape) for shape in self._shapes.values()) + 1)

    def set_device_memory(self, address: int, size: int) -> None:
        if size < self.update_device_memory_size_for_shapes() or address % 256:
            raise FakeLogicError("too little memory")
        self._memory.at(address, size)
        self._scratch = address
        self._told += 1

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address % 256 == 0, "TensorRT wants aligned memory"
        self._addresses[name] = address
        self._told += 1
        return True

    def execute_async_v3(self, stream: int) -> bool:
        """Enqueue a run with what was given by now; a first one of its shapes cannot be recorded."""
        recorded, told, scratch = self._memory.streams[stream].recorded is not None, self._told, self._scratch
        if recorded and not self._ran:
            return False
        self._ran = True
        if not recorded:
            self._memory.log.append(("run", stream))
        wanted = [name for name in (*self._plan.inputs, *self._plan.outputs) if name not in self._addresses]
        if wanted or self.infer_shapes() or not self._scratch or self._plan.fails:
            return False
        given = {name: self._at(name, self._shapes[name], kind) for name, kind in self._plan.inputs.items()}
        shapes = self._plan.shapes(self._shapes)
        answers = {name: self._at(name, shapes[name], kind) for name, kind in self._plan.outputs.items()}

        def work() -> None:
            assert not recorded or self._told == told, "a graph of a context that was told something since"
            self._memory.at(scratch, 1)
            for name, found in self._plan.run(given).items():
                answers[name][...] = found

        self._memory.streams[stream].put(work)
        return True

    def _at(self, name: str, shape: Shape, kind: str) -> np.ndarray:
        size = int(np.prod(shape, dtype=int)) * np.dtype(kind).itemsize
        found: np.ndarray = self._memory.at(self._addresses[name], size).view(kind)
        return found.reshape(shape)


class JitCache:
    """Kernels that RTX compiled; it takes those of its like."""

    def __init__(self) -> None:
        self.kernels = bytearray(b"made here:")

    def deserialize(self, blob: bytes) -> bool:
        fits = blob.startswith(b"made here:")
        if fits:
            self.kernels = bytearray(blob)
        return fits

    def serialize(self) -> bytes:
        return bytes(self.kernels)


class Toy:
    """y = 2 x + shift, total = the sum of x's rows."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.inputs: dict[str, str] = plan["inputs"]
        self.outputs: dict[str, str] = plan["outputs"]
        self.fails = bool(plan.get("fails"))

    def shapes(self, given: dict[str, Shape]) -> dict[str, Shape]:
        return {"y": given["x"], "total": given["x"][:1]}

    def run(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": 2 * given["x"] + given["shift"], "total": given["x"].sum(1)}


class Graph:
    """An ONNX graph on one core. Which shapes its answers have it finds out by answering, once."""

    fails = False

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._known: dict[tuple[Shape, ...], dict[str, Shape]] = {}

    @cached_property
    def _session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self._data, options, providers=["CPUExecutionProvider"])

    @cached_property
    def inputs(self) -> dict[str, str]:
        return {tensor.name: KINDS[tensor.type] for tensor in self._session.get_inputs()}

    @cached_property
    def outputs(self) -> dict[str, str]:
        return {tensor.name: KINDS[tensor.type] for tensor in self._session.get_outputs()}

    def shapes(self, given: dict[str, Shape]) -> dict[str, Shape]:
        key = tuple(given[name] for name in self.inputs)
        if key not in self._known:
            nothing = {name: np.zeros(given[name], kind) for name, kind in self.inputs.items()}
            self._known[key] = {name: found.shape for name, found in self.run(nothing).items()}
        return self._known[key]

    def run(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self.outputs, self._session.run(list(self.outputs), given), strict=True))


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
                plan = Toy(json.loads(data)) if data[:1] == b"{" else Graph(data)
                tensors = {**plan.inputs, **plan.outputs}
            except (ValueError, KeyError, InvalidProtobuf):  # neither a toy nor a graph
                self._log.log(
                    Logger.ERROR,
                    "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion magic "
                    "failed. In deserialize at /_src/runtime.cpp:123)",
                )
                return None
            return SimpleNamespace(
                get_tensor_dtype=tensors.__getitem__,
                create_runtime_config=Config,
                create_execution_context=lambda how: (
                    Runner(plan, memory) if getattr(how, "strategy", how) == "by user" else None
                ),
            )

    class Config:
        def create_runtime_cache(self) -> JitCache:
            return JitCache()

        def set_runtime_cache(self, cache: JitCache) -> None:
            memory.log.append(("kernels", bytes(cache.kernels)))
            cache.kernels += b"+"  # what is compiled from now on

        def set_execution_context_allocation_strategy(self, strategy: str) -> None:
            self.strategy = strategy

        def __setattr__(self, name: str, value: str) -> None:
            memory.log.append((name, value))
            super().__setattr__(name, value)

    trt = ModuleType("tensorrt")
    trt.__dict__.update(
        __version__=version,
        ILogger=Logger,
        Runtime=Runtime,
        nptype=lambda name: np.dtype(name).type,
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="by user"),
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="before they run"),
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="as a graph"),
    )
    return trt
