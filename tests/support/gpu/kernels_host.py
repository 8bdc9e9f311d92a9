"""Runs the CUDA sources of samotion.runtime.kernels on the CPU: compiled by g++ behind kernels_host.h."""

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from samotion.runtime.kernels.launching import FOLDER, Buffers

HEADER = Path(__file__).with_name("kernels_host.h")
COMPILER = shutil.which("g++") or shutil.which("c++")
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(')
BLOCK = 8  # small, so that many blocks run and the last one is rarely full
Numbers = np.ndarray[Any, Any]
CANARIES, CANARY = 64, 0xA5
FORWARDS, BACKWARDS, IN_TURNS = 0, 1, 2


def kernels_of(source: str) -> list[str]:
    return KERNEL.findall((FOLDER / f"{source}.cu").read_text())


@functools.cache
def library(source: str) -> ctypes.CDLL:
    """Compile a source once; no optimisation may change a rounding, as on the device."""
    if COMPILER is None:
        pytest.skip("no C++ compiler (g++ or c++) to run the kernels' sources on the CPU")
    entries = "".join(
        f'extern "C" void host_{name}(unsigned blocks, unsigned block, int order, void** arguments) '
        f"{{ start({name}, blocks, block, order, arguments); }}\n"
        for name in kernels_of(source)
    )
    with tempfile.TemporaryDirectory() as folder:
        code, built = Path(folder) / "host.cpp", Path(folder) / "host.so"
        code.write_text(f'#include "{HEADER}"\n#include "{FOLDER / source}.cu"\n{entries}')
        flags = [
            "-std=c++17",
            "-O1",
            "-ffp-contract=off",
            "-shared",
            "-fPIC",
            "-pthread",
            "-Wall",
            "-Wextra",
            "-Werror",
        ]
        subprocess.run([COMPILER, *flags, "-o", str(built), str(code)], check=True)
        return ctypes.CDLL(str(built))


class Place(Protocol):
    """Where kernels run: a Launch (samotion.runtime.kernels.launching) with arrays of its own."""

    def __call__(self, source: str, kernel: str, threads: int, *arguments: Any) -> None: ...

    def put(self, array: Numbers) -> Any:
        """Return an array there with the values of ``array``."""

    def allocate(self, wanted: Buffers) -> Mapping[str, Any]:
        """Return arrays there for a kernel's buffers."""

    def take(self, array: Any) -> Numbers:
        """Return what a kernel left in an array."""

    def address(self, array: Any) -> int:
        """Return where an array lies."""


class Host:
    """The CPU in place of a GPU. order: in which threads run. Fails where a kernel wrote beside its buffers."""

    def __init__(self, order: int = FORWARDS) -> None:
        self.order = order
        self._raw: list[Numbers] = []

    def __call__(self, source: str, kernel: str, threads: int, *arguments: Any) -> None:
        held = [_value(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(held))(*(ctypes.addressof(value) for value in held))
        if threads:
            entry = getattr(library(source), f"host_{kernel}")
            entry(ctypes.c_uint(-(-threads // BLOCK)), ctypes.c_uint(BLOCK), self.order, pointers)

    def put(self, array: Numbers) -> Numbers:
        return np.ascontiguousarray(array)

    def allocate(self, wanted: Buffers) -> dict[str, Numbers]:
        """Arrays full of rubbish with bytes around them that nobody may write."""
        found = {}
        for name, (shape, kind) in wanted.items():
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            raw = np.full(size + 2 * CANARIES, CANARY, np.uint8)
            self._raw.append(raw)
            found[name] = raw[CANARIES : CANARIES + size].view(kind).reshape(shape)
        return found

    def take(self, array: Numbers) -> Numbers:
        for raw in self._raw:
            assert (raw[:CANARIES] == CANARY).all(), "written before the first element of a buffer"
            assert (raw[-CANARIES:] == CANARY).all(), "written behind the last element of a buffer"
        return array

    def address(self, array: Numbers) -> int:
        return array.ctypes.data


def _value(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return ctypes.c_void_p(argument.ctypes.data)
    return ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_int(argument)
