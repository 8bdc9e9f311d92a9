"""Semantics: DINOv2's keys, as the motion network reads them."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from samotion.export.networks.spec import GraphSpec
from samotion.export.networks.vit import VIT_B, VisionTransformer, VitParams

# As published with the motion network: ViT-B/14 with a patch every 7 pixels, four times the tokens. A frame of
# 1000×562 has 11584 of them: the scores of all twelve heads would take 6.4 GB, those of one take 0.54 GB.
OFFICIAL = replace(VIT_B, stride=7, by_head=True)
NANO = VitParams(width=96, depth=5, heads=3, grid=18)
# Pixels to which NANO wants an image's longest side shrunk; OFFICIAL keeps an image's size.
NANO_LONGEST_SIDE = 448


class Semantics(nn.Module):
    """Graph: image ("B", 3, "h", "w") ImageNet-normalised, multiples of 14 -> keys ("B", "gh", "gw", C)."""

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Return the keys; channel = d · heads + head, as trained."""
        return self.model.keys(image)


def example(params: VitParams, rows: int = 4, columns: int = 5, batch: int = 2) -> dict[str, Tensor]:
    """Return inputs of the graph: random images of rows × columns patches."""
    random = torch.Generator().manual_seed(rows)
    return {"image": torch.randn(batch, 3, rows * params.patch, columns * params.patch, generator=random)}


def graphs(model: VisionTransformer) -> list[GraphSpec]:
    """Return the one graph of this network."""
    dynamic = {"image": {0: "B", 2: "h", 3: "w"}}
    unseen = example(model.params, 9, 7, 1)
    return [GraphSpec("semantics", Semantics(model), example(model.params), dynamic, ("keys",), unseen)]
