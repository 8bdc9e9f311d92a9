"""One stream's kernels, with the memory of what they make."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from samotion.engines.device import Buffer, Device, DeviceArray, Pool, Stream, Uploads
from samotion.engines.engine import Array
from samotion.runtime.kernels.device import CudaModules, DeviceLaunch
from samotion.runtime.kernels.launching import Buffers


class KernelStream:
    """Kernels one after the other, beside those of other streams; the device's context must be active to make one.

    Only a stream itself writes to the arrays that it gives out.
    """

    def __init__(self, device: Device, kernels: CudaModules, uploads: Uploads) -> None:
        self._device, self._uploads = device, uploads
        self._stream, self._pool, self._landing = Stream(device), Pool(device), Buffer(device)
        self._launch = kernels.on(self._stream.cuda)

    @contextlib.contextmanager
    def reading(self, *arrays: DeviceArray) -> Iterator[DeviceLaunch]:
        """Give what starts kernels that read ``arrays``: after what fills these, before what will overwrite them."""
        streams = {id(array.stream): array.stream for array in arrays if array.stream is not self._stream}
        with self._device.active():
            for stream in streams.values():
                self._stream.after(stream)
            yield self._launch
            self._stream.mark()
            for stream in streams.values():
                stream.after(self._stream)

    def array(self, shape: tuple[int, ...], dtype: Any = np.float32) -> DeviceArray:
        """Return an array to be filled here."""
        with self._device.active():
            return self._pool.array(self._stream, dtype, shape)

    def buffers(self, wanted: Buffers) -> Mapping[str, DeviceArray]:
        """Return a kernel's buffers."""
        return {name: self.array(shape, dtype) for name, (shape, dtype) in wanted.items()}

    def sent(self, host: Array) -> DeviceArray:
        """Return a copy of a host array."""
        there = self.array(host.shape, host.dtype)
        with self.reading():
            self._uploads.send(np.ascontiguousarray(host), there.address, self._stream)
        return there

    def copy(self, source: DeviceArray, into: DeviceArray) -> None:
        """Copy an array into one of this stream's, within ``reading``."""
        self._device.cuda.memcpy_dtod_async(into.address, source.address, source.nbytes, self._stream.cuda)

    def fill(self, array: DeviceArray, bits: int) -> None:
        """Set every 32 bits of an array to ``bits``, within ``reading``."""
        self._device.cuda.memset_d32_async(array.address, bits, array.nbytes // 4, self._stream.cuda)

    def wait(self) -> None:
        """Return when all is done."""
        self._stream.cuda.synchronize()

    def fetched(self, array: DeviceArray) -> Array:
        """Return one of this stream's arrays on the host, in pinned memory that the next one is fetched to."""
        with self._device.active():
            host = self._landing.pinned(array.dtype.name, array.shape)
            self._device.cuda.memcpy_dtoh_async(host, array.address, self._stream.cuda)
            self._stream.cuda.synchronize()
            return host
