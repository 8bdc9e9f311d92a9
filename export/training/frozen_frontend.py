"""The bundle that the motion network learns from: the trained tracker, depth and semantics of one folder."""

import shutil
from pathlib import Path

from safetensors.torch import save_file

from samotion.engines.atomic import atomic_folder
from samotion.engines.bundle import Bundle
from samotion.engines.bundle_files import must_be_bundle
from samotion.engines.errors import CheckpointError
from samotion.export.bundle import write
from samotion.export.presets import NANO
from samotion.export.weights.load import random_state

LATER = ("motion", "masks")  # networks that need no weights yet: drawn, and never run


def front_bundle(runs: Path, threads: int) -> Bundle:
    """Return a bundle of the weights in ``runs``, exported to RUNS/front.

    Raises CheckpointError if the tracker, depth or semantics has not been trained there yet.
    """
    folder = runs / "front_weights"
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in NANO.networks.items():
        if name in LATER:
            save_file(random_state(network.empty(), 0), folder / network.weights)
        elif (runs / network.weights).is_file():
            shutil.copyfile(runs / network.weights, folder / network.weights)
        else:
            raise CheckpointError(f"{runs / network.weights}: not there; train {name} first, or name --engines")
    with atomic_folder(runs / "front", must_be_bundle) as front:
        write(NANO, str(folder), front, print)
    return Bundle.load(runs / "front", threads=threads)
