"""The kernels on an NVIDIA GPU: compiled for it, loaded into its primary context, started on a stream."""

from pathlib import Path
from typing import Any

import numpy as np

from samotion.engines.device import Device
from samotion.engines.errors import EngineError
from samotion.runtime.kernels.compile import SOURCES, cubin
from samotion.runtime.kernels.launching import Array
from samotion.runtime.kernels.nvrtc import Nvrtc

BLOCK = 128  # threads of a block


class CudaModules:
    """Every kernel, loaded for one GPU. ``on`` gives what starts them on a stream.

    device: its context must be active (Device.active) here and whenever a kernel is started. cache: see ``cubin``.
    Raises EngineError where NVRTC is missing or does not know the GPU, or the driver is older than the code.
    """

    def __init__(self, device: Device, cache: Path | None = None) -> None:
        cuda = device.cuda
        nvrtc = Nvrtc()
        codes = {source: cubin(source, device.capability, nvrtc, cache) for source in SOURCES}
        try:
            self._modules = {source: cuda.module_from_buffer(code) for source, code in codes.items()}
        except cuda.Error as error:
            raise EngineError(
                f"the driver does not load what NVRTC {nvrtc.version} made ({error}): install a newer NVIDIA driver"
            ) from error
        self._functions: dict[tuple[str, str], Any] = {}

    def on(self, stream: Any = None) -> "DeviceLaunch":
        """Return a Launch for one pycuda stream (None: the default one)."""
        return DeviceLaunch(self, stream)

    def function(self, source: str, kernel: str) -> Any:
        """Return pycuda's function of a kernel."""
        if (source, kernel) not in self._functions:
            self._functions[source, kernel] = self._modules[source].get_function(kernel)
        return self._functions[source, kernel]


class DeviceLaunch:
    """A Launch (samotion.runtime.kernels.launching) on one stream of a GPU; it allocates nothing on the device.

    Arrays: anything with the CUDA array interface, such as samotion.engines.device.DeviceArray or pycuda's GPUArray.
    """

    def __init__(self, kernels: CudaModules, stream: Any) -> None:
        self._kernels = kernels
        self._stream = stream

    def __call__(self, source: str, kernel: str, threads: int, *arguments: Array | int | float) -> None:
        """Start ``kernel`` and return at once; raises pycuda's errors."""
        if threads:
            grid = (-(-threads // BLOCK), 1)
            given = [_value(argument) for argument in arguments]
            self._kernels.function(source, kernel)(*given, grid=grid, block=(BLOCK, 1, 1), stream=self._stream)


def _value(argument: Array | int | float) -> Any:
    """Return what pycuda passes on as it is: an address, an int32 or a float32."""
    if isinstance(argument, int):
        return np.int32(argument)
    if isinstance(argument, float):
        return np.float32(argument)
    return np.uint64(argument.__cuda_array_interface__["data"][0])
