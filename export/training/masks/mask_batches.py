"""Batches that the mask network trains on: clips, objects to click in them, and where they are."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from samotion.calibration.scenes.cutouts import Sources
from samotion.export.training.masks import mask_clips
from samotion.export.training.masks.mask_clips import WHOLE, Example, Recipe, Rng, no_clicks, some_clicks
from samotion.export.training.photographs import Photographs
from samotion.export.training.stamps import Stamps
from samotion.runtime.ops.preprocess import normalised
from samotion.runtime.values import Bool, Float

MOST_OBJECTS = 3
DRAWN = 0.2  # part of the examples that are drawn scenes
CUT = 0.1  # how often a photographed clip has a frame of another clip


@dataclass(frozen=True)
class Batch:
    """Objects of several clips, clicked on frame 0.

    frames: (B, T, 3, S, S) normalised. owner: (K,) the clip of each object. points (K, CLICKS, 2) and labels
    (K, CLICKS) and votes (K, 1, S/4, S/4) for every frame: lists of T. truth: (K, T, S/2, S/2) float32 0 or 1.
    """

    frames: Tensor
    owner: Tensor
    points: list[Tensor]
    labels: list[Tensor]
    votes: list[Tensor]
    truth: Tensor

    def there(self, frame: int) -> Tensor:
        """Return (K,) bool: whether any of the object is seen."""
        return self.truth[:, frame].flatten(1).sum(1) > 0


def collate(rng: Rng, examples: list[Example], recipe: Recipe = WHOLE) -> Batch | None:
    """Click up to MOST_OBJECTS objects an example; None if there is nothing to click."""
    owner, made, truth = [], [], []
    for index, example in enumerate(examples):
        known = example.objects(0)
        for k in rng.permutation(known)[:MOST_OBJECTS]:
            masks = example.instance == k
            owner.append(index)
            made.append([some_clicks(rng, mask, recipe) if mask.any() else no_clicks(len(mask)) for mask in masks])
            truth.append(_halved(masks))
    if not owner:
        return None
    frames = np.stack([normalised(example.frames) for example in examples])
    by_frame = list(zip(*made, strict=True))
    return Batch(
        torch.from_numpy(frames),
        torch.tensor(owner),
        [torch.from_numpy(np.stack([own.points for own in asked])) for asked in by_frame],
        [torch.from_numpy(np.stack([own.labels for own in asked])) for asked in by_frame],
        [torch.from_numpy(np.stack([own.votes for own in asked])[:, None]) for asked in by_frame],
        torch.from_numpy(np.stack(truth)),
    )


def _halved(masks: Bool) -> Float:
    """Return masks (T, S, S) at half size, by majority."""
    t, side, _ = masks.shape
    part = masks.reshape(t, side // 2, 2, side // 2, 2).mean((2, 4))
    return np.asarray(part >= 0.5, np.float32)


@dataclass(frozen=True)
class Supply:
    """Where examples come from, and by which recipe."""

    photos: Photographs
    stamps: Stamps | None
    sources: Sources | None
    size: int
    recipe: Recipe = WHOLE

    def batch(self, index: int, count: int, frames: int) -> tuple[Batch, Rng]:
        """Return batch ``index`` of ``count`` clips of ``frames`` frames; the same arguments, the same batch."""
        rng = np.random.default_rng([3, index])
        while True:
            examples = [self._example(rng, index, frames) for _ in range(count)]
            if (batch := collate(rng, examples, self.recipe)) is not None:
                return batch, rng

    def _example(self, rng: Rng, index: int, frames: int) -> Example:
        if self.recipe.scenes and rng.random() < DRAWN:
            return mask_clips.drawn(rng, index, self.sources, self.size, frames, self.recipe)
        example = self._photographed(rng, frames)
        if frames > 1 and rng.random() < CUT:
            # Another clip for a frame: all objects are absent there.
            t = int(rng.integers(1, frames))
            example.frames[t] = self._photographed(rng, 1).frames[0]
            example.instance[t] = 0
        return example

    def _photographed(self, rng: Rng, frames: int) -> Example:
        return mask_clips.photographed(rng, self.photos, self.stamps, self.size, frames, self.recipe)
