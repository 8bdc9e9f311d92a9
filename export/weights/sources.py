"""Where each network's weights come from: a user's folder, this package, the cache of downloads, or a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from samotion.engines.cache import cache_folder
from samotion.engines.errors import CheckpointError
from samotion.export.presets import Network, Preset
from samotion.export.weights.download import fetch
from samotion.export.weights.load import check, load, random_state, read

RANDOM = "random:"


@dataclass(frozen=True)
class Source:
    """One network and its checkpoint, or the seed that draws its weights."""

    network: Network
    weights: Path | int

    def filled(self) -> nn.Module:
        """Return the network with its weights; raises CheckpointError if they do not fit."""
        model = self.network.empty()
        if isinstance(self.weights, int):
            load(model, random_state(model, self.weights), f"{RANDOM}{self.weights}")
        else:
            load(model, read(self.weights, self.network.under), str(self.weights))
        return model

    def check(self) -> None:
        """Raise CheckpointError if the checkpoint is damaged or does not fit."""
        if isinstance(self.weights, Path):
            check(self.network.empty(), read(self.weights, self.network.under), str(self.weights))


def is_random(weights: str | None) -> bool:
    """Return whether ``weights`` asks for random numbers."""
    return weights is not None and weights.startswith(RANDOM)


def sources(preset: Preset, weights: str | None, offline: bool, tell: Callable[[str], None]) -> dict[str, Source]:
    """Return where every network of ``preset`` gets its weights; all are there and fit when this returns.

    weights: a folder, "random:SEED", or None for what is shipped or can be downloaded. Raises CheckpointError.
    """
    if weights is not None and is_random(weights):
        seed = _seed(weights)
        return {name: Source(network, seed) for name, network in preset.networks.items()}
    found = {}
    for name, network in preset.networks.items():
        path = _fetched(network, offline, tell) if weights is None else _in_folder(network, Path(weights))
        found[name] = Source(network, path)
        found[name].check()
    return found


def _in_folder(network: Network, folder: Path) -> Path:
    """Return the checkpoint in a user's folder, under its official name or that with .safetensors."""
    official = folder / network.weights
    for path in (official, official.with_suffix(".safetensors")):
        if path.is_file():
            return path
    where = f"; it can be had at {network.url}" if network.url else ""
    raise CheckpointError(f"{official}: no such checkpoint{where}")


def _fetched(network: Network, offline: bool, tell: Callable[[str], None]) -> Path:
    """Return the checkpoint that is shipped, was downloaded before, or is downloaded now."""
    if network.shipped is not None:
        return network.shipped / network.weights
    assert network.url is not None
    folder = cache_folder()
    if not (folder / network.weights).is_file():
        if offline:
            raise CheckpointError(
                f"{network.weights}: not in {folder}, and --offline forbids to download it; get {network.url} "
                "elsewhere and name its folder with --weights"
            )
        tell(f"downloading {network.url} to {folder}")
    return fetch(network.url, folder)


def _seed(weights: str) -> int:
    """Return the seed of "random:SEED"."""
    text = weights.removeprefix(RANDOM)
    if not text.isdecimal():
        raise CheckpointError(f"--weights {weights}: expected random:SEED with a whole number, such as random:0")
    return int(text)
