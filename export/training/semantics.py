"""Train the nano semantics: DINO-like keys that tell things from their surroundings and from each other.

`python -m samotion.export.training.semantics --data DAVIS_TRAIN -o RUNS` writes RUNS/semantics.safetensors and
RUNS/semantics.json with the measured average precision. Two recoloured views of each frame pass the network;
from its keys alone, dropped heads must say which patches are objects, and recognise in the other view the same
object's patches or, on background, the same place.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from samotion.export.dinov2 import NANO
from samotion.export.training.loop import run
from samotion.export.training.photographs import Photographs, Rng, blob, load, look, paste, recolour, window
from samotion.export.vit import VisionTransformer
from samotion.runtime.preprocess import normalised
from samotion.runtime.values import Bytes, Float, Int

SIZE = (196, 196)
PAIRS = 8
TEMPERATURE = 0.1
CONTRAST = 0.3  # weight of the contrast between patches beside the object head's cross-entropy
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


@dataclass(frozen=True)
class Views:
    """Two views of each of n frames, all first ones first.

    images: (2n, 3, h, w). cover: (2n, gh, gw), the part of a patch on objects. label: (2n, gh·gw) int64, 1 + the
    clip whose object a patch lies on; -1 mixed, 0 background. place: (2n, gh·gw, 2) of patch centres in the
    frame, in patches.
    """

    images: Tensor
    cover: Tensor
    label: Tensor
    place: Tensor


def compose(rng: Rng, photographs: Photographs) -> tuple[Bytes, Bytes]:
    """Return a frame and its labels, 1 + an object's own clip; pasted background hides, labelled 0."""
    clip, frame, mask = photographs.draw(rng)
    labels = mask * np.uint8(1 + clip)
    if rng.random() < 0.4:
        _, source, _ = photographs.draw(rng)
        frame, labels = paste(rng, frame, labels, (source, blob(rng, labels.shape)), 0)
    if rng.random() < 0.5:
        clip, source, mask = photographs.draw(rng)
        frame, labels = paste(rng, frame, labels, (source, mask), 1 + clip)
    return frame, labels


def views(rng: Rng, photographs: Photographs, count: int) -> Views:
    """Return random views of ``count`` composed frames."""
    frames = [compose(rng, photographs) for _ in range(count)]
    parts = [_view(rng, *frame) for _ in range(2) for frame in frames]
    images, cover, label, place = (np.stack(part) for part in zip(*parts, strict=True))
    return Views(*map(torch.from_numpy, (normalised(images), cover, label, place)))


def _view(rng: Rng, frame: Bytes, labels: Bytes) -> tuple[Bytes, Float, Int, Float]:
    """Return the image, cover, label and place of one view."""
    patch = NANO.patch
    affine = window(rng, labels, SIZE, (0.85, 2.0), aimed=0.5)
    image, inside = recolour(rng, look(frame, affine, SIZE)), look(labels, affine, SIZE)
    rows, columns = SIZE[0] // patch, SIZE[1] // patch
    tiles = inside.reshape(rows, patch, columns, patch).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    kinds = np.unique(inside).astype(np.int64)
    share = np.stack([(tiles == kind).mean(-1) for kind in kinds], -1)
    label = np.where(share.max(-1) > 0.6, kinds[share.argmax(-1)], -1).ravel()
    y, x = (np.mgrid[:rows, :columns] * patch + (patch - 1) / 2).reshape(2, -1)
    place = np.stack([x, y, np.ones_like(x)], -1) @ affine.T / patch
    return image, (tiles > 0).mean(-1).astype(np.float32), label, place.astype(np.float32)


def contrast(vectors: Tensor, batch: Views) -> Tensor:
    """Return how badly patches (2n, P, D) of first views know their like in second views.

    Like are patches of the same clip's object and, on background, patches at the same place of the same frame. Other
    background of the same frame counts neither way: a meadow is not to be told from itself.
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


def batch_loss(learner: Learner, batch: Views) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch and its parts."""
    logits, vectors = learner(batch.images)
    objects = functional.binary_cross_entropy_with_logits(logits, batch.cover)
    unlike = contrast(vectors.flatten(1, 2), batch)
    return objects + CONTRAST * unlike, {"objects": float(objects.detach()), "contrast": float(unlike.detach())}


def patches(network: VisionTransformer, photographs: Photographs, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the keys (n, C) of all patches of the frames at ``size``, and whether each is on an object (n,)."""
    keys, truth = [], []
    rows, columns = size[0] // NANO.patch, size[1] // NANO.patch
    stretch = np.array(photographs.frames[0].shape[1:3]) / np.array(size)
    affine = np.array([[stretch[1], 0, 0], [0, stretch[0], 0]], np.float32)
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


def main(argv: list[str] | None = None) -> int:
    """Train, keep the network alone, and measure it beside an untrained one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, checkpoint and curve")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much training")
    given = parser.parse_args(argv)
    train, held = load(given.data)
    torch.manual_seed(0)
    learner = Learner()
    before = probe(learner.network, train, held) if held.frames else None

    def step(index: int) -> tuple[Tensor, dict[str, float]]:
        return batch_loss(learner, views(np.random.default_rng([1, index]), train, PAIRS))

    run(NAME, learner, step, steps=given.steps, rate=1.5e-3, out=given.out, minutes=given.minutes)
    file = given.out / f"{NAME}.safetensors"
    state = load_file(file)
    prefix = "network."
    kept = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    save_file(kept, file)
    learner.network.load_state_dict(kept)
    after = probe(learner.network, train, held) if held.frames else None
    figures = {"held_out_average_precision": after, "untrained": before}
    (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
