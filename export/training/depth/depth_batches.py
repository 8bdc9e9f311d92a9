"""Batches that the depth network trains on: scenes with exact disparity, real frames with pairs of known order."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from samotion.calibration.scenes.cutouts import Sources
from samotion.calibration.scenes.scene import SceneSpec, scene
from samotion.export.training.photographs import Photographs, Rng, look, paste, recolour, whole, window
from samotion.runtime.ops.preprocess import normalised
from samotion.runtime.values import Bytes, Float, Int

SIZE = (126, 224)
SCENES = 6  # of a batch
POOL = 1500  # scenes are kept and drawn again, flipped and recoloured: painting costs more than training
PAIRS = 256
SPEC = SceneSpec(frames=1, height=SIZE[0], width=SIZE[1], ground=0.8, blur=0.05)


@dataclass(frozen=True)
class Recipe:
    """What training is made of; to see what a part is worth it is taken out.

    scenes: their exact disparity. photographs: scenes have photographed textures and cut-outs. order: what real
    frames tell of it. pasted: real frames have objects pasted in. crops: real frames are cropped, turned and flipped.
    light: all are in other light. averaged: weights are averaged over steps.
    """

    scenes: bool = True
    photographs: bool = True
    order: bool = True
    pasted: bool = True
    crops: bool = True
    light: bool = True
    averaged: bool = True


WHOLE = Recipe()


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
        self.painted = lru_cache(maxsize=POOL)(lambda seed: self.paint(seed, sources))

    @staticmethod
    def paint(seed: int, sources: Sources | None) -> tuple[Bytes, Float]:
        """Return the frame (h, w, 3) of scene ``seed`` and its disparity (h, w)."""
        one = scene(seed, SPEC, sources)
        return one.frames[0], one.disparity[0]

    def batch(self, rng: Rng, recipe: Recipe = WHOLE) -> tuple[Tensor, Tensor]:
        """Return images (SCENES, 3, h, w) and their disparity (SCENES, h, w)."""
        images: list[Bytes] = []
        truth: list[Float] = []
        for _ in range(SCENES):
            frame, disparity = self.painted(int(rng.integers(POOL)))
            flip = slice(None, None, int(rng.choice([-1, 1])))
            images.append(recolour(rng, frame[:, flip]) if recipe.light else frame[:, flip])
            truth.append(disparity[:, flip])
        return torch.from_numpy(normalised(np.stack(images))), torch.from_numpy(np.stack(truth))


def order(rng: Rng, photographs: Photographs, count: int, recipe: Recipe = WHOLE) -> Order:
    """Return real frames and what is known of the order of their pixels."""
    images: list[Bytes] = []
    pairs: list[Int] = []
    weight: list[Float] = []
    while len(images) < count:
        _, frame, labels = photographs.draw(rng)
        if recipe.pasted and rng.random() < 0.5:
            _, source, mask = photographs.draw(rng)
            frame, labels = paste(rng, frame, labels, (source, mask), 2)
        affine = window(rng, labels, SIZE, (0.95, 1.8), aimed=0.5) if recipe.crops else whole(labels.shape, SIZE)
        inside = look(labels, affine, SIZE)
        kinds = [_object_first(rng, inside), _pasted_first(rng, inside), _lower_first(rng, inside)]
        trust = [np.full(len(kind), value, np.float32) for kind, value in zip(kinds, (1, 1, 0.4), strict=True)]
        found = np.concatenate(kinds)
        if not len(found):
            continue
        chosen = rng.integers(len(found), size=PAIRS)
        image = look(frame, affine, SIZE)
        images.append(recolour(rng, image) if recipe.light else image)
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
