"""Procedural textures: a scalar pattern, coloured by a random palette, with fine grain and soft shading."""

from collections.abc import Callable

import cv2
import numpy as np

from samotion.runtime.values import Bytes, Float

Rng = np.random.Generator


def noise(rng: Rng, height: int, width: int, cells: float = 4.0, octaves: int = 5, gain: float = 0.55) -> Float:
    """Return multi-octave value noise (height, width) in [0, 1]; ``cells`` is the coarsest grid's size."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = max(2, round(cells * 2**octave * height / max(height, width)) + 1)
        columns = max(2, round(cells * 2**octave * width / max(height, width)) + 1)
        if min(rows, columns) > min(height, width):
            break
        grid = rng.random((rows, columns), np.float32)
        total += gain**octave * np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC))
    return _stretch(total)


def _stretch(field: Float) -> Float:
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / max(high - low, 1e-6), np.float32)


def _grid(height: int, width: int) -> tuple[Float, Float]:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x, y


def _turned(rng: Rng, height: int, width: int, bend: float) -> tuple[Float, Float]:
    """Return pixel coordinates turned by a random angle and bent by noise of ``bend`` pixels."""
    x, y = _grid(height, width)
    angle = rng.uniform(0, np.pi)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    shift = bend * noise(rng, height, width, 3, 2)
    return c * x + s * y + shift, c * y - s * x + shift


def _clouds(rng: Rng, height: int, width: int) -> Float:
    return noise(rng, height, width, rng.uniform(3, 16), 6, rng.uniform(0.5, 0.8))


def _stripes(rng: Rng, height: int, width: int) -> Float:
    u, _ = _turned(rng, height, width, rng.uniform(0, 40))
    wave = np.sin(u * np.float32(2 * np.pi / rng.uniform(8, 40)))
    return np.asarray(0.5 + 0.5 * np.clip(wave * rng.uniform(1, 4), -1, 1), np.float32)


def _checks(rng: Rng, height: int, width: int) -> Float:
    u, v = _turned(rng, height, width, rng.uniform(0, 20))
    size = rng.uniform(8, 30)
    tiles = np.floor(u / size).astype(np.int64) * 7919 + np.floor(v / size).astype(np.int64) * 104729
    if rng.random() < 0.5:
        return np.asarray((tiles & 1) * 0.8 + 0.1, np.float32)
    shades = rng.random(251, np.float32)
    return np.asarray(shades[tiles % 251])


def _cells(rng: Rng, height: int, width: int) -> Float:
    """Voronoi cells, each of one shade, darker at their borders."""
    count = int(rng.integers(20, 120))
    seeds = np.full((height, width), 255, np.uint8)
    seeds[rng.integers(0, height, count), rng.integers(0, width, count)] = 0
    distance, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    shades = rng.random(count + 1, np.float32)
    field = shades[np.asarray(labels, np.int64)] - 0.004 * np.asarray(distance, np.float32)
    return _stretch(np.asarray(field, np.float32))


def _spots(rng: Rng, height: int, width: int) -> Float:
    field = noise(rng, height, width, rng.uniform(6, 20), 2)
    sharp = np.clip((field - 0.5) * rng.uniform(4, 30) + 0.5, 0, 1)
    return np.asarray(0.75 * sharp + 0.25 * noise(rng, height, width, 16, 4, 0.8), np.float32)


def _slope(rng: Rng, height: int, width: int) -> Float:
    u, _ = _turned(rng, height, width, 30)
    return _stretch(_stretch(u) + 0.35 * noise(rng, height, width, 12, 5, 0.8))


def _rubble(rng: Rng, height: int, width: int) -> Float:
    """Overlapping rectangles and discs of random shade: corners and edges at every scale."""
    field = np.full((height, width), 0.5, np.float32)
    for size in np.geomspace(max(height, width) / 3, 4, int(rng.integers(60, 160))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        half = (max(1, int(size * rng.uniform(0.2, 0.6))), max(1, int(size * rng.uniform(0.2, 0.6))))
        shade = float(rng.random())
        if rng.random() < 0.6:
            cv2.rectangle(field, (x - half[0], y - half[1]), (x + half[0], y + half[1]), shade, -1)
        else:
            cv2.ellipse(field, (x, y), half, float(rng.uniform(0, 180)), 0, 360, shade, -1)
    return field


PATTERNS: tuple[Callable[[Rng, int, int], Float], ...] = (
    _clouds,
    _clouds,
    _stripes,
    _checks,
    _cells,
    _spots,
    _slope,
    _rubble,
)


def palette(rng: Rng) -> Bytes:
    """Return a colour ramp (256, 3) uint8 through three to six random, related colours."""
    count = int(rng.integers(3, 7))
    hue = (rng.uniform(0, 180) + rng.normal(0, rng.uniform(4, 40), count)) % 180
    saturation = rng.uniform(0, rng.uniform(40, 220), count)
    value = rng.permutation(np.linspace(rng.uniform(20, 90), rng.uniform(150, 255), count))
    stops = np.stack([hue, saturation, value], -1).astype(np.uint8)[None]
    colours = np.asarray(cv2.cvtColor(stops, cv2.COLOR_HSV2RGB), np.float32)[0]
    at = np.linspace(0, 255, count)
    return np.stack([np.interp(np.arange(256), at, colours[:, c]) for c in range(3)], -1).astype(np.uint8)


def shade(colour: Bytes, light: Float) -> Bytes:
    """Return ``colour`` (h, w, 3) times ``light`` (h, w), rounded into uint8."""
    return np.asarray(np.clip(colour * light[..., None] + 0.5, 0, 255), np.uint8)


def texture(rng: Rng, height: int, width: int) -> Bytes:
    """Return a random texture (height, width, 3) uint8, RGB."""
    field = PATTERNS[int(rng.integers(len(PATTERNS)))](rng, height, width)
    grain = noise(rng, height, width, rng.uniform(8, 40), 4, 0.9)
    strength = rng.uniform(0.1, 0.7)
    colour = palette(rng)[(np.clip(field, 0, 1) * 255).astype(np.uint8)]
    return shade(colour, 1 - strength / 2 + strength * grain)
