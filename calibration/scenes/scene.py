"""Labelled synthetic clips: textured layers under a moving camera, with exact tracks, depth and masks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes import effects
from samotion.calibration.scenes.builder import stage
from samotion.calibration.scenes.camera import Double
from samotion.calibration.scenes.cutouts import Sources
from samotion.calibration.scenes.layers import Layer, Placed
from samotion.calibration.scenes.paint import disparity, paint, stacking
from samotion.calibration.scenes.spec import SceneSpec
from samotion.calibration.scenes.textures import Rng
from samotion.runtime.values import Bool, Bytes, Float

__all__ = ["Scene", "SceneSpec", "scene"]


@dataclass(frozen=True)
class Scene:
    """A rendered clip and its truth.

    frames: (T, H, W, 3) uint8, RGB. disparity: (T, H, W) float32, 1 / depth, larger is nearer. instance:
    (T, H, W) uint8, the object whose surface is seen, 0 for background. moving: (K,) bool, whether object k + 1
    moves by itself in the world. factors: names of what the scene contains. placed: the layers behind it.
    """

    frames: Bytes
    disparity: Float
    instance: Bytes
    moving: Bool
    factors: frozenset[str]
    placed: tuple[Placed, ...]

    def owners(self, points: Float | Double) -> NDArray[np.int64]:
        """Return the index (N,) of the layer that owns each point (t, y, x); t must be a whole frame."""
        frame = np.asarray(points[:, 0], np.int64)[None]
        y, x = np.asarray(points[:, 1:], np.float64).T[:, None]
        covers = np.stack([p.covers(frame, x, y)[0] for p in self.placed], 1)
        rank = _ranks(self.placed)[frame[0]]
        return np.asarray(np.where(covers, rank, -1).argmax(1))

    def tracks(self, points: Float | Double) -> tuple[Float, Bool, Bytes]:
        """Follow surface points exactly.

        points: (N, 3) as (t, y, x) in frames and pixels, t whole. Returns xy (N, T, 2) float32 pixels, visible
        (N, T) bool (inside the image and not occluded; always true at the point's own frame) and instance (N,)
        uint8. Where a point is behind the camera, xy says nothing.
        """
        owner = self.owners(points)
        query = np.asarray(points[:, 0], np.int64)
        xy = np.zeros((len(points), len(self.frames), 2))
        weight = np.zeros((len(points), len(self.frames)))
        frames = np.arange(len(self.frames))[:, None]
        for index in np.unique(owner):
            chosen = np.flatnonzero(owner == index)
            x, y, _ = self.placed[index].to_texture(query[chosen], points[chosen, 2], points[chosen, 1])
            u, v, depth = self.placed[index].to_image(frames, x, y)
            xy[chosen, :, 0], xy[chosen, :, 1], weight[chosen] = u.T, v.T, depth.T
        rows = np.arange(len(points))
        xy[rows, query] = points[:, :0:-1]
        visible = self._visible(xy, owner) & (weight > 0)
        visible[rows, query] = True
        limit = 1e5  # keeps points behind the camera finite in float32
        kinds = np.array([p.layer.instance for p in self.placed], np.uint8)
        return np.clip(xy, -limit, limit).astype(np.float32), visible, kinds[owner]

    def _visible(self, xy: Double, owner: NDArray[np.int64]) -> Bool:
        """Return (N, T): inside the image, on a layer that is drawn, and under no nearer layer."""
        count, height, width, _ = self.frames.shape
        x, y = xy[..., 0].T, xy[..., 1].T
        inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
        frames = np.arange(count)[:, None]
        rank = _ranks(self.placed)
        own = rank[:, owner]
        seen = inside & np.stack([p.present for p in self.placed], 1)[:, owner]
        for index, placed in enumerate(self.placed):
            over = rank[:, index : index + 1] > own
            if over.any():
                seen &= ~(over & placed.covers(frames, x, y))
        return np.asarray(seen.T)


def _ranks(placed: tuple[Placed, ...]) -> NDArray[np.int64]:
    """Return each layer's place in the stack (T, L), larger is nearer."""
    return np.argsort(stacking(list(placed)), axis=1)


def scene(seed: int, spec: SceneSpec | None = None, sources: Sources | None = None) -> Scene:
    """Return the labelled clip of ``seed``: the same arguments give the same bytes.

    spec: what may occur (None: the defaults). sources: photographs for textures and cut-outs (None: all drawn).
    """
    spec = spec or SceneSpec()
    rng = np.random.default_rng(seed)
    staged = stage(rng, spec, sources)
    return render(staged.layers, staged.moving, staged.factors, spec, rng)


def render(layers: list[Layer], moving: list[bool], factors: set[str], spec: SceneSpec, rng: Rng) -> Scene:
    """Paint layers into a Scene and apply the photometric ``factors``."""
    times = np.arange(spec.frames, dtype=float)
    placed = [Placed(layer, times) for layer in layers]
    kinds = np.array([layer.instance for layer in layers], np.uint8)
    shape = (spec.frames, spec.height, spec.width)
    frames, instance = np.empty((*shape, 3), np.uint8), np.empty(shape, np.uint8)
    nearness = np.empty(shape, np.float32)
    for t in range(spec.frames):
        frames[t], owner = paint(placed, t, spec.height, spec.width)
        instance[t] = kinds[owner]
        nearness[t] = disparity(placed, t, owner)
    if "blur" in factors:
        frames = _blurred(layers, frames, rng)
    for name, apply in EFFECTS.items():
        if name in factors:
            frames = apply(rng, frames)
    return Scene(frames, nearness, instance, np.array(moving, bool), frozenset(factors), tuple(placed))


EFFECTS = {
    "light": effects.light,
    "vignette": effects.vignette,
    "noise": effects.grain,
    "jpeg": effects.compress,
}


def _blurred(layers: list[Layer], sharp: Bytes, rng: Rng) -> Bytes:
    """Return the frames as a shutter open around each frame's time would see them."""
    count, height, width, _ = sharp.shape
    shutter = rng.uniform(0.2, 0.8)  # fraction of the frame interval
    total = sharp.astype(np.uint16)
    offsets = [-0.5, -0.25, 0.25, 0.5]
    for offset in offsets:
        placed = [Placed(layer, np.arange(count, dtype=float) + offset * shutter) for layer in layers]
        for t in range(count):
            total[t] += paint(placed, t, height, width)[0]
    return np.asarray(total // (len(offsets) + 1), np.uint8)
