"""Short clips with object masks for the mask network: photographed and drawn ones, and clicks on their objects."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.cutouts import Sources
from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.export.training.masks.tracked_clicks import Tracked, tracked_clicks
from samotion.export.training.photographs import Photographs, recolour
from samotion.export.training.stamps import Stamps
from samotion.runtime.values import Bool, Bytes, Float

Rng = np.random.Generator
Pairs = NDArray[np.float64]

CLICKS = 32
# Of several clicks on an object, how many miss it: few by a little, or, where the tracker drifted or the motion
# network mistook what stands around, up to this part and by more.
WRONG_CLICKS = 0.1
MOST_WRONG = 0.4
TRACKED = 0.7  # how often several clicks are chosen as the pipeline chooses them
HEARD = 0.85  # of those, how often with the votes of all tracks
SMALLEST = 1 / 1000  # of the image: smaller objects are not asked for
STAMPED = 0.6  # part of the objects laid over a clip that are stamps, where there are stamps
SCENE_FRAMES = 8
# Drawn scenes are kept and seen again in other crops and colours; the window of seeds moves on.
POOL = 160
FIRST = 32
NEW_PER_STEP = 0.1


@dataclass(frozen=True)
class Recipe:
    """What training on images is made of; to see what a part is worth it is taken out.

    overlays: objects laid over the clips. stamps: those among them that are stamps. scenes: drawn ones. light: all is
    in other light. tracks: several clicks are mostly chosen from tracks, as the pipeline does. votes: with what all
    tracks vote. errors: clicks miss the object, tracks drift and are mislabelled. corrections: a click follows where
    the mask is wrong. likeness: features are taught outright to tell an object from its surroundings. prepared: the
    mask's layers start with more gain. muon: matrices are trained by Muon, not AdamW. averaged: weights are averaged
    over steps.
    """

    overlays: bool = True
    stamps: bool = True
    scenes: bool = True
    light: bool = True
    tracks: bool = True
    votes: bool = True
    errors: bool = True
    corrections: bool = True
    likeness: bool = True
    prepared: bool = True
    muon: bool = True
    averaged: bool = True


WHOLE = Recipe()


@dataclass(frozen=True)
class Example:
    """frames: (T, S, S, 3) uint8 RGB. instance: (T, S, S) uint8, the object seen in each pixel, 0 for none."""

    frames: Bytes
    instance: Bytes

    def objects(self, frame: int) -> list[int]:
        """Return the objects that are large enough to be clicked on ``frame``."""
        counts = np.bincount(self.instance[frame].ravel(), minlength=2)
        return [int(k) for k in np.flatnonzero(counts[1:] >= SMALLEST * self.instance[frame].size) + 1]


def photographed(
    rng: Rng, photos: Photographs, stamps: Stamps | None, size: int, frames: int, recipe: Recipe = WHOLE
) -> Example:
    """Return a moving crop of a real clip, squeezed into a square, with up to three other objects over it."""
    colours, masks = _stretch(rng, photos, frames)
    shape = masks.shape[1:]
    start = _crop(rng, shape)
    end = start + rng.normal(0, 0.01 * (frames - 1), (2, 2)) * np.array(shape)[:, None]
    flip, light = bool(rng.random() < 0.5), int(rng.integers(1 << 30))
    seen, labels = [], []
    for t in range(frames):
        affine = _fit(start + (end - start) * (t / max(frames - 1, 1)), size, flip)
        seen.append(cv2.warpAffine(colours[t], affine, (size, size), borderMode=cv2.BORDER_REFLECT_101))
        labels.append(cv2.warpAffine(masks[t], affine, (size, size), flags=cv2.INTER_NEAREST))
    pictures, instance = np.stack(seen).astype(np.uint8), np.stack(labels).astype(np.uint8)
    over = int(rng.choice(4, p=[0.25, 0.35, 0.25, 0.15])) if recipe.overlays else 0
    for number in range(2, 2 + over):
        stamped = recipe.stamps and stamps is not None and rng.random() < STAMPED
        other = stamps.draw(rng, frames) if stamps and stamped else _stretch(rng, photos, frames)
        _lay_over(rng, pictures, instance, other, number, recipe.light)
    return Example(_recoloured(light, pictures) if recipe.light else pictures, instance)


def _stretch(rng: Rng, photos: Photographs, frames: int) -> tuple[Bytes, Bytes]:
    """Return ``frames`` frames and masks of one clip, at a random pace, forwards or backwards."""
    clip = int(rng.integers(len(photos.frames)))
    count = len(photos.frames[clip])
    pace = min(int(rng.integers(1, 4)), (count - 1) // max(frames - 1, 1))
    first = int(rng.integers(count - pace * (frames - 1)))
    index = first + pace * np.arange(frames)
    index = index[::-1] if rng.random() < 0.5 else index
    return photos.frames[clip][index], photos.masks[clip][index]


def _crop(rng: Rng, shape: tuple[int, ...]) -> Pairs:
    """Return the (y, x) ranges (2, 2) of a crop: the whole frame, or a part of about its shape."""
    if rng.random() < 0.25:
        return np.array([[0, shape[0]], [0, shape[1]]], float)
    part = rng.uniform(0.45, 1) * np.exp(rng.normal(0, 0.12, 2))
    sides = np.minimum(part, 1) * np.array(shape)
    low = rng.uniform(0, np.array(shape) - sides + 1e-9)
    return np.stack([low, low + sides], 1)


def _fit(ranges: Pairs, size: int, flip: bool) -> Pairs:
    """Return the affine map (2, 3) that brings the crop to size × size."""
    (top, bottom), (left, right) = ranges
    x, y = size / (right - left), size / (bottom - top)
    if flip:
        return np.array([[-x, 0, x * right], [0, y, -y * top]])
    return np.array([[x, 0, -x * left], [0, y, -y * top]])


def _recoloured(seed: int, frames: Bytes) -> Bytes:
    """Put all frames in the same new light."""
    return np.stack([recolour(np.random.default_rng(seed), frame) for frame in frames])


def _lay_over(rng: Rng, frames: Bytes, instance: Bytes, other: tuple[Bytes, Bytes], number: int, relit: bool) -> None:
    """Lay the object of another clip over (or behind the first object of) the frames, moving, as ``number``."""
    colours, masks = other
    rows, columns = np.nonzero(masks[0])
    if len(rows) < 100:
        return
    size = frames.shape[1]
    scale = np.sqrt(rng.uniform(0.01, 0.15) * size * size / len(rows)) * np.exp(rng.normal(0, 0.15, 2))
    turn = rng.normal(0, 0.15)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag(scale)
    linear = linear @ np.diag([rng.choice([-1, 1]), 1])
    place, speed = rng.uniform(0.1, 0.9, 2) * size, rng.normal(0, 0.025 * size, 2)
    behind, light = bool(rng.random() < 0.3), int(rng.integers(1 << 30))
    for t in range(len(frames)):
        shift = place + speed * t - linear @ [columns.mean(), rows.mean()]
        affine = np.column_stack([linear, shift])
        soft = cv2.GaussianBlur(masks[t].astype(np.float32), (0, 0), 0.8)
        alpha = np.asarray(cv2.warpAffine(soft, affine, (size, size)))
        if behind:
            alpha = alpha * (instance[t] == 0)
        colour = np.asarray(cv2.warpAffine(colours[t], affine, (size, size)), np.uint8)
        colour = recolour(np.random.default_rng(light), colour) if relit else colour
        mixed = frames[t] + (colour.astype(np.float32) - frames[t]) * alpha[..., None]
        frames[t] = mixed.astype(np.uint8)
        instance[t][alpha > 0.5] = number


@lru_cache(maxsize=POOL)
def _scene(seed: int, size: int, sources: Sources | None) -> Scene:
    rng = np.random.default_rng([seed, 2])
    speed = float(np.exp(rng.uniform(np.log(0.5), np.log(2.5))))
    spec = SceneSpec(frames=SCENE_FRAMES, height=size, width=size, objects=(1, 5), speed=speed)
    return scene(seed, spec, sources)


def drawn(rng: Rng, index: int, sources: Sources | None, size: int, frames: int, recipe: Recipe = WHOLE) -> Example:
    """Return a crop of one of the scenes around step ``index``."""
    made = _scene(int(index * NEW_PER_STEP + rng.integers(FIRST)), size, sources)
    pace = int(rng.integers(1, 1 + max(1, (SCENE_FRAMES - 1) // max(frames - 1, 1)))) if frames > 1 else 1
    first = int(rng.integers(SCENE_FRAMES - pace * (frames - 1)))
    index_of = first + pace * np.arange(frames)
    affine = _fit(_crop(rng, (size, size)), size, bool(rng.random() < 0.5))
    seen = [cv2.warpAffine(f, affine, (size, size)) for f in made.frames[index_of]]
    labels = [cv2.warpAffine(f, affine, (size, size), flags=cv2.INTER_NEAREST) for f in made.instance[index_of]]
    light, pictures = int(rng.integers(1 << 30)), np.stack(seen).astype(np.uint8)
    relit = _recoloured(light, pictures) if recipe.light else pictures
    return Example(relit, np.stack(labels).astype(np.uint8))


def clicks(
    rng: Rng, mask: Bool, positive: int, negative: int, wrong: float = WRONG_CLICKS
) -> tuple[Float, NDArray[np.int64]]:
    """Return CLICKS points (x, y) float32 and labels int64 for an object's mask (S, S), padded with -1.

    One click alone lies deep inside, or anywhere; of several, the part ``wrong`` misses the object: by a little,
    or from WRONG_CLICKS on by more. Half of the background clicks are near it.
    """
    points, labels = np.zeros((CLICKS, 2), np.float32), np.full(CLICKS, -1)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    around = cv2.dilate(mask.astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
    missed = (around if wrong > WRONG_CLICKS else near) & ~mask
    depth = np.asarray(cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3))[1:-1, 1:-1]
    deep = depth >= rng.choice([0.3, 0.7]) * depth.max()
    for index in range(positive + negative):
        if index >= positive:
            where = (around if rng.random() < 0.5 else ~mask) & ~mask
        elif positive == 1:
            where = deep if rng.random() < 0.6 else mask
        else:
            where = missed if rng.random() < wrong else mask
        inside = np.flatnonzero(where)
        if len(inside):
            y, x = divmod(int(inside[rng.integers(len(inside))]), mask.shape[1])
            points[index], labels[index] = (x, y), int(index < positive)
    return points, labels


def some_clicks(rng: Rng, mask: Bool, recipe: Recipe = WHOLE) -> Tracked:
    """Return clicks as the runtime may give them: one, one among the background's, or up to 16 of each kind.

    Those of several are mostly chosen from tracks, as the pipeline does, with the votes of all of them; or else drawn
    from the mask. Points and labels are padded to CLICKS; without votes their map is 0.
    """
    kind, half = rng.random(), CLICKS // 2
    silent = np.zeros((mask.shape[0] // 4, mask.shape[1] // 4), np.float32)
    if kind < 0.2:
        return Tracked(*clicks(rng, mask, 1, 0), silent)
    if kind < 0.35:
        return Tracked(*clicks(rng, mask, 1, int(rng.integers(1, half + 1))), silent)
    if recipe.tracks and rng.random() < TRACKED:
        counts = int(rng.choice((half // 2, half))), int(rng.choice((0, half, half)))
        found = tracked_clicks(rng, mask, *counts, errors=recipe.errors)
        if found is not None:
            return _padded(found, found.votes if recipe.votes and rng.random() < HEARD else silent)
    wrong = rng.uniform(WRONG_CLICKS, MOST_WRONG) if rng.random() < 0.5 else WRONG_CLICKS
    counts = int(rng.integers(2, half + 1)), int(rng.integers(0, half + 1))
    made = clicks(rng, mask, *counts, wrong if recipe.errors else 0.0)
    return Tracked(*made, silent)


def no_clicks(side: int) -> Tracked:
    """Return nothing but padding for an object that a mask (side, side) does not show."""
    silent = np.zeros((side // 4, side // 4), np.float32)
    return Tracked(np.zeros((CLICKS, 2), np.float32), np.full(CLICKS, -1), silent)


def _padded(found: Tracked, votes: Float) -> Tracked:
    """Return CLICKS points and labels, the last of them padding."""
    points, labels = np.zeros((CLICKS, 2), np.float32), np.full(CLICKS, -1)
    points[: len(found.points)], labels[: len(found.labels)] = found.points, found.labels
    return Tracked(points, labels, votes)
