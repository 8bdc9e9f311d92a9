"""Weights into networks: read without running pickles, loaded strictly, named when they do not fit."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from samotion.engines.errors import CheckpointError
from samotion.export.weights.torch_file import Unreadable, read_torch

# SAM2 blanks the mask of an object it scores as absent; random weights would blank every frame.
OBJECT_SCORE_BIAS = "sam_mask_decoder.pred_obj_score_head.layers.2.bias"
SHOWN_KEYS = 5
OFFICIAL = "is it the official file?"


def read(path: Path, under: str | None = None) -> dict[str, Tensor]:
    """Return the state dict in a .safetensors or PyTorch file; ``under``: the entry that holds it.

    Raises CheckpointError, naming the cause, if the file is missing or damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint", "download it or name its folder with --weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = read_torch(path)
    except Unreadable as error:
        raise CheckpointError(f"{path}: not a readable checkpoint: it {error}", error.remedy) from error
    except (SafetensorError, OSError) as error:
        reason = ascii(str(error).strip().partition("\n")[0])[1:-1]
        raise CheckpointError(f"{path}: not a readable checkpoint: {reason:.200}", "download it again") from error
    if under is not None:
        if not isinstance(state, Mapping) or under not in state:
            raise CheckpointError(f"{path}: expected the weights under '{under}', found none", OFFICIAL)
        state = state[under]
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path}: expected a state dict of tensors", OFFICIAL)
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            found = f"the key {key}" if not isinstance(key, str) else f"{type(value).__name__} at {_shown(key)}"
            raise CheckpointError(f"{path}: expected a state dict of tensors, found {found}", OFFICIAL)
    return dict(state)


def check(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Raise CheckpointError naming missing, extra and misshapen keys unless ``state`` fits ``model``."""
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    faults = [
        _listing("missing", sorted(wanted.keys() - found.keys())),
        _listing("not expected", sorted(found.keys() - wanted.keys())),
        _listing(
            "misshapen",
            [
                f"{key} (found {found[key]}, expected {wanted[key]})"
                for key in sorted(wanted.keys() & found.keys())
                if wanted[key] != found[key]
            ],
        ),
    ]
    if any(faults):
        raise CheckpointError(f"{source} does not fit: " + "; ".join(filter(None, faults)))


def load(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load ``state`` into ``model``; raises CheckpointError as ``check`` does."""
    check(model, state, source)
    own = model.state_dict()
    if any(value.is_meta for value in own.values()):  # nothing to copy into: take the tensors themselves
        model.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()}, assign=True)
    else:
        model.load_state_dict(dict(state))


def _listing(what: str, keys: list[str]) -> str:
    """Return "WHAT: first keys (and n more)", or nothing for no keys."""
    if not keys:
        return ""
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return f"{len(keys)} {what}: {', '.join(map(_shown, keys[:SHOWN_KEYS]))}{more}"


def _shown(key: str) -> str:
    """Return a name as a terminal can show it."""
    return key[:200] if key.isprintable() else ascii(key)[1:200]


def random_state(model: nn.Module, seed: int) -> dict[str, Tensor]:
    """Return weights drawn for every key by the rule of the parity cases: seeded by the key's own name."""
    return {key: _draw(key, value, seed) for key, value in model.state_dict().items()}


def _draw(key: str, like: Tensor, seed: int) -> Tensor:
    """Return one random tensor: fan-in scaled with two axes or more, near one for gains, near zero for biases."""
    if not like.dtype.is_floating_point:
        return torch.zeros(like.shape, dtype=like.dtype)
    rng = np.random.Generator(np.random.Philox(key=[zlib.crc32(key.encode()), seed]))
    draw = rng.standard_normal(tuple(like.shape))
    if like.ndim >= 2:
        draw = draw / np.sqrt(np.prod(like.shape[1:]))
    elif key.endswith(("weight", "gamma")):
        draw = 1.0 + 0.05 * draw
    else:
        draw = 0.05 * draw
    if key == OBJECT_SCORE_BIAS:
        draw = draw + 5.0
    return torch.from_numpy(np.asarray(draw, dtype=np.float32))
