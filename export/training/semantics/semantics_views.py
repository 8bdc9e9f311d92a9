"""Batches that the semantics train on: two views of composed frames, and what lies where in them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from samotion.export.networks.dinov2 import NANO
from samotion.export.training.photographs import Photographs, Rng, blob, look, paste, recolour, whole, window
from samotion.runtime.ops.preprocess import normalised
from samotion.runtime.values import Bytes, Float, Int

SIZE = (196, 196)


@dataclass(frozen=True)
class Recipe:
    """What training is made of; to see what a part is worth it is taken out.

    objects: the loss of the head that says what is an object. contrast: that of patches which know their like in the
    other view. pasted: frames have parts of others pasted in. crops: views are cropped, turned and flipped. light:
    views are in other light. averaged: weights are averaged over steps.
    """

    objects: bool = True
    contrast: bool = True
    pasted: bool = True
    crops: bool = True
    light: bool = True
    averaged: bool = True


WHOLE = Recipe()


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


def compose(rng: Rng, photographs: Photographs, pasted: bool = True) -> tuple[Bytes, Bytes]:
    """Return a frame and its labels, 1 + an object's own clip; ``pasted`` background hides, labelled 0."""
    clip, frame, mask = photographs.draw(rng)
    labels = mask * np.uint8(1 + clip)
    if not pasted:
        return frame, labels
    if rng.random() < 0.4:
        _, source, _ = photographs.draw(rng)
        frame, labels = paste(rng, frame, labels, (source, blob(rng, labels.shape)), 0)
    if rng.random() < 0.5:
        clip, source, mask = photographs.draw(rng)
        frame, labels = paste(rng, frame, labels, (source, mask), 1 + clip)
    return frame, labels


def views(rng: Rng, photographs: Photographs, count: int, recipe: Recipe = WHOLE) -> Views:
    """Return random views of ``count`` composed frames."""
    frames = [compose(rng, photographs, recipe.pasted) for _ in range(count)]
    parts = [_view(rng, *frame, recipe) for _ in range(2) for frame in frames]
    images, cover, label, place = (np.stack(part) for part in zip(*parts, strict=True))
    return Views(*map(torch.from_numpy, (normalised(images), cover, label, place)))


def _view(rng: Rng, frame: Bytes, labels: Bytes, recipe: Recipe) -> tuple[Bytes, Float, Int, Float]:
    """Return the image, cover, label and place of one view."""
    patch = NANO.patch
    affine = window(rng, labels, SIZE, (0.85, 2.0), aimed=0.5) if recipe.crops else whole(labels.shape, SIZE)
    image, inside = look(frame, affine, SIZE), look(labels, affine, SIZE)
    image = recolour(rng, image) if recipe.light else image
    rows, columns = SIZE[0] // patch, SIZE[1] // patch
    tiles = inside.reshape(rows, patch, columns, patch).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    kinds = np.unique(inside).astype(np.int64)
    share = np.stack([(tiles == kind).mean(-1) for kind in kinds], -1)
    label = np.where(share.max(-1) > 0.6, kinds[share.argmax(-1)], -1).ravel()
    y, x = (np.mgrid[:rows, :columns] * patch + (patch - 1) / 2).reshape(2, -1)
    place = np.stack([x, y, np.ones_like(x)], -1) @ affine.T / patch
    return image, (tiles > 0).mean(-1).astype(np.float32), label, place.astype(np.float32)
