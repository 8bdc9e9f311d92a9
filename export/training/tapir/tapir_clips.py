"""Clips that the tracker trains on: scenes, cut in time, cropped by a moving window and recoloured."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.cutouts import Sources
from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.runtime.values import Bool, Bytes, Float

Rng = np.random.Generator

SCENE_FRAMES = 24
SCENE_POINTS = 1536
# Scenes stay in memory and are seen again in other cuts, crops and colours, for drawing one costs as much as
# half a training step. The window of seeds moves on so that none is seen for ever.
POOL = 256
FIRST = 48
NEW_PER_STEP = 0.25
SMALLEST_CROP = 0.55  # of the side


@dataclass(frozen=True)
class Recipe:
    """What training is made of; to see what a part is worth it is taken out.

    photographs: scenes have photographed textures and cut-outs. paces: cuts run at any pace, forwards or backwards.
    crops: they are seen through a gliding window, or mirrored. light: in other light. prepared: the head starts as
    an honest reader. features, heat: the truth's cell is taught outright in the features, and in the heat.
    averaged: weights are averaged over steps.
    """

    photographs: bool = True
    paces: bool = True
    crops: bool = True
    light: bool = True
    prepared: bool = True
    features: bool = True
    heat: bool = True
    averaged: bool = True


WHOLE = Recipe()


@dataclass(frozen=True)
class Example:
    """What the tracker sees and should answer.

    frames: (T, S, S, 3) uint8 RGB. points: (N, 3) float32 queries (t, y, x), a pixel's centre at +0.5.
    xy: (N, T, 2) float32 truth in the same pixels. visible: (N, T) bool, in the frame and not occluded.
    """

    frames: Bytes
    points: Float
    xy: Float
    visible: Bool


def scene_points(rng: Rng, made: Scene, count: int) -> Float:
    """Return points (N, 3) as (t, y, x), half of them on objects where there are any; t whole."""
    frames, height, width = made.instance.shape
    t = rng.integers(frames, size=count)
    y, x = rng.uniform(0, height - 1, count), rng.uniform(0, width - 1, count)
    on_objects = np.argwhere(made.instance > 0)
    if len(on_objects):
        half = count // 2
        chosen = on_objects[rng.integers(len(on_objects), size=half)] + rng.uniform(-0.5, 0.5, (half, 3))
        t[:half] = np.rint(chosen[:, 0])
        y[:half], x[:half] = np.clip(chosen[:, 1], 0, height - 1), np.clip(chosen[:, 2], 0, width - 1)
    return np.stack([t, y, x], 1).astype(np.float32)


@lru_cache(maxsize=POOL)
def drawn(seed: int, size: int, sources: Sources | None) -> Example:
    """Return the whole clip of one scene with SCENE_POINTS tracks, at a random pace of camera and objects."""
    rng = np.random.default_rng([seed, 1])
    spec = SceneSpec(
        frames=SCENE_FRAMES,
        height=size,
        width=size,
        camera=float(rng.uniform(0.5, 2.5)),
        speed=float(rng.uniform(0.5, 2.5)),
    )
    made = scene(seed, spec, sources)
    points = scene_points(rng, made, SCENE_POINTS)
    xy, visible, _ = made.tracks(points)
    half = np.float32(0.5)
    return Example(made.frames, points + np.array([0, 0.5, 0.5], np.float32), xy + half, visible)


def example(
    rng: Rng, index: int, size: int, frames: int, points: int, sources: Sources | None, recipe: Recipe = WHOLE
) -> Example:
    """Return a cut of one of the scenes that step ``index`` may see, with ``points`` tracks or a few less."""
    newest = FIRST + int(index * NEW_PER_STEP)
    seed = int(rng.integers(max(0, newest - POOL), newest))
    clip = cut(rng, drawn(seed, size, sources if recipe.photographs else None), frames, recipe.paces)
    clip = cropped(rng, clip, points, recipe.crops)
    return recoloured(rng, clip) if recipe.light else clip


def cut(rng: Rng, clip: Example, frames: int, paces: bool = True) -> Example:
    """Return ``frames`` frames from a random start on; with ``paces`` at any pace, half the time backwards."""
    most = (len(clip.frames) - 1) // (frames - 1)
    pace = int(rng.integers(1, most + 1)) if paces else 1
    start = int(rng.integers(len(clip.frames) - (frames - 1) * pace))
    chosen = start + pace * np.arange(frames)
    if paces and rng.random() < 0.5:
        chosen = chosen[::-1]
    place = np.full(len(clip.frames), -1)
    place[chosen] = np.arange(frames)
    t = place[clip.points[:, 0].astype(int)]
    kept = t >= 0
    points = clip.points[kept].copy()
    points[:, 0] = t[kept]
    return Example(clip.frames[chosen], points, clip.xy[kept][:, chosen], clip.visible[kept][:, chosen])


def cropped(rng: Rng, clip: Example, count: int, crops: bool = True) -> Example:
    """Return the clip with ``count`` points; ``crops``: in a window that pans and zooms, mirrored half the time."""
    frames, size = clip.frames.shape[:2]
    corner, reach = np.zeros((frames, 2)), np.full((frames, 2), float(size))
    if crops:
        corner, reach = _window(rng, frames, size)
    if crops and rng.random() < 0.5:
        corner[:, 0] += reach[:, 0]
        reach[:, 0] *= -1
    scale = size / reach
    out = np.empty_like(clip.frames)
    for t in range(frames):
        # Pixel centres lie at +0.5 in the tracks, at 0 for OpenCV.
        shift = (0.5 - corner[t]) * scale[t] - 0.5
        affine = np.array([[scale[t, 0], 0, shift[0]], [0, scale[t, 1], shift[1]]])
        out[t] = cv2.warpAffine(clip.frames[t], affine, (size, size), borderMode=cv2.BORDER_REPLICATE)
    xy = ((clip.xy - corner) * scale).astype(np.float32)
    inside = ((xy >= 0) & (xy < size)).all(-1)
    rows, own = np.arange(len(xy)), clip.points[:, 0].astype(int)
    usable = np.flatnonzero(inside[rows, own])
    kept = usable[rng.permutation(len(usable))[:count]]
    points = np.concatenate([clip.points[kept, :1], xy[kept, own[kept], ::-1]], 1)
    return Example(out, np.asarray(points, np.float32), xy[kept], (clip.visible & inside)[kept])


def _window(rng: Rng, frames: int, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return corners and sides (T, 2) of a window inside the frame that glides from one place to another."""
    ends = []
    for _ in range(2):
        side = size * rng.uniform(SMALLEST_CROP, 1) * rng.uniform(0.85, 1, 2)
        ends.append((rng.uniform(0, size - side), side))
    if rng.random() < 0.4:
        ends[1] = ends[0]
    way = np.linspace(0, 1, frames)[:, None] ** rng.uniform(0.6, 1.6)
    (first, small), (last, large) = ends
    return first + (last - first) * way, small + (large - small) * way


def recoloured(rng: Rng, clip: Example) -> Example:
    """Return the clip with random contrast, brightness, colour balance and now and then no colour."""
    colours = clip.frames.astype(np.float32)
    if rng.random() < 0.1:
        colours[:] = colours.mean(-1, keepdims=True)
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.85, 1.15, 3)
    shifted = (colours - 128) * gain + 128 + rng.uniform(-25, 25)
    return Example(np.clip(shifted, 0, 255).astype(np.uint8), clip.points, clip.xy, clip.visible)
