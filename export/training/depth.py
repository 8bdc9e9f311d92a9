"""Train the nano depth network on scenes with exact disparity and on what real frames tell of order.

`python -m samotion.export.training.depth --data DAVIS_TRAIN -o RUNS` writes RUNS/depth.safetensors and
RUNS/depth.json with the measured errors. Scenes train the scale- and shift-invariant disparity. Real frames
train order alone: an object is nearer than what is seen above its foot, a pasted object nearer than all
around it, and ground that is lower in the image is, more often than not, nearer.
"""

import argparse
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from samotion.calibration.scenes import SceneSpec, scene
from samotion.calibration.sources import Sources
from samotion.export.depth_anything import NANO, DepthAnything
from samotion.export.training.loop import run
from samotion.export.training.photographs import HELD_OUT, Photographs, Rng, load, look, paste, recolour, window
from samotion.export.training.semantics import initialise
from samotion.runtime.preprocess import normalised
from samotion.runtime.values import Bytes, Float, Int

SIZE = (126, 224)
SCENES, FRAMES = 6, 4  # of a batch
POOL = 1500  # scenes are kept and drawn again, flipped and recoloured: painting costs more than training
UNSEEN = 10**6  # seeds from here on measure
PAIRS = 256
MARGIN = 0.3  # mean absolute deviations by which a nearer point must lead
NAME = "depth"
SPEC = SceneSpec(frames=1, height=SIZE[0], width=SIZE[1], ground=0.8, blur=0.05)


@dataclass(frozen=True)
class Order:
    """Real images (n, 3, h, w) and pairs (n, P, 2) int64 of flat pixels: the first of a pair is nearer.

    weight: (n, P), how far each pair is to be trusted.
    """

    images: Tensor
    pairs: Tensor
    weight: Tensor


class Scenery:
    """Scenes of one frame, painted once."""

    def __init__(self, sources: Sources | None) -> None:
        self.painted = lru_cache(maxsize=POOL)(lambda seed: self._paint(seed, sources))

    @staticmethod
    def _paint(seed: int, sources: Sources | None) -> tuple[Bytes, Float]:
        one = scene(seed, SPEC, sources)
        return one.frames[0], one.disparity[0]

    def batch(self, rng: Rng) -> tuple[Tensor, Tensor]:
        """Return images (SCENES, 3, h, w) and their disparity (SCENES, h, w)."""
        images: list[Bytes] = []
        truth: list[Float] = []
        for _ in range(SCENES):
            frame, disparity = self.painted(int(rng.integers(POOL)))
            flip = slice(None, None, int(rng.choice([-1, 1])))
            images.append(recolour(rng, frame[:, flip]))
            truth.append(disparity[:, flip])
        return torch.from_numpy(normalised(np.stack(images))), torch.from_numpy(np.stack(truth))


def order(rng: Rng, photographs: Photographs, count: int) -> Order:
    """Return real frames and what is known of the order of their pixels."""
    images: list[Bytes] = []
    pairs: list[Int] = []
    weight: list[Float] = []
    while len(images) < count:
        _, frame, labels = photographs.draw(rng)
        if rng.random() < 0.5:
            _, source, mask = photographs.draw(rng)
            frame, labels = paste(rng, frame, labels, (source, mask), 2)
        affine = window(rng, labels, SIZE, (0.95, 1.8), aimed=0.5)
        inside = look(labels, affine, SIZE)
        kinds = [_object_first(rng, inside), _pasted_first(rng, inside), _lower_first(rng, inside)]
        trust = [np.full(len(kind), value, np.float32) for kind, value in zip(kinds, (1, 1, 0.4), strict=True)]
        found = np.concatenate(kinds)
        if not len(found):
            continue
        chosen = rng.integers(len(found), size=PAIRS)
        images.append(recolour(rng, look(frame, affine, SIZE)))
        pairs.append(found[chosen])
        weight.append(np.concatenate(trust)[chosen])
    arrays = (normalised(np.stack(images)), np.stack(pairs), np.stack(weight))
    return Order(*map(torch.from_numpy, arrays))


def _match(rng: Rng, near: Int, far: Int) -> Int:
    """Return random pairs (PAIRS, 2) of one pixel of ``near`` and one of ``far``, none if either is empty."""
    if min(len(near), len(far)) < 20:
        return np.empty((0, 2), np.int64)
    return np.stack([rng.choice(near, PAIRS), rng.choice(far, PAIRS)], 1).astype(np.int64)


def _object_first(rng: Rng, labels: Bytes) -> Int:
    """Pairs of the object and of background seen above its foot, which therefore lies behind it."""
    rows = np.flatnonzero((labels == 1).any(1))
    if not len(rows):
        return np.empty((0, 2), np.int64)
    behind = labels == 0
    behind[max(0, int(rows[-1]) - SIZE[0] // 12) :] = False
    return _match(rng, np.flatnonzero(labels == 1), np.flatnonzero(behind))


def _pasted_first(rng: Rng, labels: Bytes) -> Int:
    """Pairs of a pasted object and of anything else."""
    return _match(rng, np.flatnonzero(labels == 2), np.flatnonzero(labels != 2))


def _lower_first(rng: Rng, labels: Bytes) -> Int:
    """Pairs of background in one column, the lower one first."""
    height, width = labels.shape
    column, upper = rng.integers(width, size=PAIRS), rng.integers(height, size=PAIRS)
    lower = upper + rng.integers(height // 6, height, size=PAIRS)
    kept = lower < height
    column, upper, lower = column[kept], upper[kept], lower[kept]
    kept = (labels[upper, column] == 0) & (labels[lower, column] == 0)
    pairs: Int = np.stack([lower * width + column, upper * width + column], 1)[kept]
    return pairs


def standard(disparity: Tensor) -> Tensor:
    """Return maps (n, h, w) with median 0 and mean absolute deviation 1, as Depth-Anything compares them."""
    flat = disparity.flatten(1)
    centred = flat - flat.median(1, keepdim=True).values
    return (centred / centred.abs().mean(1, keepdim=True).clamp(min=1e-6)).view_as(disparity)


def scene_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute difference of standardised maps and of its gradients at four scales."""
    # A speck in front of everything must not set the scale of all the rest.
    error = standard(found) - standard(truth).clamp(-4, 6)
    loss = error.abs().mean()
    for scale in range(4):
        coarse = functional.avg_pool2d(error[:, None], 2**scale)[:, 0]
        steps = coarse.diff(dim=1).abs().mean() + coarse.diff(dim=2).abs().mean()
        loss = loss + 0.5 * steps
    return loss


def leads(found: Tensor, known: Order) -> Tensor:
    """Return by how much the first of each pair is nearer, (n, P) in mean absolute deviations."""
    values = standard(found).flatten(1)
    near, far = (values.gather(1, known.pairs[..., side]) for side in range(2))
    return near - far


def batch_loss(
    model: DepthAnything, scenery: Scenery, photographs: Photographs, rng: Rng
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch of scenes and real frames, and its parts."""
    images, truth = scenery.batch(rng)
    known = order(rng, photographs, FRAMES)
    found = model.raw(torch.cat([images, known.images]))
    exact = scene_loss(found[:SCENES], truth)
    ranked = (functional.relu(MARGIN - leads(found[SCENES:], known)) * known.weight).mean()
    # The last ReLU would cut what is below zero.
    positive = functional.relu(0.1 - found).mean()
    return exact + ranked + positive, {"scenes": float(exact.detach()), "order": float(ranked.detach())}


def measure(model: DepthAnything, sources: Sources | None, held: Photographs) -> dict[str, float]:
    """Return the error on unseen scenes and the part of trusted pairs in held-out clips that are right."""
    scenes = [Scenery._paint(UNSEEN + seed, sources) for seed in range(40)]
    images = torch.from_numpy(normalised(np.stack([frame for frame, _ in scenes])))
    truth = torch.from_numpy(np.stack([disparity for _, disparity in scenes]))
    with torch.no_grad():
        error = (standard(model(images)) - standard(truth).clamp(-4, 6)).abs().mean()
        figures = {"scene_error": float(error)}
        if held.frames:
            known = order(np.random.default_rng(UNSEEN), held, 40)
            right = leads(model(known.images), known) > 0
            for name, trusted in (("object_first", known.weight == 1), ("lower_first", known.weight < 1)):
                figures[name] = float(right[trusted].float().mean())
    return figures


def main(argv: list[str] | None = None) -> int:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, checkpoint and curve")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much training")
    given = parser.parse_args(argv)
    train, held = load(given.data)
    every = Sources.load(given.data).clips
    sources = Sources(tuple(clip for clip in every if clip[0][0].parent.parent.name not in HELD_OUT))
    torch.manual_seed(0)
    model = DepthAnything(NANO)
    initialise(model.pretrained)
    scenery = Scenery(sources)
    before = measure(model, sources, held)

    def step(index: int) -> tuple[Tensor, dict[str, float]]:
        return batch_loss(model, scenery, train, np.random.default_rng([2, index]))

    run(NAME, model, step, steps=given.steps, rate=1e-3, out=given.out, minutes=given.minutes)
    model.load_state_dict(load_file(given.out / f"{NAME}.safetensors"))
    figures = {"trained": measure(model, sources, held), "untrained": before}
    (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
