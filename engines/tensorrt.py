"""The TensorRT backend: one plan on the GPU, its memory kept from call to call."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from samotion.engines.backends import BACKENDS
from samotion.engines.device import Buffer, Device, DeviceArray, Line, Pool
from samotion.engines.engine import Array, OnDevice, TensorSpec, fitted, fitted_there, is_on_device
from samotion.engines.errors import EngineError
from samotion.engines.manifest import PlanEntry
from samotion.engines.plan_log import first_reason, logger
from samotion.engines.preflight import rebuild

Shapes = dict[str, tuple[int, ...]]


class TensorRtEngine:
    """One plan on TensorRT or TensorRT-RTX.

    path: the plan. plan: its entry in the manifest. inputs, outputs: its tensors. device: the GPU, shared by engines.
    Inputs are NumPy arrays, or arrays on the GPU: DeviceArrays, or anything with the CUDA array interface
    (``__cuda_array_interface__``) in C order. GPU and pinned memory grow to the largest shapes seen and stay; calls
    from several threads take turns. Raises EngineError if the plan does not load.
    """

    def __init__(
        self,
        path: Path,
        plan: PlanEntry,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        device: Device,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._name = path.name.split(".")[0]
        self._plan = plan
        self._device = device
        self._lock = Lock()
        backend = BACKENDS[plan.backend]
        trt: Any = backend.load()
        self._log = logger(trt)
        mend = rebuild(path.parent, plan.backend)
        with self._failing_clearly(), device.active():
            runtime = trt.Runtime(self._log)
            runtime.engine_host_code_allowed = plan.version_compatible  # such plans bring their own runtime
            self._runtime, self._engine = runtime, runtime.deserialize_cuda_engine(path.read_bytes())
            if self._engine is None:
                raise EngineError(
                    f"{path}: {plan.backend} does not load it ({first_reason(self._log.errors)}); {mend}"
                )
            self._context: Any = backend.context(trt, self._engine)
            if self._context is None:
                raise EngineError(f"{path}: cannot be run ({first_reason(self._log.errors)}); free GPU memory")
            for spec in (*inputs, *outputs):
                found = np.dtype(trt.nptype(self._engine.get_tensor_dtype(spec.name))).name
                if found != spec.dtype:
                    raise EngineError(f"{path}: {spec.name} is {found}, the manifest states {spec.dtype}; {mend}")
            self._line = Line(device)
            self._uploaded = device.cuda.Event()
            self._pool = Pool(device)
            self._buffers = {spec.name: Buffer(device) for spec in (*inputs, *outputs)}
            self._scratch = Buffer(device)
        self._shapes: Shapes = {}
        self._producers: list[Line] = []
        self._strangers: list[Any] = []

    def __call__(self, **inputs: Array | OnDevice) -> Mapping[str, NDArray[np.float32]]:
        """Run once; raises EngineError where an input fits neither its spec nor the plan, or the run fails."""
        with self._turn():
            shapes = self._prepare(inputs)
            answers = {}
            for spec in self.outputs:
                host = self._buffers[spec.name].pinned(spec.dtype, shapes[spec.name])
                self._context.set_tensor_address(spec.name, self._buffers[spec.name].address(host.nbytes))
                answers[spec.name] = host
            self._run()
            for name, host in answers.items():
                self._device.cuda.memcpy_dtoh_async(host, self._buffers[name].address(host.nbytes), self._line.stream)
            self._line.stream.synchronize()
            return {name: host.astype(np.float32) for name, host in answers.items()}  # a copy: the buffer is reused

    def on_device(self, **inputs: Array | OnDevice) -> dict[str, DeviceArray]:
        """Run once as a call does, and leave the answers on the GPU, without waiting for them."""
        with self._turn():
            shapes = self._prepare(inputs)
            answers = {
                spec.name: self._pool.array(self._line, spec.dtype, shapes[spec.name]) for spec in self.outputs
            }
            for name, answer in answers.items():
                self._context.set_tensor_address(name, answer.address)
            self._run()
            return answers

    def close(self) -> None:
        """Free the plan and its memory."""
        with self._lock:
            if self._context is None:
                return
            with self._device.active():
                self._line.stream.synchronize()
                self._context = self._engine = self._runtime = None
                self._buffers.clear()
                del self._scratch, self._pool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the engine and its GPU to oneself."""
        with self._lock:
            if self._context is None:
                raise EngineError(f"engine {self._name} is closed")
            self._log.errors.clear()
            with self._failing_clearly(), self._device.active():
                yield

    @contextlib.contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        """Turn what pycuda raises into one line."""
        try:
            yield
        except self._device.cuda.MemoryError as error:
            raise EngineError(
                f"engine {self._name}: the GPU's memory is full; use a smaller --window or --max-side, or free some"
            ) from error
        except self._device.cuda.Error as error:
            raise EngineError(f"engine {self._name} failed: {first_reason([str(error)])}") from error

    def _prepare(self, inputs: Mapping[str, Any]) -> Shapes:
        """Bring the inputs to the GPU and return every output's shape."""
        host: dict[str, Array] = {}
        there: dict[str, OnDevice] = {}
        for spec in self.inputs:
            given = inputs.get(spec.name)
            if is_on_device(given):
                there[spec.name] = fitted_there(self._name, spec, given)
            else:
                host[spec.name] = fitted(self._name, spec, inputs)
        shapes = {name: array.shape for name, array in host.items()}
        shapes |= {name: tuple(array.__cuda_array_interface__["shape"]) for name, array in there.items()}
        self._check_lengths(shapes)
        if self._strangers:
            self._line.done.synchronize()  # whose memory may go as soon as we let go of them
        self._strangers = [array for array in there.values() if not isinstance(array, DeviceArray)]
        if host:
            self._uploaded.synchronize()  # a run before may still read its pinned memory
            for spec in self.inputs:
                if spec.name in host:
                    self._upload(spec, host[spec.name])
            self._uploaded.record(self._line.stream)
        for name, array in there.items():
            self._context.set_tensor_address(name, int(array.__cuda_array_interface__["data"][0]))
        if self._strangers:
            self._device.synchronise()  # their streams are known by number only
        lines = [array.line for array in there.values() if isinstance(array, DeviceArray)]
        self._producers = list({id(line): line for line in lines}.values())
        for producer in self._producers:
            self._line.after(producer)
        if shapes != self._shapes:
            self._shapes = {}  # of a half-done change nothing is known
            self._reshape(shapes)
            self._shapes = shapes
        return {spec.name: tuple(self._context.get_tensor_shape(spec.name)) for spec in self.outputs}

    def _check_lengths(self, shapes: Shapes) -> None:
        """Raise EngineError where an axis is outside the plan's profile."""
        for spec in self.inputs:
            least, _, most = self._plan.profile[spec.name]
            for axis, low, length, high in zip(spec.shape, least, shapes[spec.name], most, strict=True):
                if not low <= length <= high:
                    raise EngineError(
                        f"engine {self._name}: {spec.name} is {length} long in {axis}, plans take {low} to {high}; "
                        "change --window, --max-side or --max-tracks, or use --provider cuda"
                    )

    def _upload(self, spec: TensorSpec, array: Array) -> None:
        """Copy a host array to the GPU by way of pinned memory."""
        buffer = self._buffers[spec.name]
        pinned = buffer.pinned(spec.dtype, array.shape)
        np.copyto(pinned, array)
        if array.nbytes > buffer.size:
            self._line.stream.synchronize()  # a run may still use what is about to be freed
        address = buffer.address(array.nbytes)
        self._device.cuda.memcpy_htod_async(address, pinned, self._line.stream)
        self._context.set_tensor_address(spec.name, address)

    def _reshape(self, shapes: Shapes) -> None:
        """Tell the context of new shapes and give it the memory they need."""
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._failed()
        if self._context.infer_shapes():
            raise self._failed()
        need = int(self._context.update_device_memory_size_for_shapes())
        if need > self._scratch.size:
            self._line.stream.synchronize()
        address = self._scratch.address(need)
        self._context.set_device_memory(address, self._scratch.size)

    def _run(self) -> None:
        """Enqueue the run; whoever made an input on the GPU may write over it only after the run."""
        if not self._context.execute_async_v3(self._line.stream.handle):
            raise self._failed()
        self._line.mark()
        for producer in self._producers:
            producer.after(self._line)

    def _failed(self) -> EngineError:
        return EngineError(f"engine {self._name} failed: {first_reason(self._log.errors)}")
