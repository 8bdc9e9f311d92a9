"""One stream's kernels, with the memory of what they make."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from samotion.engines.device import Buffer, Device, DeviceArray, Line, Pool, Uploads
from samotion.engines.engine import Array
from samotion.runtime.kernels.device import DeviceLaunch, Kernels
from samotion.runtime.kernels.launching import Buffers


class Queue:
    """Kernels one after the other, beside those of other queues; the device's context must be active to make one.

    Only a queue itself writes to the arrays that it gives out.
    """

    def __init__(self, device: Device, kernels: Kernels, uploads: Uploads) -> None:
        self._device, self._uploads = device, uploads
        self._line, self._pool, self._landing = Line(device), Pool(device), Buffer(device)
        self._launch = kernels.on(self._line.stream)

    @contextlib.contextmanager
    def reading(self, *arrays: DeviceArray) -> Iterator[DeviceLaunch]:
        """Give what starts kernels that read ``arrays``: after what fills these, before what will overwrite them."""
        lines = {id(array.line): array.line for array in arrays if array.line is not self._line}
        with self._device.active():
            for line in lines.values():
                self._line.after(line)
            yield self._launch
            self._line.mark()
            for line in lines.values():
                line.after(self._line)

    def array(self, shape: tuple[int, ...], dtype: Any = np.float32) -> DeviceArray:
        """Return an array to be filled here."""
        with self._device.active():
            return self._pool.array(self._line, dtype, shape)

    def buffers(self, wanted: Buffers) -> Mapping[str, DeviceArray]:
        """Return a kernel's buffers."""
        return {name: self.array(shape, dtype) for name, (shape, dtype) in wanted.items()}

    def sent(self, host: Array) -> DeviceArray:
        """Return a copy of a host array."""
        there = self.array(host.shape, host.dtype)
        with self.reading():
            self._uploads.send(np.ascontiguousarray(host), there.address, self._line)
        return there

    def copy(self, source: DeviceArray, into: DeviceArray) -> None:
        """Copy an array into one of this queue's, within ``reading``."""
        self._device.cuda.memcpy_dtod_async(into.address, source.address, source.nbytes, self._line.stream)

    def fill(self, array: DeviceArray, bits: int) -> None:
        """Set every 32 bits of an array to ``bits``, within ``reading``."""
        self._device.cuda.memset_d32_async(array.address, bits, array.nbytes // 4, self._line.stream)

    def wait(self) -> None:
        """Return when all is done."""
        self._line.stream.synchronize()

    def fetched(self, array: DeviceArray) -> Array:
        """Return one of this queue's arrays on the host, in pinned memory that the next one is fetched to."""
        with self._device.active():
            host = self._landing.pinned(array.dtype.name, array.shape)
            self._device.cuda.memcpy_dtoh_async(host, array.address, self._line.stream)
            self._line.stream.synchronize()
            return host
