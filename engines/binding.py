"""ONNX Runtime's IO binding: inputs that are on the GPU are read where they are, answers can stay there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from samotion.engines.device import DeviceArray
from samotion.engines.engine import Array, OnDevice, TensorSpec


class BoundArray:
    """An answer that ONNX Runtime left on its device; complete when it is given out."""

    def __init__(self, value: Any, dtype: str) -> None:
        self.dtype, self.shape = np.dtype(dtype), tuple(value.shape())
        self._value = value

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self._value.data_ptr(), False),
            "strides": None,
            "stream": None,
        }

    def numpy(self) -> Array:
        """Return a copy on the host."""
        copy: Array = np.array(self._value.numpy())
        return copy


def run_bound(
    session: Any, inputs: Mapping[str, Array | OnDevice], outputs: Sequence[TensorSpec], device: str
) -> dict[str, BoundArray]:
    """Run ``session`` once and return its answers, left on ``device`` ("cuda").

    inputs: checked against their specs; host arrays are copied there by ONNX Runtime. Returns when the run is over.
    """
    binding = session.io_binding()
    for name, array in inputs.items():
        if isinstance(array, np.ndarray):
            binding.bind_cpu_input(name, array)
            continue
        if isinstance(array, DeviceArray):
            array.wait()  # ONNX Runtime has a stream of its own, and knows nothing of ours
        about = array.__cuda_array_interface__
        binding.bind_input(name, device, 0, np.dtype(about["typestr"]), list(about["shape"]), about["data"][0])
    for spec in outputs:
        binding.bind_output(spec.name, device)
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    return {spec.name: BoundArray(v, spec.dtype) for spec, v in zip(outputs, binding.get_outputs(), strict=True)}
