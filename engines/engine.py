"""What an engine is to the stages: named arrays in, named arrays out."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from samotion.engines.errors import EngineError

Array = NDArray[np.generic]


class OnDevice(Protocol):
    """An array in a GPU's memory, as Numba defined it and CuPy, pycuda, PyTorch and DeviceArray have it."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class TensorSpec:
    """Name, dtype (NumPy's name) and shape of one input or output; a string axis may have any length."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


class Engine(Protocol):
    """One network graph, loaded and ready."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __call__(self, **inputs: Array) -> Mapping[str, NDArray[np.float32]]:
        """Run once; raises EngineError where an input does not fit its spec."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def matches(spec: TensorSpec, dtype: str, shape: tuple[int, ...]) -> bool:
    """Return whether an array of this type and shape fits ``spec``."""
    alike = dtype == spec.dtype and len(shape) == len(spec.shape)
    return alike and all(isinstance(w, str) or w == h for w, h in zip(spec.shape, shape, strict=True))


def is_on_device(value: object) -> TypeGuard[OnDevice]:
    """Return whether ``value`` is an array on a GPU."""
    return hasattr(value, "__cuda_array_interface__")


def fitted_there(engine: str, spec: TensorSpec, array: OnDevice) -> OnDevice:
    """Return an array on a GPU that fits ``spec``; raises EngineError if it is of another shape, type or order."""
    about = array.__cuda_array_interface__
    dtype, shape = np.dtype(about["typestr"]).name, tuple(about["shape"])
    if about.get("strides") is not None or not matches(spec, dtype, shape):
        order = "" if about.get("strides") is None else " with strides"
        raise EngineError(
            f"engine {engine}: input {spec.name} is {dtype} {shape}{order} on the GPU, expected {spec.dtype} "
            f"{spec.shape} in C order"
        )
    return array


def fitted(engine: str, spec: TensorSpec, inputs: Mapping[str, Any]) -> Array:
    """Return the array for ``spec``, contiguous; raises EngineError if it is missing or of another shape or type."""
    if spec.name not in inputs:
        raise EngineError(f"engine {engine}: input {spec.name} is missing")
    array = np.asarray(inputs[spec.name], order="C")
    if not matches(spec, array.dtype.name, array.shape):
        raise EngineError(
            f"engine {engine}: input {spec.name} is {array.dtype} {array.shape}, expected {spec.dtype} {spec.shape}"
        )
    return array
