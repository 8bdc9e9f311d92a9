"""Outlines of objects as alpha masks: blobs, polygons, fur, and parts that hang together by joints."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.textures import Rng
from samotion.runtime.values import Bytes, Float

SHIFT = 4  # fractional bits of OpenCV's drawing coordinates


@dataclass(frozen=True)
class Part:
    """One rigid piece of an object, in the object's own pixels.

    alpha: (h, w) uint8. corner: (x, y) of the piece's pixel (0, 0). pivot: (x, y) about which it swings.
    parent: index of the piece that carries it, -1 for none. swing: largest angle in radians, 0 if fixed.
    """

    alpha: Bytes
    corner: tuple[float, float] = (0.0, 0.0)
    pivot: tuple[float, float] = (0.0, 0.0)
    parent: int = -1
    swing: float = 0.0


def filled(points: Float, height: int, width: int) -> Bytes:
    """Return the polygon ``points`` (n, 2) as an antialiased mask (height, width) uint8."""
    mask = np.zeros((height, width), np.uint8)
    fixed = np.round(points * 2**SHIFT).astype(np.int32)
    cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, SHIFT)
    return mask


def blob(rng: Rng, height: int, width: int) -> Bytes:
    """Return a smooth closed outline whose radius is a sum of low harmonics."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    order = np.arange(2, 7)
    weight = rng.normal(0, rng.uniform(0.05, 0.3), 5) / order**0.5
    radius = 1 + (weight * np.cos(order * angle[:, None] + rng.uniform(0, 2 * np.pi, 5))).sum(1)
    radius = np.clip(radius, 0.25, None) / max(radius.max(), 0.3)
    outline = np.stack([np.cos(angle) * radius, np.sin(angle) * radius], -1)
    return filled(_fit(outline, height, width), height, width)


def _fit(outline: NDArray[np.floating], height: int, width: int) -> Float:
    """Scale an outline to fill its mask except for two pixels of margin."""
    low, high = outline.min(0), outline.max(0)
    unit = (outline - low) / np.maximum(high - low, 1e-6)
    return np.asarray(2 + unit * (np.array([width, height]) - 5), np.float32)


def polygon(rng: Rng, height: int, width: int) -> Bytes:
    """Return a regular, irregular or star-shaped polygon."""
    corners = int(rng.integers(3, 9))
    kind = rng.random()
    radius = rng.uniform(0.5, 1, corners) if kind < 0.4 else np.ones(corners)
    if kind > 0.8 and corners > 3:
        radius = np.tile([1.0, rng.uniform(0.35, 0.7)], corners)
    angle = np.arange(len(radius)) * 2 * np.pi / len(radius) + rng.uniform(0, 2 * np.pi)
    outline = np.stack([np.cos(angle) * radius, np.sin(angle) * radius], -1)
    return filled(_fit(outline, height, width), height, width)


def fur(rng: Rng, height: int, width: int) -> Bytes:
    """Return a blob with hairs along its edge."""
    margin = max(3, min(height, width) // 10)
    mask = np.zeros((height, width), np.uint8)
    mask[margin:-margin, margin:-margin] = blob(rng, height - 2 * margin, width - 2 * margin)
    edges, _ = cv2.findContours((mask > 127).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    centre = np.array([width / 2, height / 2])
    for x, y in np.asarray(max(edges, key=len)).reshape(-1, 2):
        out = np.array([x, y]) - centre
        out = out / max(float(np.hypot(*out)), 1.0) + rng.normal(0, 0.5, 2)
        tip = np.array([x, y]) + out * margin * rng.uniform(0.2, 0.9)
        cv2.line(mask, (int(x), int(y)), (round(tip[0]), round(tip[1])), 255, 1, cv2.LINE_AA)
    return mask


def ring(rng: Rng, height: int, width: int) -> Bytes:
    """Return an ellipse, sometimes with a hole through which the scene shows."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)
    mask = filled(_fit(circle, height, width), height, width)
    if rng.random() < 0.5:
        hole = circle * np.array([width, height]) * rng.uniform(0.1, 0.3) + np.array([width, height]) / 2
        mask = np.minimum(mask, 255 - filled(hole.astype(np.float32), height, width))
    return mask


def outline(rng: Rng, height: int, width: int) -> Bytes:
    """Return a random one-piece mask (height, width) uint8."""
    makers = (blob, blob, polygon, fur, ring)
    return makers[int(rng.integers(len(makers)))](rng, height, width)


def limb(length: float, width: float) -> Bytes:
    """Return an upright tapering capsule whose joint is the centre of its upper cap."""
    h, w = int(length + width) + 5, int(width) + 5
    mask = np.zeros((h, w), np.float32)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    radius, top = width / 2, 2 + width / 2
    along = np.clip((y - top) / max(length, 1), 0, 1)
    distance = np.hypot(x - (w - 1) / 2, y - top - along * length)
    mask = np.clip(radius * (1 - 0.35 * along) - distance + 0.5, 0, 1)
    return np.asarray(mask * 255 + 0.5, np.uint8)


def hang(alpha_length: float, width: float, joint: tuple[float, float], parent: int, swing: float) -> Part:
    """Return a limb hanging from ``joint``, a point (x, y) of the object."""
    alpha = limb(alpha_length, width)
    corner = (joint[0] - (alpha.shape[1] - 1) / 2, joint[1] - 2 - width / 2)
    return Part(alpha, corner, joint, parent, swing)


def creature(rng: Rng, height: int, width: int) -> list[Part]:
    """Return a body with limbs of one or two pieces that swing: an animal, a walker or a machine.

    The parts come in painting order; a parent may follow its child there.
    """
    body_height = height * rng.uniform(0.35, 0.6)
    maker = fur if rng.random() < 0.3 else blob
    body = Part(maker(rng, max(24, round(body_height)), max(24, width)))
    legs = int(rng.integers(2, 5))
    thickness = width * rng.uniform(0.1, 0.2)
    upper = (height - body_height) * rng.uniform(0.45, 0.7)
    parts = [body]
    for leg in range(legs):
        joint = (width * (0.22 + 0.56 * leg / max(legs - 1, 1)), body_height * 0.72)
        parts.append(hang(upper, thickness, joint, 0, rng.uniform(0.3, 0.8)))
        if rng.random() < 0.7:
            knee = (joint[0], joint[1] + upper)
            parts.append(hang(upper * 0.8, thickness * 0.75, knee, len(parts) - 1, rng.uniform(0.2, 0.6)))
    size = max(20, round(body_height * rng.uniform(0.5, 0.8)))
    spot = (width * rng.choice([0.0, 1.0]) - size / 2, -size * rng.uniform(0.1, 0.7))
    neck = (spot[0] + size / 2, spot[1] + size * 0.8)
    parts.append(Part(outline(rng, size, size), spot, neck, 0, rng.uniform(0.05, 0.35)))
    return parts
