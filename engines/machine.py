"""What this machine has for TensorRT plans: platform, driver and GPU, asked of the CUDA driver itself."""

import contextlib
import ctypes
import platform
import sys
from dataclasses import dataclass
from typing import Any

# CUdevice_attribute of the driver API.
MAJOR, MINOR = 75, 76


@dataclass(frozen=True)
class Gpu:
    """One GPU. compute_capability: such as "8.9". total, free: bytes of its memory."""

    name: str
    compute_capability: str
    total: int
    free: int


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
        memory = f"{gpu.free / 2**30:.1f} of {gpu.total / 2**30:.1f} GiB free"
        return f"{self.platform}, driver for CUDA {self.driver}, {gpu.name} ({gpu.compute_capability}), {memory}"


def this_machine() -> Machine:
    """Return what is here; never raises, for a driver that does not answer is an answer."""
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return Machine(this_platform())
    return described(cuda)


def this_platform() -> str:
    """Return this system and processor, such as "linux-x86_64"."""
    processor = platform.machine().lower()
    return f"{platform.system().lower()}-{ {'amd64': 'x86_64', 'arm64': 'aarch64'}.get(processor, processor) }"


def described(cuda: Any) -> Machine:
    """Return this machine as ``cuda``, the loaded driver library, describes it."""
    version = ctypes.c_int()
    if cuda.cuDriverGetVersion(ctypes.byref(version)):
        return Machine(this_platform())
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    try:
        return Machine(this_platform(), driver, _gpu(cuda))
    except _NoAnswerError:
        return Machine(this_platform(), driver)


class _NoAnswerError(Exception):
    """A driver call that failed."""


def _gpu(cuda: Any) -> Gpu:
    """Return the first GPU; its free memory can be asked only within a context."""

    def ask(call: str, *arguments: Any) -> None:
        if getattr(cuda, call)(*arguments):
            raise _NoAnswerError(call)

    device, context = ctypes.c_int(), ctypes.c_void_p()
    name, number = ctypes.create_string_buffer(256), [ctypes.c_int(), ctypes.c_int()]
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ask("cuInit", 0)
    ask("cuDeviceGet", ctypes.byref(device), 0)
    ask("cuDeviceGetName", name, len(name), device)
    for value, attribute in zip(number, (MAJOR, MINOR), strict=True):
        ask("cuDeviceGetAttribute", ctypes.byref(value), attribute, device)
    with contextlib.ExitStack() as last:
        ask("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        last.callback(cuda.cuDevicePrimaryCtxRelease_v2, device)
        ask("cuCtxPushCurrent_v2", context)
        last.callback(cuda.cuCtxPopCurrent_v2, ctypes.byref(ctypes.c_void_p()))
        ask("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    capability = f"{number[0].value}.{number[1].value}"
    return Gpu(name.value.decode(errors="replace"), capability, total.value, free.value)
