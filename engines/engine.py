"""What an engine is to the stages: named arrays in, named arrays out."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


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
