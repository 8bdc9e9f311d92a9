"""Drawn skins of the demo clip: a dog, a ball, a car, trees, hills, sky and a street."""

from collections.abc import Sequence

import cv2
import numpy as np

from samotion.calibration.scenes.bodies import Skin, rgba
from samotion.calibration.scenes.shapes import Part, fur, hang
from samotion.calibration.scenes.textures import Rng, noise, shade
from samotion.runtime.values import Bytes, Float

Colour = tuple[int, int, int]
Point = tuple[float, float]


def _smooth(mask: Bytes, softness: float) -> Bytes:
    """Round a mask's corners off, keeping its edge one pixel soft."""
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), softness), np.float32)
    return np.asarray(np.clip((soft - 127) * softness * 1.5 + 127, 0, 255), np.uint8)


def _ellipses(height: int, width: int, shapes: list[tuple[float, float, float, float, float]]) -> Bytes:
    """Return the union of ellipses (x, y, half width, half height, degrees) as a mask."""
    mask = np.zeros((height, width), np.uint8)
    for x, y, a, b, turn in shapes:
        cv2.ellipse(mask, (round(x), round(y)), (round(a), round(b)), turn, 0, 360, 255, -1, cv2.LINE_AA)
    return mask


def _polygon(image: Bytes, points: Sequence[Point], colour: Colour | int) -> None:
    fixed = np.round(np.array(points) * 16).astype(np.int32)
    cv2.fillPoly(image, [fixed], colour if isinstance(colour, tuple) else (colour,), cv2.LINE_AA, 4)


def _plain(height: int, width: int, colour: Colour) -> Bytes:
    return np.full((height, width, 3), colour, np.uint8)


def _rounded(alpha: Bytes, strength: float) -> Float:
    """Return light (h, w) falling from above on a bulging part."""
    inside = np.asarray(cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    bulge = np.sqrt(np.clip(inside / max(float(inside.max()), 1.0), 0, 1))
    slope = np.asarray(cv2.Sobel(cv2.GaussianBlur(bulge, (0, 0), 2), cv2.CV_32F, 0, 1), np.float32)
    return np.asarray(1 - 0.5 * strength + 0.5 * strength * bulge + 0.8 * strength * slope, np.float32)


def _coat(rng: Rng, alpha: Bytes, colour: Colour) -> Bytes:
    """Return short lying fur of about ``colour``."""
    height, width = alpha.shape
    strands = np.asarray(cv2.resize(noise(rng, height, max(8, width // 3), 90, 2), (width, height)))
    patches = noise(rng, height, width, 5, 3)
    light = _rounded(alpha, 0.7) * (0.8 + 0.16 * strands + 0.24 * patches)
    return shade(_plain(height, width, colour), np.asarray(light, np.float32))


def dog(rng: Rng) -> Skin:
    """Return a dog that looks to the right, 240 pixels a metre, with joints at hips, knees, neck and tail."""
    fawn, dark = (196, 140, 84), (128, 88, 52)
    body = _smooth(
        _ellipses(
            120, 230, [(165, 56, 42, 36, 0), (105, 54, 70, 29, 0), (52, 54, 34, 33, 0), (190, 36, 26, 22, -50)]
        ),
        5,
    )
    parts: list[Part] = []
    colours: list[Bytes] = []
    for joint, colour in [((186, 74), dark), ((62, 66), dark), ((160, 74), fawn), ((40, 66), fawn)]:
        for piece in (hang(58, 30, joint, -1, 0.4), hang(52, 19, (joint[0], joint[1] + 58), len(parts), 0.3)):
            parts.append(piece)
            colours.append(_coat(rng, piece.alpha, colour))
    # Far legs lie under the body, near ones over it.
    tail = hang(84, 17, (28, 42), -1, 0.4)
    head_alpha, head = _head(rng, fawn)
    pieces = [*parts[:4], tail, Part(body), *parts[4:], Part(head_alpha, (186, -52), (204, 20))]
    painted = [*colours[:4], _coat(rng, tail.alpha, fawn), _coat(rng, body, fawn), *colours[4:], head]
    cv2.ellipse(painted[5], (200, 22), (7, 26), -48, 0, 360, (186, 40, 44), -1, cv2.LINE_AA)
    moved = [_reparented(piece, 2 if index >= 6 else 0) for index, piece in enumerate(pieces)]
    textures = tuple(rgba(colour, piece.alpha) for colour, piece in zip(painted, moved, strict=True))
    return Skin(tuple(moved), textures, (205, 230))


def _reparented(part: Part, shift: int) -> Part:
    """Return the part with its parent's index moved by the pieces put in before it."""
    parent = part.parent + shift if part.parent >= 0 else -1
    return Part(part.alpha, part.corner, part.pivot, parent, part.swing)


def _head(rng: Rng, coat: Colour) -> tuple[Bytes, Bytes]:
    alpha = _smooth(_ellipses(100, 110, [(38, 48, 31, 28, 0), (72, 58, 30, 16, 8)]), 3)
    colour = _coat(rng, alpha, coat)
    cv2.ellipse(colour, (26, 58), (13, 30), 14, 0, 360, (104, 66, 40), -1, cv2.LINE_AA)
    cv2.circle(colour, (54, 42), 5, (30, 20, 16), -1, cv2.LINE_AA)
    cv2.circle(colour, (56, 40), 1, (240, 240, 240), -1, cv2.LINE_AA)
    cv2.ellipse(colour, (98, 54), (7, 7), 0, 0, 360, (34, 28, 28), -1, cv2.LINE_AA)
    cv2.line(colour, (64, 68), (96, 66), (92, 58, 40), 2, cv2.LINE_AA)
    ear = _ellipses(100, 110, [(26, 58, 13, 30, 14)])
    return np.maximum(alpha, ear), colour


def ball(size: int) -> Skin:
    """Return a beach ball of six colours, ``size`` pixels across."""
    colour = _plain(size, size, (240, 240, 236))
    centre, radius = (size - 1) / 2, size / 2 - 2
    for index, tone in enumerate([(214, 48, 42), (246, 244, 238), (244, 190, 40), (246, 244, 238)] * 2):
        angle = np.linspace(index, index + 1, 12) * np.pi / 4
        rim = [(centre + size * np.cos(a), centre + size * np.sin(a)) for a in angle]
        _polygon(colour, [(centre, centre), *rim], (40, 110, 200) if index == 6 else tone)
    cv2.circle(colour, (round(centre), round(centre)), size // 9, (250, 250, 250), -1, cv2.LINE_AA)
    alpha = _ellipses(size, size, [(centre, centre, radius, radius, 0)])
    return Skin((Part(alpha),), (rgba(colour, alpha),), (size, size))


def gloss(size: int) -> Skin:
    """Return the light and shade on a ball, which do not turn with it; too faint to own a pixel."""
    y, x = (np.mgrid[:size, :size].astype(np.float32) - (size - 1) / 2) / (size / 2 - 2)
    inside = np.clip((1 - np.hypot(x, y)) * size / 2, 0, 1)
    dark = np.clip((x * 0.5 + y + 0.2) * 0.5, 0, 0.47) * inside
    bright = 0.45 * np.exp(-((x + 0.35) ** 2 + (y + 0.45) ** 2) / 0.06) * inside
    colour = np.repeat((bright * 255)[..., None], 3, 2)
    cover = np.maximum(dark, bright) * 255
    texture = np.dstack([colour, cover]).astype(np.uint8)
    return Skin((Part(texture[..., 3]),), (texture,), (size, size))


def _wheel(size: int) -> tuple[Bytes, Bytes]:
    colour, c = _plain(size, size, (28, 28, 30)), size // 2
    cv2.circle(colour, (c, c), int(size * 0.33), (176, 180, 186), -1, cv2.LINE_AA)
    for a in np.arange(5) * 2 * np.pi / 5:
        rim = (round(c + size * 0.22 * np.cos(a)), round(c + size * 0.22 * np.sin(a)))
        cv2.circle(colour, rim, int(size * 0.085), (50, 52, 56), -1, cv2.LINE_AA)
    alpha = _ellipses(size, size, [(c, c, size / 2 - 2, size / 2 - 2, 0)])
    return colour, alpha


def car(rng: Rng, paint: Colour) -> Skin:
    """Return a hatchback that looks to the left, 100 pixels a metre; its last two parts are the wheels."""
    height, width = 150, 420
    alpha = np.zeros((height, width), np.uint8)
    shell = [(8, 92), (20, 74), (104, 60), (160, 20), (200, 10), (318, 12), (372, 54), (408, 68), (414, 118)]
    _polygon(alpha, [*shell, (400, 128), (16, 128), (6, 116)], 255)
    alpha = _smooth(alpha, 4)
    colour = shade(_plain(height, width, paint), _rounded(alpha, 0.35) + 0.02 * noise(rng, height, width))
    for glass in (
        [(124, 60), (168, 26), (222, 20), (222, 60)],
        [(232, 60), (232, 20), (310, 22), (352, 58), (350, 61)],
    ):
        _polygon(colour, glass, (46, 60, 74))
        (x, y), (u, v) = glass[0], glass[1]
        _polygon(colour, [(x + 14, y), (u + 12, v + 2), (u + 26, v + 2), (x + 30, y)], (110, 132, 150))
    cv2.line(colour, (227, 62), (227, 122), (60, 20, 20), 1, cv2.LINE_AA)
    cv2.rectangle(colour, (10, 116), (408, 128), (44, 44, 48), -1)
    cv2.ellipse(colour, (22, 84), (14, 8), -30, 0, 360, (250, 246, 220), -1, cv2.LINE_AA)
    cv2.ellipse(colour, (406, 82), (8, 10), 0, 0, 360, (170, 20, 20), -1, cv2.LINE_AA)
    rim, tyre = _wheel(68)
    parts = [Part(alpha)]
    for x in (88, 330):
        cv2.circle(colour, (x, 116), 40, (24, 24, 26), -1, cv2.LINE_AA)
        parts.append(Part(tyre, (x - 34, 116 - 34), (x, 116)))
    return Skin(tuple(parts), (rgba(colour, alpha), rgba(rim, tyre), rgba(rim, tyre)), (height, width))


def _leaves(rng: Rng, alpha: Bytes, tone: Colour) -> Bytes:
    height, width = alpha.shape
    light = 0.45 + 0.6 * noise(rng, height, width, 14, 5, 0.9) + 0.3 * noise(rng, height, width, 4, 2)
    light *= np.linspace(1.15, 0.75, height)[:, None]
    return shade(_plain(height, width, tone), np.asarray(light, np.float32))


def tree(rng: Rng, height: int, tone: Colour) -> Skin:
    """Return a tree ``height`` pixels tall that ends at its foot."""
    width = int(height * 0.8)
    trunk = np.zeros((height, width), np.uint8)
    half, c = width * 0.045, width / 2
    _polygon(
        trunk,
        [(c - half, height * 0.4), (c + half, height * 0.4), (c + 1.5 * half, height), (c - 1.6 * half, height)],
        255,
    )
    bark = noise(rng, height // 6, width, 90, 3, 0.8)
    wood = np.asarray(cv2.resize(bark, (width, height)), np.float32)
    bark_colour = shade(_plain(height, width, (112, 88, 66)), np.asarray(0.5 + 0.7 * wood, np.float32))
    crown = np.zeros((height, width), np.uint8)
    for _ in range(14):
        x, y = c + width * rng.uniform(-0.28, 0.28), height * rng.uniform(0.18, 0.5)
        size = max(16, int(width * rng.uniform(0.25, 0.42)))
        tuft = fur(rng, size, size)
        top, left = max(0, int(y - size / 2)), max(0, int(x - size / 2))
        window = crown[top : top + size, left : left + size]
        np.maximum(window, tuft[: window.shape[0], : window.shape[1]], out=window)
    textures = rgba(bark_colour, trunk), rgba(_leaves(rng, crown, tone), crown)
    return Skin((Part(trunk), Part(crown)), textures, (height, width))


def bush(rng: Rng, height: int, width: int, tone: Colour) -> Skin:
    """Return a bush that ends at its foot."""
    alpha = np.zeros((height, width), np.uint8)
    for _ in range(10):
        size = int(height * rng.uniform(0.5, 0.8))
        tuft = fur(rng, size, size)
        left, top = int(rng.uniform(0, width - size)), int(rng.uniform(0.3, 1) * (height - size))
        window = alpha[top : top + size, left : left + size]
        np.maximum(window, tuft, out=window)
    return Skin((Part(alpha),), (rgba(_leaves(rng, alpha, tone), alpha),), (height, width))


def ridge(rng: Rng, height: int, width: int, tone: Colour, cells: float, rough: float) -> Skin:
    """Return a range of hills or a row of trees; ``cells`` and ``rough`` shape its upper edge."""
    edge = (0.05 + 0.5 * noise(rng, 8, width, cells, 6, rough)[4]) * height
    alpha = np.clip((np.arange(height)[:, None] - edge) * 255 + 128, 0, 255).astype(np.uint8)
    return Skin((Part(alpha),), (rgba(_leaves(rng, alpha, tone), alpha),), (height, width))


def sky(rng: Rng, height: int, width: int) -> Bytes:
    """Return a blue sky with fair-weather clouds; its lower edge is the horizon's haze."""
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    blue = np.array([92, 148, 214], np.float32) * (1 - down) + np.array([206, 222, 236], np.float32) * down
    field = noise(rng, height // 2, width, 5, 6, 0.55)
    cover = np.asarray(cv2.resize(field, (width, height)), np.float32)
    cloud = np.clip((cover - 0.52) * 3.2, 0, 0.9)[..., None]
    white = 236 + 16 * noise(rng, height, width, 9, 3)[..., None]
    return np.asarray(blue * (1 - cloud) + white * cloud, np.uint8)


def meadow(rng: Rng, height: int, width: int, pixels: float, road: tuple[float, float]) -> Bytes:
    """Return grass seen from above with a road across, from ``road[0]`` to ``road[1]`` metres down.

    pixels: a metre. Row 0 lies under the camera.
    """
    patches, blades = noise(rng, height, width, 12, 4, 0.7), rng.random((height, width), np.float32)
    grass = np.array([86, 122, 48]) * (1 - patches[..., None]) + np.array([134, 152, 74]) * patches[..., None]
    light = 0.72 + 0.4 * np.asarray(cv2.GaussianBlur(blades, (0, 0), 0.8)) + 0.16 * patches
    colour = shade(np.asarray(grass, np.uint8), np.asarray(light, np.float32))
    top, bottom = round(road[0] * pixels), round(road[1] * pixels)
    stones = rng.normal(104, 9, (bottom - top, width, 1)) + 22 * (patches[top:bottom, :, None] - 0.5)
    colour[top:bottom] = np.clip(stones + np.array([0, 1, 5]), 0, 255)
    kerb = max(2, round(0.14 * pixels))
    colour[top - kerb : top] = colour[bottom : bottom + kerb] = (176, 172, 164)
    middle = (top + bottom) // 2
    for left in range(0, width, round(2.4 * pixels)):
        colour[middle - kerb // 2 : middle + kerb // 2, left : left + round(1.2 * pixels)] = (222, 220, 210)
    return colour
