"""A network part that becomes one ONNX graph."""

from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class GraphSpec:
    """One graph to export.

    inputs: example tensors by input name, in the order of ``module.forward``. dynamic: for each input, the axes
    that may have any length, and their names; equal names are equal lengths. outputs: names in order.
    unseen: inputs of other sizes than the example's, on which the exported graph is compared with PyTorch.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    dynamic: dict[str, dict[int, str]]
    outputs: tuple[str, ...]
    unseen: dict[str, Tensor] = field(default_factory=dict)
