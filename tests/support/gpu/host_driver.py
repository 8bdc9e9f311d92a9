"""A CUDA driver on the host (host_driver.cpp) for real bindings to run on.

As a pytest plugin (``-p tests.support.gpu.host_driver``, see .ci/pycuda) it is the process's driver, with every
kernel: pycuda, built from source, and NVIDIA's bindings find it where they would find NVIDIA's.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tests.support.gpu.kernels_host import COMPILER, library

from samotion.runtime.kernels.compile import SOURCES
from samotion.runtime.kernels.launching import FOLDER

SOURCE = Path(__file__).with_name("host_driver.cpp")
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
WORK = ctypes.CFUNCTYPE(None, ctypes.c_long)
FLAGS = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fvisibility=hidden")

driver: Any = None


def build(folder: Path) -> Path:
    """Return the driver's library, made in ``folder``."""
    assert COMPILER is not None, "no C++ compiler"
    path = folder / "libcuda.so.1"
    command = [COMPILER, *FLAGS, "-Wl,-soname,libcuda.so.1", "-o", str(path), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return path


def pytest_configure() -> None:
    """Make it this process's driver."""
    global driver  # noqa: PLW0603
    # pycuda names calls that samotion never makes: they are looked for when they are made.
    sys.setdlopenflags(os.RTLD_LAZY)
    folder = Path(tempfile.mkdtemp())
    driver = ctypes.CDLL(str(build(folder)), ctypes.RTLD_GLOBAL)
    shutil.rmtree(folder)
    driver.host_count.restype = ctypes.c_long
    driver.host_put.argtypes = [ctypes.c_void_p, WORK, ctypes.c_long]
    driver.host_recorded.argtypes = [ctypes.c_void_p]
    driver.host_within.argtypes = [ctypes.c_uint64, ctypes.c_size_t]
    for source in SOURCES:
        for name, arguments in SIGNATURE.findall((FOLDER / f"{source}.cu").read_text()):
            sizes = [8 if "*" in argument or "int64" in argument else 4 for argument in arguments.split(",")]
            entry = ctypes.cast(getattr(library(source), f"host_{name}"), ctypes.c_void_p)
            driver.host_kernel(name.encode(), entry, len(sizes), (ctypes.c_int * len(sizes))(*sizes))


class Memory:
    """The driver's memory and streams as tests.support.gpu.fake_tensorrt wants them."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.streams = self
        self._works: list[Callable[[], object]] = []
        self._run = WORK(lambda number: self._works[number]() and None)

    def at(self, address: int, size: int) -> np.ndarray:
        """Return bytes at an address, which must lie in one allocation."""
        assert driver.host_within(address, size), "memory of nobody"
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def __getitem__(self, handle: int) -> "Stream":
        return Stream(self, handle)

    def put(self, handle: int, work: Callable[[], object]) -> None:
        """Let the driver do ``work`` when a stream comes to it, and again when it is part of a graph."""
        self._works.append(work)
        driver.host_put(handle, self._run, len(self._works) - 1)

    @staticmethod
    def count(call: str) -> int:
        """Return how often the driver was called so."""
        return int(driver.host_count(call.encode()))


class Stream:
    """One of the driver's streams."""

    def __init__(self, memory: Memory, handle: int) -> None:
        self._memory, self._handle = memory, handle

    @property
    def recorded(self) -> list[object] | None:
        """What is recorded, as far as that matters: whether."""
        return [] if driver.host_recorded(self._handle) else None

    def put(self, work: Callable[[], object]) -> None:
        """Put work on it."""
        self._memory.put(self._handle, work)
