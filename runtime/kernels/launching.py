"""What the kernels' callers share: how a kernel is started and what buffers it is given."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

FOLDER = Path(__file__).parent
MOST = 2**31 - 1024  # indices are 32 bits inside the kernels, also those of a last block that is not full

Array = Any  # a device's array (pycuda.gpuarray.GPUArray, say): contiguous, of the shape and type its user states
Buffers = Mapping[str, tuple[tuple[int, ...], type[np.generic]]]  # name → shape and type, for the caller to allocate


class Launch(Protocol):
    """Starts kernels one after the other on one stream, of a GPU or, in tests, of a CPU that stands in for one."""

    def __call__(self, source: str, kernel: str, threads: int, *arguments: Array | int | float) -> None:
        """Start ``kernel`` of ``source``.cu with at least ``threads`` threads, none if that is 0.

        arguments: arrays, int for int32 and float for float32, in the kernel's order.
        """


def checked(elements: int) -> int:
    """Return ``elements``; raises ValueError where indices would not fit into the kernels' 32 bits."""
    if elements > MOST:
        raise ValueError(f"found {elements} elements, expected at most {MOST}: give the kernel fewer at once")
    return elements
