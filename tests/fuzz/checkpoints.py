"""Damaged checkpoints: files of torch.save in both formats, their pickles alone, and safetensors."""

import io
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from tests.fuzz.harness import Case, damaged
from torch import Tensor, nn

from samotion.export.weights.load import load, read


def damaged_checkpoints(rng: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield files that are read and loaded into a network."""
    torch.set_num_threads(1)  # forked workers have no other threads
    network = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 4))
    state = network.state_dict()
    makers = [_whole, _repacked, _legacy, _tensors]
    whole = {maker: maker(state) for maker in makers}
    for number in range(count):
        maker = makers[number % len(makers)]
        file = scratch / f"weights{'.safetensors' if maker is _tensors else '.pt'}"
        data = _with_damaged_pickle(whole[maker], rng) if maker is _repacked else damaged(whole[maker], rng)
        file.write_bytes(data)
        under = None if maker is _tensors else "model"
        yield Case(f"checkpoint {number} ({maker.__name__.strip('_')})", _loading(file, under, network))


def _loading(file: Path, under: str | None, network: nn.Module) -> Callable[[], None]:
    return lambda: load(network, read(file, under), str(file))


def _whole(state: dict[str, Tensor], zip_format: bool = True) -> bytes:
    made = io.BytesIO()
    content = {"model": OrderedDict(state), "epoch": 3, "note": "text"}
    torch.save(content, made, _use_new_zipfile_serialization=zip_format)
    return made.getvalue()


def _repacked(state: dict[str, Tensor]) -> bytes:
    return _whole(state)


def _legacy(state: dict[str, Tensor]) -> bytes:
    return _whole(state, zip_format=False)


def _tensors(state: dict[str, Tensor]) -> bytes:
    return save(state)


def _with_damaged_pickle(data: bytes, rng: random.Random) -> bytes:
    """Return the archive with a damaged pickle under a sound checksum."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, damaged(part, rng) if name.endswith("data.pkl") else part)
    return made.getvalue()
