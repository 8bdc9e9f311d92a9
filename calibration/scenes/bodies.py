"""Objects: a skin (textured parts), a pose in the world over time, and the layers that the two make."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from samotion.calibration.scenes.camera import Camera, Double, Trajectory
from samotion.calibration.scenes.layers import Layer, Map, Wobble
from samotion.calibration.scenes.shapes import Part, creature, outline
from samotion.calibration.scenes.textures import Rng, noise, shade, texture
from samotion.runtime.values import Bytes


@dataclass(frozen=True)
class Skin:
    """What an object looks like: parts with their premultiplied textures (h, w, 4), far to near; size (h, w)."""

    parts: tuple[Part, ...]
    textures: tuple[Bytes, ...]
    size: tuple[int, int]


def rgba(colour: Bytes, alpha: Bytes, opacity: float = 1.0) -> Bytes:
    """Return (h, w, 4) uint8 with premultiplied alpha."""
    cover = alpha.astype(np.float32) * opacity
    return np.dstack([colour * (cover[..., None] / 255) + 0.5, cover + 0.5]).astype(np.uint8)


def _relief(rng: Rng, colour: Bytes, alpha: Bytes) -> Bytes:
    """Shade a flat part as if it were round and lit from one side."""
    inside = np.asarray(cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 3), np.float32)
    dome = np.sqrt(np.clip(inside / max(float(inside.max()), 1.0), 0, 1))
    height, width = alpha.shape
    across = np.linspace(-1, 1, width) * rng.normal(0, 0.2) + np.linspace(-1, 1, height)[:, None] * 0.15
    depth = rng.uniform(0, 0.6)
    return shade(colour, np.asarray(1 - depth + depth * dome - across, np.float32))


def painted_skin(rng: Rng, height: int, width: int, jointed: bool, photo: Bytes | None = None) -> Skin:
    """Return a procedural skin; ``photo`` (height, width, 3) replaces the drawn texture if given."""
    parts = creature(rng, height, width) if jointed else [Part(outline(rng, height, width))]
    common = texture(rng, height, width) if photo is None else photo
    textures = []
    for part in parts:
        rows, columns = part.alpha.shape
        reuse = rng.random() < 0.7 and rows <= height and columns <= width
        colour = common[:rows, :columns] if reuse else texture(rng, rows, columns)
        textures.append(rgba(_relief(rng, colour, part.alpha), part.alpha))
    return Skin(tuple(parts), tuple(textures), (height, width))


def cut_out_skin(colour: Bytes, alpha: Bytes) -> Skin:
    """Return the one-part skin of a photographed cut-out: colour (h, w, 3), alpha (h, w)."""
    return Skin((Part(alpha),), (rgba(colour, alpha),), (alpha.shape[0], alpha.shape[1]))


def camouflaged(rng: Rng, skin: Skin, cloth: Bytes) -> Skin:
    """Return ``skin`` with its colours replaced by crops of ``cloth`` (h, w, 3), larger than its parts."""
    textures = []
    for worn in skin.textures:
        rows, columns = worn.shape[:2]
        top, left = (int(rng.integers(0, free + 1)) for free in (cloth.shape[0] - rows, cloth.shape[1] - columns))
        textures.append(rgba(cloth[top : top + rows, left : left + columns], worn[..., 3]))
    return replace(skin, textures=tuple(textures))


def post_skin(rng: Rng, height: int, width: int) -> Skin:
    """Return an upright post with straight edges."""
    alpha = np.full((height, width), 255, np.uint8)
    alpha[:, [0, -1]] = 128
    return Skin((Part(alpha),), (rgba(texture(rng, height, width), alpha),), (height, width))


def skyline(rng: Rng, height: int, width: int, photo: Bytes | None = None) -> Skin:
    """Return a strip of scenery with an uneven upper edge: hedges, roofs, hills."""
    rough = noise(rng, height, width, rng.uniform(3, 24), 4, rng.uniform(0.3, 0.8))[height // 2]
    if rng.random() < 0.3:
        rough = np.repeat(rough[::16], 16)[:width]
    edge = (0.05 + 0.7 * rough) * height
    alpha = np.clip((np.arange(height)[:, None] - edge) * 255 + 128, 0, 255).astype(np.uint8)
    colour = texture(rng, height, width) if photo is None else photo
    return Skin((Part(alpha),), (rgba(colour, alpha),), (height, width))


@dataclass(frozen=True)
class Pose:
    """Where an object's plane is.

    anchor: path (x, y, z) of the object's centre. spin: path of its angle in the plane, radians. slant: turn
    of the plane about the vertical, radians. scale: world units a texture pixel.
    """

    anchor: Trajectory
    spin: Trajectory
    slant: float
    scale: float

    def plane(self, times: Double, centre: tuple[float, float]) -> Double:
        """Return matrices (n, 4, 3) from texture pixels to world points; ``centre`` (x, y) is at the anchor."""
        angle = self.spin(times)
        across = np.array([np.cos(self.slant), 0, np.sin(self.slant)]) * self.scale
        down = np.array([0, 1.0, 0]) * self.scale
        u = np.cos(angle) * across + np.sin(angle) * down
        v = np.cos(angle) * down - np.sin(angle) * across
        matrix = np.zeros((len(times), 4, 3))
        matrix[:, :3, 0], matrix[:, :3, 1] = u, v
        matrix[:, :3, 2] = self.anchor(times) - u * centre[0] - v * centre[1]
        matrix[:, 3, 2] = 1
        return matrix


def hinge(part: Part, swing: Trajectory | None, times: Double) -> Double:
    """Return matrices (n, 3, 3) that turn the object's plane about the part's pivot."""
    angle = np.zeros(len(times)) if swing is None else swing(times)[:, 0]
    c, s = np.cos(angle), np.sin(angle)
    x, y = part.pivot
    matrix = np.zeros((len(times), 3, 3))
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 2] = c, -s, x - c * x + s * y
    matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2] = s, c, y - s * x - c * y
    matrix[:, 2, 2] = 1
    return matrix


def layers(
    camera: Camera, skin: Skin, pose: Pose, instance: int, swings: list[Trajectory | None], wobble: Wobble | None
) -> list[Layer]:
    """Return one layer a part, far to near, stacked at the depth of the object's anchor."""
    centre = ((skin.size[1] - 1) / 2, (skin.size[0] - 1) / 2)

    def joint(index: int, times: Double) -> Double:
        part = skin.parts[index]
        turn = hinge(part, swings[index], times)
        return turn if part.parent < 0 else joint(part.parent, times) @ turn

    def place(index: int) -> Map:
        shift = np.eye(3)
        shift[:2, 2] = skin.parts[index].corner

        def of(times: Double) -> Double:
            plane = camera.matrix(times) @ pose.plane(times, centre)
            return np.asarray(plane @ joint(index, times) @ shift)

        return of

    depth = anchor_depth(camera, pose.anchor)
    return [Layer(colour, place(index), depth, instance, wobble) for index, colour in enumerate(skin.textures)]


def anchor_depth(camera: Camera, anchor: Trajectory) -> Map:
    """Return the map from times to the depth (n,) of a path's points."""

    def depth(times: Double) -> Double:
        point = np.concatenate([anchor(times), np.ones((len(times), 1))], 1)
        return np.asarray((camera.matrix(times)[:, 2] * point).sum(1))

    return depth
