"""What this machine has for TensorRT plans: platform, driver and GPU, asked of the CUDA driver itself.

No context is made on the GPU for that: it would take some of its memory, and a while. Free memory is NVML's to tell,
which comes with the driver.
"""

import ctypes
import platform
import sys
from dataclasses import dataclass
from typing import Any

# CUdevice_attribute of the driver API.
MAJOR, MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """One GPU. compute_capability: such as "8.9". total, free: bytes of its memory, None where NVML is missing."""

    name: str
    compute_capability: str
    total: int
    free: int | None


@dataclass(frozen=True)
class Machine:
    """platform: such as "linux-x86_64". driver: the newest CUDA that it runs, such as "13.0"; None: no driver.

    gpu: the first one that is visible (CUDA_VISIBLE_DEVICES); None: there is none, or it does not answer.
    """

    platform: str
    driver: str | None = None
    gpu: Gpu | None = None

    def __str__(self) -> str:
        if self.driver is None:
            return f"{self.platform}, no NVIDIA driver"
        if self.gpu is None:
            return f"{self.platform}, driver for CUDA {self.driver}, no GPU"
        gpu = self.gpu
        total = f"{gpu.total / 2**30:.1f} GiB"
        memory = f"{total} of memory" if gpu.free is None else f"{gpu.free / 2**30:.1f} of {total} free"
        return f"{self.platform}, driver for CUDA {self.driver}, {gpu.name} ({gpu.compute_capability}), {memory}"


def this_machine() -> Machine:
    """Return what is here; never raises, for a driver that does not answer is an answer."""
    windows = sys.platform == "win32"
    cuda = _library("nvcuda.dll" if windows else "libcuda.so.1")
    return (
        Machine(this_platform())
        if cuda is None
        else described(cuda, _library("nvml.dll" if windows else "libnvidia-ml.so.1"))
    )


def this_platform() -> str:
    """Return this system and processor, such as "linux-x86_64"."""
    processor = platform.machine().lower()
    return f"{platform.system().lower()}-{ {'amd64': 'x86_64', 'arm64': 'aarch64'}.get(processor, processor) }"


def described(cuda: Any, nvml: Any = None) -> Machine:
    """Return this machine as the loaded libraries of the driver and of NVML (None: missing) describe it."""
    version = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(version)):
        return Machine(this_platform())
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    try:
        return Machine(this_platform(), driver, _gpu(cuda, nvml))
    except _NoAnswerError:
        return Machine(this_platform(), driver)


class _NoAnswerError(Exception):
    """A driver call that failed."""


def _gpu(cuda: Any, nvml: Any) -> Gpu:
    """Return the first GPU."""
    device, total = ctypes.c_int(), ctypes.c_size_t()
    name, bus = ctypes.create_string_buffer(256), ctypes.create_string_buffer(32)
    number = [ctypes.c_int(), ctypes.c_int()]
    _ask(cuda.cuInit, 0)
    _ask(cuda.cuDeviceGet, ctypes.byref(device), 0)
    _ask(cuda.cuDeviceGetName, name, len(name), device)
    _ask(cuda.cuDeviceTotalMem_v2, ctypes.byref(total), device)
    _ask(cuda.cuDeviceGetPCIBusId, bus, len(bus), device)
    for value, attribute in zip(number, (MAJOR, MINOR), strict=True):
        _ask(cuda.cuDeviceGetAttribute, ctypes.byref(value), attribute, device)
    capability = f"{number[0].value}.{number[1].value}"
    return Gpu(name.value.decode(errors="replace"), capability, total.value, _free(nvml, bus))


def _free(nvml: Any, bus: Any) -> int | None:
    """Return the bytes that are free on the GPU at a PCI address, None where NVML does not say."""
    if nvml is None:
        return None
    handle, memory = ctypes.c_void_p(), (ctypes.c_ulonglong * 3)()  # nvmlMemory_t: total, free, used
    try:
        _ask(nvml.nvmlInit_v2)
        _ask(nvml.nvmlDeviceGetHandleByPciBusId_v2, bus, ctypes.byref(handle))
        _ask(nvml.nvmlDeviceGetMemoryInfo, handle, ctypes.byref(memory))
    except _NoAnswerError:
        return None
    return int(memory[1])


def _ask(call: Any, *arguments: Any) -> None:
    """Make a call of the driver or of NVML; raises _NoAnswerError where it fails."""
    if call(*arguments):
        raise _NoAnswerError


def _library(name: str) -> Any:
    """Return a shared library, None where there is none."""
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
