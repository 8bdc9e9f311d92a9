"""The ONNX Runtime backend: CPU, or CUDA where it is asked for and really there."""

import contextlib
import ctypes
import os
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from samotion.engines.device import Device, DeviceArray, Stream
from samotion.engines.engine import Array, OnDevice, TensorSpec, fitted, fitted_there, is_on_device
from samotion.engines.errors import BundleError, EngineError
from samotion.engines.ort.io_binding import run_bound
from samotion.engines.ort.placement import RECORD, require_placed
from samotion.engines.trt.flavours import BACKENDS, numbers

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
PLACE = "cuda"  # ONNX Runtime's name of the GPU's memory
OLDEST = (1, 24)  # ONNX Runtime for a GPU: tells where it placed nodes
# float32 means float32, and convolutions are chosen by their shapes: chosen by timing them, as is the default, they
# differ between processes, and so do the last bits of masks.
CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


@dataclass(frozen=True)
class Execution:
    """How ONNX Runtime runs graphs. provider: "cpu" or "cuda". threads: CPU threads in all; 0 takes every core."""

    provider: str = "cpu"
    threads: int = 0


CPU = Execution()
_SESSIONS: "weakref.WeakSet[Any]" = weakref.WeakSet()


def _keep_in_child() -> None:
    """Keep a forked child from freeing sessions: that waits for threads which the fork left behind, or crashes.

    The same holds for what ONNX Runtime does when a process exits, so a child with sessions exits without it.
    """
    for session in _SESSIONS:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
    libc = ctypes.CDLL(None)
    if len(_SESSIONS) and hasattr(libc, "on_exit"):  # glibc calls the handler that was registered last first
        libc.on_exit(libc._exit, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_in_child)


def require(provider: str) -> str:
    """Return ONNX Runtime's name of ``provider``; raises EngineError if it is unknown or not there."""
    available = [name for name, full in PROVIDERS.items() if full in onnxruntime.get_available_providers()]
    if provider not in PROVIDERS:
        plans = ", ".join(BACKENDS)
        raise EngineError(
            f"provider '{provider}' is unknown; available here: {', '.join(available)}; with plans: {plans}"
        )
    if provider not in available:
        raise EngineError(
            f"provider '{provider}' is not in this ONNX Runtime {onnxruntime.__version__} "
            f"(it has: {', '.join(available)}); install samotion[gpu] without samotion[cpu], or use --provider cpu"
        )
    if provider == "cuda" and numbers(onnxruntime.__version__) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise EngineError(
            f"ONNX Runtime {onnxruntime.__version__} is too old for --provider cuda, expected {oldest} or later; "
            "pip install -U 'samotion[gpu]'"
        )
    return PROVIDERS[provider]


class OnnxEngine:
    """One ONNX graph on ONNX Runtime.

    path: the graph. inputs, outputs: its tensors, from the manifest. provider: "cpu" or "cuda". threads: of
    one operator; 0 takes every core. device: the GPU, for "cuda". Raises EngineError if the provider is not there or
    does not start, and BundleError if the file is no graph.
    """

    def __init__(
        self,
        path: Path,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        provider: str = "cpu",
        threads: int = 0,
        device: Device | None = None,
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._name = path.stem
        wanted = require(provider)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._device, self._stream, settings = device, None, {}
        if provider == "cuda":
            onnxruntime.preload_dlls()  # CUDA and cuDNN of pip's packages, which no loader finds by itself
            options.add_session_config_entry(*RECORD)
            settings = {**CUDA_OPTIONS}
        if device is not None:
            with device.active():
                self._stream = Stream(device)
            settings["user_compute_stream"] = str(int(self._stream.cuda.handle))
        try:
            session: Any = onnxruntime.InferenceSession(path, options, providers=[(wanted, settings)])
            _SESSIONS.add(session)
        except Exception as error:  # ONNX Runtime raises a family of C++ exceptions without a public root
            raise BundleError(f"{path}: ONNX Runtime cannot load it ({_first_line(error)})") from error
        # A missing CUDA library makes ONNX Runtime go on with the CPU and only log it.
        if (got := session.get_providers()[0]) != wanted:
            raise EngineError(
                f"provider '{provider}' did not start (ONNX Runtime took {got}): a CUDA or cuDNN library is missing; "
                "pip install 'samotion[gpu]', or use --provider cpu"
            )
        if provider == "cuda":
            require_placed(session, path.name, wanted)
        self._session: Any = session

    @property
    def names(self) -> dict[str, list[str]]:
        """The names of the inputs and outputs that the graph itself has, in its order."""
        nodes = {"inputs": self._session.get_inputs(), "outputs": self._session.get_outputs()}
        return {key: [node.name for node in found] for key, found in nodes.items()}

    def __call__(self, **inputs: Array | OnDevice) -> Mapping[str, NDArray[np.float32]]:
        """Run once; raises EngineError where an input does not fit its spec or the run fails."""
        feed = self._feed(inputs)
        names = [spec.name for spec in self.outputs]
        if any(is_on_device(array) for array in feed.values()):
            bound = self._bound(feed)
            return {name: array.numpy().astype(np.float32, copy=False) for name, array in bound.items()}
        with self._failing_clearly():
            return dict(zip(names, self._session.run(names, feed), strict=True))

    def on_device(self, **inputs: Array | OnDevice) -> dict[str, DeviceArray]:
        """Run once as a call does, and leave the answers on the GPU; raises EngineError on the CPU."""
        return self._bound(self._feed(inputs))

    def _bound(self, feed: Mapping[str, Array | OnDevice]) -> dict[str, DeviceArray]:
        """Run once by IO binding."""
        if self._device is None or self._stream is None:
            raise EngineError(f"engine {self._name} runs on the CPU: nothing stays on a GPU; use --provider cuda")
        with self._failing_clearly(), self._device.active():
            return run_bound(self._session, feed, self.outputs, PLACE, self._device, self._stream)

    def _feed(self, inputs: Mapping[str, Any]) -> dict[str, Array | OnDevice]:
        """Return the inputs, each fit for its spec."""
        if self._session is None:
            raise EngineError(f"engine {self._name} is closed")
        feed: dict[str, Array | OnDevice] = {}
        for spec in self.inputs:
            given = inputs.get(spec.name)
            if is_on_device(given):
                if self._device is None:
                    raise EngineError(f"engine {self._name} runs on the CPU, and its input {spec.name} is on a GPU")
                feed[spec.name] = fitted_there(self._name, spec, given)
            else:
                feed[spec.name] = fitted(self._name, spec, inputs)
        return feed

    @contextlib.contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        """Turn what ONNX Runtime raises into one line."""
        try:
            yield
        except Exception as error:  # a family of C++ exceptions without a public root
            raise EngineError(f"engine {self._name} failed: {_first_line(error)}") from error

    def close(self) -> None:
        """Free the session."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _first_line(error: Exception) -> str:
    """Return the first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
