"""Train the nano semantics: DINO-like keys that tell things from their surroundings and from each other.

`python -m samotion.export.training.semantics --data DAVIS_TRAIN -o RUNS` writes RUNS/semantics.safetensors and
RUNS/semantics.json with the measured average precision. Two recoloured views of each frame pass the network;
from its keys alone, dropped heads must say which patches are objects, and recognise in the other view the same
object's patches or, on background, the same place.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from samotion.export.networks.dinov2 import NANO
from samotion.export.networks.vit import VisionTransformer
from samotion.export.training.loop import run
from samotion.export.training.photographs import Photographs, load, look, whole
from samotion.export.training.semantics.semantics_views import WHOLE, Recipe, Views, views
from samotion.runtime.ops.preprocess import normalised

PAIRS = 8
RATE = 1.5e-3
TEMPERATURE = 0.1
CONTRAST = 0.3  # weight of the contrast between patches beside the object head's cross-entropy
AVERAGED = 0.998  # weight of the past in the averaged weights
NAME = "semantics"


class Learner(nn.Module):
    """The network with the two heads that training adds: object logit and a projection for the contrast."""

    def __init__(self) -> None:
        super().__init__()
        self.network = VisionTransformer(NANO)
        self.norm = nn.LayerNorm(NANO.width)
        self.object = nn.Linear(NANO.width, 1)
        self.project = nn.Sequential(nn.Linear(NANO.width, 128), nn.GELU(), nn.Linear(128, 64))
        initialise(self.network)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return object logits (B, gh, gw) and unit vectors (B, gh, gw, 64)."""
        keys = self.norm(self.network.keys(images))
        return self.object(keys)[..., 0], functional.normalize(self.project(keys), dim=-1)


def initialise(network: VisionTransformer) -> None:
    """Draw small weights as DINOv2 starts from."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.04)
            nn.init.zeros_(module.bias)
    nn.init.normal_(network.cls_token, std=1e-2)


def contrast(vectors: Tensor, batch: Views) -> Tensor:
    """Return how badly patches (2n, P, D) of first views know their like in second views.

    Like are patches of the same clip's object and, on background, patches at the same place of the same frame. Other
    background of the same frame counts neither way: a meadow is not to be separated from itself.
    """
    count = len(vectors) // 2
    first, second = (part.flatten(0, 1) for part in vectors.chunk(2))
    mine, theirs = (part.flatten() for part in batch.label.chunk(2))
    frame = torch.arange(count).repeat_interleave(vectors.shape[1])
    same_frame = frame[:, None] == frame
    here, there = (part.flatten(0, 1) for part in batch.place.chunk(2))
    near = torch.cdist(here, there) < 0.75
    ground = (mine[:, None] == 0) & (theirs == 0)
    like = torch.where(ground, near & same_frame, mine[:, None] == theirs) & (mine[:, None] >= 0)
    counted = (theirs >= 0) & ~(ground & same_frame & ~near)
    scores = (first @ second.T / TEMPERATURE).masked_fill(~counted, -torch.inf)
    chance = scores - scores.logsumexp(1, keepdim=True)
    total = like.sum(1)
    loss = -torch.where(like, chance, 0.0).sum(1) / total.clamp(min=1)
    # Objects cover few patches: they weigh as much as the background.
    parts = [loss[(total > 0) & chosen] for chosen in (mine > 0, mine == 0)]
    return sum((part.mean() for part in parts if len(part)), torch.zeros(()))


def batch_loss(learner: Learner, batch: Views, recipe: Recipe = WHOLE) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts."""
    logits, vectors = learner(batch.images)
    objects = functional.binary_cross_entropy_with_logits(logits, batch.cover)
    unlike = contrast(vectors.flatten(1, 2), batch)
    loss = objects * recipe.objects + CONTRAST * unlike * recipe.contrast
    return loss, {"objects": float(objects.detach()), "contrast": float(unlike.detach())}


def patches(network: VisionTransformer, photographs: Photographs, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the keys (n, C) of all patches of the frames at ``size``, and whether each is on an object (n,)."""
    keys, truth = [], []
    rows, columns = size[0] // NANO.patch, size[1] // NANO.patch
    affine = whole(photographs.frames[0].shape[1:3], size)
    for frames, masks in zip(photographs.frames, photographs.masks, strict=True):
        for frame, mask in zip(frames[::4], masks[::4], strict=True):
            image = torch.from_numpy(normalised(look(frame, affine, size)[None]))
            with torch.no_grad():
                keys.append(network.keys(image)[0].flatten(0, 1))
            inside = look(mask, affine, size).reshape(rows, NANO.patch, columns, NANO.patch)
            truth.append(torch.from_numpy(inside.mean((1, 3)) > 0.5).flatten())
    return torch.cat(keys), torch.cat(truth)


def probe(network: VisionTransformer, train: Photographs, held: Photographs) -> float:
    """Return the average precision on held-out clips of a least-squares classifier of training clips' keys."""
    size = (252, 448)
    seen, wanted = patches(network, train, size)
    unseen, truth = patches(network, held, size)
    mean, deviation = seen.mean(0), seen.std(0) + 1e-6

    def terms(keys: Tensor) -> Tensor:
        scaled = ((keys - mean) / deviation).double()
        return torch.cat([scaled, torch.ones(len(keys), 1)], 1)

    matrix = terms(seen)
    ridge = matrix.T @ matrix + 1e-3 * len(matrix) * torch.eye(matrix.shape[1])
    weights = torch.linalg.solve(ridge, matrix.T @ wanted.double())
    order = (terms(unseen) @ weights).argsort(descending=True)
    hits = truth[order].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum())


def fresh() -> Learner:
    """Return the untrained network with its heads, always the same."""
    torch.manual_seed(0)
    return Learner()


def train(
    learner: Learner,
    photographs: Photographs,
    arguments: argparse.Namespace,
    name: str = NAME,
    recipe: Recipe = WHOLE,
) -> VisionTransformer:
    """Train and return the network alone, with its averaged weights, which are OUT/NAME.safetensors."""

    def step(index: int) -> tuple[Tensor, dict[str, float]]:
        return batch_loss(learner, views(np.random.default_rng([1, index]), photographs, PAIRS, recipe), recipe)

    run(
        name,
        learner,
        step,
        steps=arguments.steps,
        rate=RATE,
        out=arguments.out,
        minutes=arguments.minutes,
        ema=AVERAGED if recipe.averaged else 0.0,
    )
    file, prefix = arguments.out / f"{name}.safetensors", "network."
    kept = {key.removeprefix(prefix): value for key, value in load_file(file).items() if key.startswith(prefix)}
    save_file(kept, file)
    learner.network.load_state_dict(kept)
    return learner.network


def main(argv: list[str] | None = None) -> int:
    """Train, keep the network alone, and measure it beside an untrained one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, checkpoint and curve")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much training")
    given = parser.parse_args(argv)
    clips, held = load(given.data)
    learner = fresh()
    before = probe(learner.network, clips, held) if held.frames else None
    network = train(learner, clips, given)
    after = probe(network, clips, held) if held.frames else None
    figures = {"held_out_average_precision": after, "untrained": before}
    (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0
