"""What this machine is, asked of the driver without any CUDA library."""

import ctypes
from typing import Any

import pytest

from samotion.engines.machine import Gpu, Machine, described, this_platform


class Driver:
    """The calls of libcuda that are made, answering by way of pointers as it does."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.made: list[str] = []

    def __getattr__(self, call: str) -> Any:
        def answer(*arguments: Any) -> int:
            self.made.append(call)
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

    def do_cuDeviceTotalMem_v2(self, total: Any, _: Any) -> None:
        total._obj.value = 80 << 30

    def do_cuDeviceGetPCIBusId(self, bus: Any, size: int, _: Any) -> None:
        assert size == 32
        bus.value = b"0000:19:00.0"

    def do_nvmlDeviceGetHandleByPciBusId_v2(self, bus: Any, handle: Any) -> None:
        assert bus.value == b"0000:19:00.0"
        handle._obj.value = 7

    def do_nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> None:
        assert handle.value == 7
        memory._obj[:] = (80 << 30, 70 << 30, 10 << 30)


def test_the_driver_is_asked() -> None:
    wanted = Machine(this_platform(), "12.9", Gpu("NVIDIA H100", "9.0", 80 << 30, 70 << 30))
    assert described(Driver(), Driver()) == wanted
    for call in ("cuInit", "cuDeviceGet", "cuDeviceTotalMem_v2", "cuDeviceGetPCIBusId"):
        assert described(Driver(call), Driver()) == Machine(this_platform(), "12.9")
    assert described(Driver("cuDriverGetVersion")) == Machine(this_platform())


def test_no_context_is_made_on_the_gpu() -> None:
    driver = Driver()
    described(driver, Driver())
    assert not [call for call in driver.made if "Ctx" in call]


@pytest.mark.parametrize("nvml", [None, Driver("nvmlInit_v2"), Driver("nvmlDeviceGetHandleByPciBusId_v2")])
def test_without_nvml_free_memory_is_not_known(nvml: Driver | None) -> None:
    found = described(Driver(), nvml)
    assert found.gpu is not None
    assert found.gpu.free is None
    assert str(found).endswith("NVIDIA H100 (9.0), 80.0 GiB of memory")


def test_a_machine_is_told_in_a_line() -> None:
    here = Machine("linux-x86_64", "13.0", Gpu("NVIDIA GeForce RTX 4090", "8.9", 24 << 30, 20 << 30))
    assert str(here) == "linux-x86_64, driver for CUDA 13.0, NVIDIA GeForce RTX 4090 (8.9), 20.0 of 24.0 GiB free"
