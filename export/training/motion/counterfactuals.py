"""Clips in which looks say nothing of motion: whatever moves in one stands in another, before a camera that moves.

One photograph, or one frame of a clip with its objects in it, stands throughout. Things cut out of clips, and
stamps, lie over it: half of them stand, some beside the very same that move. Half of the clips have no mover.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from samotion.export.training.collages import SIZE, Layer, camera_path, carried, rest, smooth, thing, walk
from samotion.export.training.photographs import Photographs, Rng
from samotion.export.training.stamps import Stamps
from samotion.runtime.values import Bool, Bytes, Float

FRAMES = 24
EMPTY = 0.5  # how often nothing moves
FROZEN = 0.2  # of these: one picture, again and again
HELD = 0.15  # how often the camera stands still
FOLLOWED = 0.3  # how often the camera follows the first mover
TWIN = 0.6  # how often what stands is the same thing as what moves
WAVING = 0.25  # how often a part of the picture waves, as leaves and water do; it is no mover
PARALLAX = (0.8, 1.7)  # what stands is nearer or farther than the picture behind it
BEND = 2e-4  # perspective a pixel, of a camera that tilts


@dataclass(frozen=True)
class Ingredients:
    """What clips are made of: pictures (h, w, 3) uint8 RGB that stand, and things with their outlines."""

    pictures: list[Bytes]
    things: Stamps


def ingredients(photographs: Photographs, photos: list[Bytes], stamps: Stamps | None) -> Ingredients:
    """Return frames of clips and photographs as pictures, cut-outs of clips and stamps as things."""
    colours: list[Bytes] = [] if stamps is None else list(stamps.colours)
    masks: list[Bytes] = [] if stamps is None else list(stamps.masks)
    for frames, outlines in zip(photographs.frames, photographs.masks, strict=True):
        for frame, outline in zip(frames[::6], outlines[::6], strict=True):
            rows, columns = np.nonzero(outline)
            if len(rows) > 400:
                box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
                colours.append(frame[box])
                masks.append(outline[box])
    pictures = [frame for frames in photographs.frames for frame in frames[::6]]
    return Ingredients([*pictures, *photos], Stamps(colours, masks))


def clip(rng: Rng, given: Ingredients, frames: int = FRAMES) -> tuple[Bytes, Bool]:
    """Return a clip (T, H, W, 3) uint8 RGB and where its movers are seen (T, H, W)."""
    picture = given.pictures[int(rng.integers(len(given.pictures)))]
    picture = picture[:, :: int(rng.choice((-1, 1)))]
    empty = rng.random() < EMPTY
    camera = camera_path(rng, picture.shape[:2], frames)
    bend = rng.normal(0, BEND, 2) * np.stack([smooth(rng, frames, 0.1), smooth(rng, frames, 0.1)], 1)
    if (empty and rng.random() < FROZEN) or rng.random() < HELD:
        camera, bend = np.repeat(camera[:1], frames, 0), bend * 0
    waves = _waves(rng, picture, frames) if rng.random() < WAVING else None
    layers = _layers(rng, given.things, camera, frames, empty)
    pictures, masks = [], []
    for t in range(frames):
        shown = picture if waves is None else _waved(picture, waves[t])
        seen = cv2.warpPerspective(shown, _bent(camera[t], bend[t]), SIZE[::-1], borderMode=cv2.BORDER_REFLECT_101)
        frame, mask = np.asarray(seen, np.float32), np.zeros(SIZE, np.bool_)
        for layer, moves in layers:
            alpha = cv2.warpAffine(layer.alpha, layer.way[t], SIZE[::-1])
            frame += (cv2.warpAffine(layer.colours, layer.way[t], SIZE[::-1]) - frame) * alpha[..., None]
            mask[alpha > 0.5] = moves
        pictures.append(frame)
        masks.append(mask)
    return _filmed(rng, np.stack(pictures)), np.stack(masks)


def _layers(rng: Rng, things: Stamps, camera: Float, frames: int, empty: bool) -> list[tuple[Layer, bool]]:
    """Return things that stand and, unless ``empty``, things that move, from back to front."""
    seeds = rng.integers(1 << 30, size=4)
    movers = 0 if empty else int(rng.integers(1, 3))
    layers = []
    for index in range(movers):
        followed = 0.0 if index == 0 and rng.random() < FOLLOWED else float(rng.uniform(0.3, 1.0))
        own = np.random.default_rng(seeds[index])
        layers.append((thing(own, things, carried(camera, walk(rng, frames), followed)), True))
    for index in range(int(rng.integers(0, 4))):
        twin = movers and rng.random() < TWIN
        own = np.random.default_rng(seeds[0] if twin else seeds[3] + index)
        stands = thing(own, things, carried(camera, rest(rng, frames), float(rng.uniform(*PARALLAX))))
        layers.insert(int(rng.integers(len(layers) + 1)), (stands, False))
    return layers


def _bent(affine: Float, bend: Float) -> Float:
    """Return a camera's map (3, 3) of its affine part and its perspective (2,) about the frame's middle."""
    height, width = SIZE
    middle = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1]])
    tilted = np.array([[1, 0, 0], [0, 1, 0], [*bend, 1]])
    return np.asarray(middle @ tilted @ np.linalg.inv(middle) @ np.vstack([affine, [0, 0, 1]]), np.float32)


def _waves(rng: Rng, picture: Bytes, frames: int) -> Float:
    """Return displacements (T, h, w, 2) in pixels that swing about 0 within a random part of the picture."""
    height, width = picture.shape[:2]
    phase, rate = rng.uniform(0, 2 * np.pi, (6, 10, 2)), rng.uniform(0.2, 1.2)
    steps = np.sin(rate * np.arange(frames)[:, None, None, None] + phase) * rng.uniform(0.5, 3) * width / SIZE[1]
    size = (width, height)
    where = np.asarray(cv2.resize(rng.normal(0, 1, (4, 6)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC))
    inside = np.clip(where * 3, 0, 1)[..., None]
    return np.stack([cv2.resize(step.astype(np.float32), size) * inside for step in steps])


def _waved(picture: Bytes, wave: Float) -> Bytes:
    """Return the picture with every pixel taken from ``wave`` (h, w, 2) beside it."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    moved = cv2.remap(picture, columns + wave[..., 0], rows + wave[..., 1], cv2.INTER_LINEAR)
    return np.asarray(moved, np.uint8)


def _filmed(rng: Rng, pictures: Float) -> Bytes:
    """Return the pictures (T, H, W, 3) as a poor camera records them: flicker, blur, noise, compression."""
    light = 1 + rng.choice((0.0, 0.03, 0.1)) * smooth(rng, len(pictures), 1.0)
    noise, quality = rng.choice((0.0, 2.0, 5.0, 10.0)), int(rng.choice((20, 40, 70, 95)))
    blurred = rng.random() < 0.3
    out = []
    for picture, gain in zip(pictures, light, strict=True):
        frame = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 2.0)) if blurred else picture
        frame = (frame * gain + rng.normal(0, noise, frame.shape)).clip(0, 255).astype(np.uint8)
        file = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        out.append(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8))
    return np.stack(out)
