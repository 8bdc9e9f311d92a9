"""How much a network has to compute and to move at any size: shapes alone are followed, without weights or time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Work:
    """One run of a network.

    flops: floating-point operations of its products and convolutions; a multiplication and an addition are two. What
    is done element by element is not counted. numbers: in its weights, inputs and answers.
    """

    flops: int
    numbers: int


def work(module: nn.Module, inputs: Mapping[str, Tensor]) -> Work:
    """Return the work of one run of ``module``, a network part on the meta device (see ``Network.empty``).

    inputs: by name; only their shapes and types matter.
    """
    used: set[nn.Module] = set()
    hooks = [part.register_forward_pre_hook(lambda part, _: used.add(part)) for part in module.modules()]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        answer = module.eval()(**{name: value.to("meta") for name, value in inputs.items()})
    for hook in hooks:
        hook.remove()
    weights = [weight for part in used for weight in part.parameters(recurse=False)]
    answers: tuple[Any, ...] = (answer,) if isinstance(answer, Tensor) else answer
    return Work(
        int(counter.get_total_flops()), sum(tensor.numel() for tensor in (*weights, *inputs.values(), *answers))
    )
