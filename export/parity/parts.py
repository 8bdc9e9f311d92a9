"""What every kind of parity case is made of: its parts, its input arrays and its images."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from samotion.engines.errors import InputError
from samotion.export.networks.spec import GraphSpec

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Run = Callable[..., Arrays]


@dataclass(frozen=True)
class Part:
    """Some of a case's arrays and the network that answers them.

    build: makes the network. graphs: cuts it. answer(run, seed, size): gives the arrays, all of which a case must
    have, where run(graph, **inputs) runs a graph and size is one of ``sizes``, the image sizes that the arrays
    leave open.
    """

    build: Callable[[], nn.Module]
    graphs: Callable[[Any], list[GraphSpec]]
    answer: Callable[[Run, int, Any], Arrays]
    sizes: Sequence[Any] = (None,)


def images(name: str, frames: int, size: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """Return the images (frames, 3, *size) of the cases: a coarse pattern that drifts 4 pixels a frame."""
    height, width = size
    rng = np.random.Generator(np.random.Philox(key=[zlib.crc32(name.encode()), seed]))
    coarse = rng.standard_normal((3, height // 8 + 4 + frames, width // 8 + 4 + frames))
    wide = coarse.repeat(8, axis=1).repeat(8, axis=2)
    out = np.stack([wide[:, 4 * t : 4 * t + height, 4 * t : 4 * t + width] for t in range(frames)])
    out = out + 0.1 * rng.standard_normal(out.shape)
    return np.clip(out, -2.0, 2.0).astype(np.float32)


def taken(case: Arrays, **shapes: tuple[int | str, ...]) -> dict[str, Array]:
    """Return the named arrays of a case, float32 unless bool, of the shapes given.

    Equal letters are equal lengths, capital ones not 0. Raises InputError for an array that is missing or of another
    shape.
    """
    lengths: dict[str, int] = {}

    def fits(length: int, wanted: int | str) -> bool:
        if isinstance(wanted, int):
            return length == wanted
        return length == lengths.setdefault(wanted, length) and (length > 0 or wanted.islower())

    for name, shape in shapes.items():
        if name not in case:
            raise InputError(f"array {name} is missing")
        found = case[name].shape
        if len(found) != len(shape) or not all(map(fits, found, shape)):
            known = ", ".join(f"{letter} = {length}" for letter, length in lengths.items())
            expected = ", ".join(map(str, shape))
            raise InputError(f"array {name} is {found}, expected ({expected}){' where ' if known else ''}{known}")
    return {name: case[name] if case[name].dtype == bool else case[name].astype(np.float32) for name in shapes}
