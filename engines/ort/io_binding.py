"""ONNX Runtime's IO binding: inputs that are on the GPU are read where they are, answers can stay there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from samotion.engines.device import Device, DeviceArray, Stream
from samotion.engines.engine import Array, OnDevice, TensorSpec


def run_bound(
    session: Any,
    inputs: Mapping[str, Array | OnDevice],
    outputs: Sequence[TensorSpec],
    place: str,
    device: Device,
    stream: Stream,
) -> dict[str, DeviceArray]:
    """Run ``session`` once and return its answers, left on ``place``, ONNX Runtime's name of the device ("cuda").

    inputs: checked against their specs; host arrays are copied there by ONNX Runtime. stream: the one that the
    session was told to work on, so that its memory is used again only after what has read it. Returns when the run is
    over.
    """
    binding = session.io_binding()
    producers = []
    for name, array in inputs.items():
        if isinstance(array, np.ndarray):
            binding.bind_cpu_input(name, array)
            continue
        if isinstance(array, DeviceArray) and array.stream is not stream:
            stream.after(array.stream)
            producers.append(array.stream)
        about = array.__cuda_array_interface__
        binding.bind_input(name, place, 0, np.dtype(about["typestr"]), list(about["shape"]), about["data"][0])
    for spec in outputs:
        binding.bind_output(spec.name, place)
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    stream.mark()
    for producer in producers:
        producer.after(stream)
    return {
        spec.name: DeviceArray(device, stream, spec.dtype, tuple(value.shape()), value, value.data_ptr())
        for spec, value in zip(outputs, binding.get_outputs(), strict=True)
    }
