"""The TensorRT backend: one plan on the GPU, its memory kept from call to call."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from samotion.engines.cache import cache_folder
from samotion.engines.device import GRAIN, Buffer, Device, DeviceArray, Pool, Stream, size_of
from samotion.engines.engine import Array, OnDevice, TensorSpec, fitted, fitted_there, is_on_device
from samotion.engines.errors import EngineError
from samotion.engines.manifest import PlanEntry
from samotion.engines.preflight import rebuild
from samotion.engines.trt.context import Context, Place, Places, Shapes
from samotion.engines.trt.cuda_graphs import CaptureError, Graphs, Replay
from samotion.engines.trt.flavours import BACKENDS
from samotion.engines.trt.kernel_cache import KeptKernels
from samotion.engines.trt.log import first_reason, logger


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
        repair = rebuild(path.parent, plan.backend)
        with self._failing_clearly(), device.active():
            runtime = trt.Runtime(self._log)
            runtime.engine_host_code_allowed = plan.version_compatible  # such plans bring their own runtime
            self._runtime, self._engine = runtime, runtime.deserialize_cuda_engine(path.read_bytes())
            if self._engine is None:
                raise EngineError(
                    f"{path}: {plan.backend} does not load it ({first_reason(self._log.errors)}); {repair}"
                )
            for spec in (*inputs, *outputs):
                found = np.dtype(trt.nptype(self._engine.get_tensor_dtype(spec.name))).name
                if found != spec.dtype:
                    raise EngineError(f"{path}: {spec.name} is {found}, the manifest states {spec.dtype}; {repair}")
            kept = f"{self._name}-sm{device.capability}-{plan.version}-{plan.sha256[:32]}"
            self._kernels = KeptKernels(cache_folder() / plan.backend / kept)
            self._stream = Stream(device)
            self._uploaded = device.cuda.Event()
            self._pool = Pool(device)
            self._buffers = {spec.name: Buffer(device) for spec in (*inputs, *outputs)}
            self._scratch = Buffer(device)

            def new_context() -> Context:
                made = backend.context(trt, self._engine, self._kernels)
                if made is None:
                    raise EngineError(f"{path}: cannot be run ({first_reason(self._log.errors)}); free GPU memory")
                return Context(made, [spec.name for spec in outputs], self._stream, self._scratch, self._failed)

            self._context: Context | None = new_context()
            self._graphs: Graphs | None = None
            if not backend.just_in_time:
                self._graphs = Graphs(
                    self._name, device.cuda, self._stream, self._buffers, self._scratch, new_context
                )
        self._producers: list[Stream] = []
        self._strangers: list[Any] = []

    def __call__(self, **inputs: Array | OnDevice) -> Mapping[str, NDArray[np.float32]]:
        """Run once; raises EngineError where an input fits neither its spec nor the plan, or the run fails."""
        with self._turn():
            places, run = self._prepare(inputs)
            host = {
                spec.name: self._buffers[spec.name].pinned(spec.dtype, run.answers[spec.name])
                for spec in self.outputs
            }
            outputs = {
                name: Place(self._stream.room(self._buffers[name], array.nbytes), array.nbytes)
                for name, array in host.items()
            }
            self._run(run, places, outputs)
            for name, array in host.items():
                self._device.cuda.memcpy_dtoh_async(array, outputs[name].address, self._stream.cuda)
            self._stream.cuda.synchronize()
            return {name: array.astype(np.float32) for name, array in host.items()}  # a copy: the buffer is reused

    def on_device(self, **inputs: Array | OnDevice) -> dict[str, DeviceArray]:
        """Run once as a call does, and leave the answers on the GPU, without waiting for them."""
        with self._turn():
            places, run = self._prepare(inputs)
            answers = {
                spec.name: self._pool.array(self._stream, spec.dtype, run.answers[spec.name]) for spec in self.outputs
            }
            self._run(run, places, {name: Place(answer.address, answer.nbytes) for name, answer in answers.items()})
            return answers

    def close(self) -> None:
        """Free the plan and its memory."""
        with self._lock:
            if self._context is None:
                return
            with self._device.active():
                self._stream.cuda.synchronize()
                if self._graphs is not None:
                    self._graphs.close()
                else:
                    self._kernels.save()
                self._graphs = self._context = self._engine = self._runtime = None
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
        """Turn what the driver says into one line."""
        try:
            yield
        except self._device.cuda.MemoryError as error:
            raise EngineError(
                f"engine {self._name}: the GPU's memory is full; use a smaller --window or --max-side, or free some"
            ) from error
        except (self._device.cuda.Error, CaptureError) as error:
            raise EngineError(f"engine {self._name} failed: {first_reason([str(error)])}") from error

    def _prepare(self, inputs: Mapping[str, Any]) -> tuple[Places, Context | Replay]:
        """Bring the inputs to the GPU; return where they are, and what runs them."""
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
        places = self._await(there) | self._upload(host)
        return places, self._runner(shapes, places)

    def _runner(self, shapes: Shapes, places: Places) -> Context | Replay:
        """Return what runs inputs of these shapes."""
        replay = self._graphs.of(shapes, places, self._sizes) if self._graphs is not None else None
        if replay is not None:
            return replay
        assert self._context is not None
        self._context.fit(shapes)
        return self._context

    def _sizes(self, answers: Shapes) -> dict[str, int]:
        """Return the outputs' sizes in bytes."""
        return {spec.name: size_of(spec.dtype, answers[spec.name]) for spec in self.outputs}

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

    def _await(self, there: Mapping[str, OnDevice]) -> dict[str, Place]:
        """Let what comes next wait for who fills these arrays; return where they are."""
        if self._strangers:
            self._stream.done.synchronize()  # whose memory may go as soon as we let go of them
        self._strangers = [array for array in there.values() if not isinstance(array, DeviceArray)]
        if self._strangers:
            self._device.synchronise()  # their streams are known by number only
        streams = [array.stream for array in there.values() if isinstance(array, DeviceArray)]
        self._producers = list({id(stream): stream for stream in streams}.values())
        for producer in self._producers:
            self._stream.after(producer)
        about = {name: array.__cuda_array_interface__ for name, array in there.items()}
        return {
            name: self._aligned(name, Place(int(one["data"][0]), size_of(one["typestr"], tuple(one["shape"]))))
            for name, one in about.items()
        }

    def _aligned(self, name: str, place: Place) -> Place:
        """Return where an input can be read: TensorRT wants it aligned, which a slice of an array need not be."""
        if place.address % GRAIN == 0:
            return place
        own = Place(self._stream.room(self._buffers[name], place.size), place.size)
        self._device.cuda.memcpy_dtod_async(own.address, place.address, place.size, self._stream.cuda)
        return own

    def _upload(self, host: Mapping[str, Array]) -> dict[str, Place]:
        """Copy host arrays to the GPU by way of pinned memory; return where they are."""
        if not host:
            return {}
        self._uploaded.synchronize()  # a run before may still read its pinned memory
        places = {}
        for name, array in host.items():
            pinned = self._buffers[name].pinned(array.dtype.name, array.shape)
            np.copyto(pinned, array)
            places[name] = Place(self._stream.room(self._buffers[name], array.nbytes), array.nbytes)
            self._device.cuda.memcpy_htod_async(places[name].address, pinned, self._stream.cuda)
        self._uploaded.record(self._stream.cuda)
        return places

    def _run(self, run: Context | Replay, inputs: Places, outputs: Places) -> None:
        """Enqueue the run; whoever made an input on the GPU may write over it only after the run."""
        run.run(inputs, outputs)
        self._stream.mark()
        for producer in self._producers:
            producer.after(self._stream)

    def _failed(self) -> EngineError:
        return EngineError(f"engine {self._name} failed: {first_reason(self._log.errors)}")
