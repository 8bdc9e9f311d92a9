"""Random weights of published networks under which every stage has work: tracks are seen, move and make objects."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from samotion.export.presets import PRESETS
from samotion.export.weights.load import random_state

# What is added to drawn biases, by the end of their keys. With plain draws no track is visible.
PUSHED = {
    "torch_cost_volume_track_mods.occ_out.bias": (-10.0, -10.0),  # seen, and certain of where
    "decoder.output_layer.bias": (10.0,),  # moves by itself
    **{f"output_hypernetworks_mlps.{i}.layers.2.bias": (1.0,) for i in range(4)},  # inside the mask
}


def write_seen_weights(preset: str, folder: Path) -> None:
    """Write weights of every network of ``preset`` as samotion-export --weights takes them."""
    folder.mkdir()
    for network in PRESETS[preset].networks.values():
        state = random_state(network.empty(), 0)
        for key, value in state.items():
            for end, push in PUSHED.items():
                if key.endswith(end):
                    state[key] = value + torch.tensor(push)
        save_file(state, (folder / network.weights).with_suffix(".safetensors"))
