"""What this machine is, asked of the driver without any CUDA library."""

import ctypes
from typing import Any

from samotion.engines.machine import Gpu, Machine, described, this_platform


class Driver:
    """The calls of libcuda that are made, answering by way of pointers as it does."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.held, self.pushed = fails, 0, 0

    def __getattr__(self, call: str) -> Any:
        def answer(*arguments: Any) -> int:
            if call == self.fails:
                return 100
            known = getattr(type(self), f"do_{call}", None)
            if known is not None:
                known(self, *arguments)
            return 0

        return answer

    def do_cuDriverGetVersion(self, version: Any) -> None:
        version._obj.value = 12090

    def do_cuDeviceGetName(self, name: Any, size: int, device: ctypes.c_int) -> None:
        assert size == 256
        assert device.value == 0
        name.value = b"NVIDIA H100"

    def do_cuDeviceGetAttribute(self, value: Any, attribute: int, _: Any) -> None:
        value._obj.value = {75: 9, 76: 0}[attribute]

    def do_cuDevicePrimaryCtxRetain(self, *_: Any) -> None:
        self.held += 1

    def do_cuDevicePrimaryCtxRelease_v2(self, *_: Any) -> None:
        self.held -= 1

    def do_cuCtxPushCurrent_v2(self, *_: Any) -> None:
        self.pushed += 1

    def do_cuCtxPopCurrent_v2(self, *_: Any) -> None:
        self.pushed -= 1

    def do_cuMemGetInfo_v2(self, free: Any, total: Any) -> None:
        assert self.pushed
        free._obj.value, total._obj.value = 70 << 30, 80 << 30


def test_the_driver_is_asked() -> None:
    driver = Driver()
    assert described(driver) == Machine(this_platform(), "12.9", Gpu("NVIDIA H100", "9.0", 80 << 30, 70 << 30))
    assert (driver.held, driver.pushed) == (0, 0)
    for call in ("cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuMemGetInfo_v2"):
        driver = Driver(call)
        assert described(driver) == Machine(this_platform(), "12.9")
        assert (driver.held, driver.pushed) == (0, 0)
    assert described(Driver("cuDriverGetVersion")) == Machine(this_platform())


def test_a_machine_is_told_in_a_line() -> None:
    here = Machine("linux-x86_64", "13.0", Gpu("NVIDIA GeForce RTX 4090", "8.9", 24 << 30, 20 << 30))
    assert str(here) == "linux-x86_64, driver for CUDA 13.0, NVIDIA GeForce RTX 4090 (8.9), 20.0 of 24.0 GiB free"
