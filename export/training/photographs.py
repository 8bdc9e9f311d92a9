"""Real frames with object masks for training, and the ways they are cropped, recoloured and mixed."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.cutouts import Sources
from samotion.engines.errors import InputError
from samotion.runtime.values import Bytes, Float

Rng = np.random.Generator
# Clips that no training sees, so that its figures are of clips never met: two people, two animals, a vehicle.
HELD_OUT = ("breakdance-flare", "hockey", "mallard-water", "rhino", "train")


@dataclass(frozen=True)
class Photographs:
    """Frames (n, H, W, 3) uint8 RGB of each clip and their masks (n, H, W) uint8, 1 on the object, 0 elsewhere."""

    frames: list[Bytes]
    masks: list[Bytes]

    def draw(self, rng: Rng) -> tuple[int, Bytes, Bytes]:
        """Return a random clip's number, frame and mask; every clip is as likely."""
        clip = int(rng.integers(len(self.frames)))
        index = int(rng.integers(len(self.frames[clip])))
        return clip, self.frames[clip][index], self.masks[clip][index]


def load(data: Path, every: int = 3) -> tuple[Photographs, Photographs]:
    """Return every n-th frame of the clips in DATA/<clip>/{frames,masks}: those to train on, those held out.

    Raises InputError if there is no such clip, or a file that does not decode.
    """
    clips = sorted(path.parent for path in data.glob("*/masks") if (path.parent / "frames").is_dir())
    train, held = ([c for c in clips if (c.name in HELD_OUT) is out] for out in (False, True))
    if not train:
        raise InputError(f"{data}: found no <clip>/frames with <clip>/masks to train on")
    return _read(train, every), _read(held, every)


def textures(data: Path) -> tuple[Sources, Sources | None]:
    """Return what scenes draw from in the same clips: those to train on, those held out (None: there are none).

    Raises InputError if there is no clip.
    """
    clips = Sources.load(data).clips
    train, held = (
        tuple(clip for clip in clips if (clip[0][0].parent.parent.name in HELD_OUT) is out) for out in (False, True)
    )
    return Sources(train), Sources(held) if held else None


def _read(clips: list[Path], every: int) -> Photographs:
    frames, masks = [], []
    for clip in clips:
        names = sorted((clip / "frames").iterdir())[::every]
        labels = sorted((clip / "masks").iterdir())[::every]
        frames.append(np.stack([_image(name, cv2.IMREAD_COLOR_RGB) for name in names]))
        masks.append(np.stack([(_image(name, cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8) for name in labels]))
    return Photographs(frames, masks)


def _image(path: Path, flag: int) -> Bytes:
    image = cv2.imread(str(path), flag)
    if image is None:
        raise InputError(f"{path}: not a readable image")
    return np.asarray(image, np.uint8)


def window(rng: Rng, labels: Bytes, size: tuple[int, int], zoom: tuple[float, float], aimed: float = 0.0) -> Float:
    """Return a random affine map (2, 3) from a view of ``size`` (height, width) to a frame with ``labels``.

    zoom: least and greatest enlargement over the view that just fits into the frame; the view is also flipped,
    turned and stretched a little, and stays within the frame except for its corners. aimed: how often it is near
    an object.
    """
    shape = labels.shape
    fit = min(shape[0] / size[0], shape[1] / size[1])
    scale = fit / np.exp(rng.uniform(*np.log(zoom)))
    stretch = np.exp(rng.uniform(-0.15, 0.15))
    angle = rng.normal(0, 0.08)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.diag([stretch * rng.choice([-1, 1]), 1 / stretch])
    reach = np.abs(linear) @ (np.array(size[::-1]) / 2)
    extent = np.array(shape[::-1], float)
    low = np.minimum(reach, extent / 2)
    centre = rng.uniform(low, extent - low)
    if rng.random() < aimed and len(inside := np.flatnonzero(labels)):
        row, column = divmod(int(rng.choice(inside)), shape[1])
        centre = np.clip([column, row] + rng.normal(0, 0.4, 2) * reach, low, extent - low)
    middle = (np.array(size[::-1]) - 1) / 2
    return np.column_stack([linear, centre - 0.5 - linear @ middle]).astype(np.float32)


def whole(shape: tuple[int, ...], size: tuple[int, int]) -> Float:
    """Return the affine map (2, 3) from a view of ``size`` (height, width) to all of a frame of ``shape``."""
    down, right = np.array(shape[:2]) / np.array(size)
    return np.array([[right, 0, 0], [0, down, 0]], np.float32)


def look(image: Bytes, affine: Float, size: tuple[int, int]) -> Bytes:
    """Return the view of ``size`` (height, width) that ``affine`` maps into ``image``; masks stay 0 or 1."""
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if image.ndim == 3 and scale > 1:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.4 * scale), np.uint8)
    method = cv2.INTER_LINEAR if image.ndim == 3 else cv2.INTER_NEAREST
    flags = method | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(image, affine, size[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(view, np.uint8)


def recolour(rng: Rng, image: Bytes) -> Bytes:
    """Return ``image`` in other light: exposure, contrast, saturation, tint, hue, blur and noise."""
    x = image.astype(np.float32) / 255
    x = np.power(x, np.exp(rng.normal(0, 0.25))) * np.exp(rng.normal(0, 0.2))
    mean = x.mean((0, 1))
    x = mean + (x - mean) * np.exp(rng.normal(0, 0.2))
    grey = x.mean(2, keepdims=True)
    x = grey + (x - grey) * (0 if rng.random() < 0.1 else np.exp(rng.normal(0, 0.3)))
    x = x @ (np.eye(3) + rng.normal(0, 0.06, (3, 3))).astype(np.float32)
    if rng.random() < 0.2:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.5, 1.5)))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(0.005, 0.03), x.shape)
    return (x * 255).clip(0, 255).astype(np.uint8)


def paste(rng: Rng, image: Bytes, labels: Bytes, other: tuple[Bytes, Bytes], label: int) -> tuple[Bytes, Bytes]:
    """Return ``image`` and ``labels`` with the other frame's masked part laid over them, given ``label``.

    Its outline is softened and it is resized, turned and moved; nothing happens where it would not show.
    """
    source, mask = other
    rows, columns = np.nonzero(mask)
    if len(rows) < 50:
        return image, labels
    height, width = mask.shape
    wanted = np.sqrt(rng.uniform(0.01, 0.2) * height * width)
    scale = float(np.clip(wanted / np.sqrt(len(rows)), 0.3, 3))
    angle = rng.normal(0, 0.15)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([rng.choice([-1, 1]), 1])
    place = rng.uniform([0.1 * width, 0.2 * height], [0.9 * width, 0.9 * height])
    affine = np.column_stack([linear, place - linear @ [columns.mean(), rows.mean()]])
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(0.6, 1.5))
    alpha = np.asarray(cv2.warpAffine(alpha, affine, (width, height)))[..., None]
    colour = np.asarray(cv2.warpAffine(source, affine, (width, height)))
    mixed = (image + (colour.astype(np.float32) - image) * alpha).astype(np.uint8)
    return mixed, np.where(alpha[..., 0] > 0.5, np.uint8(label), labels)


def blob(rng: Rng, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a random smooth shape (H, W), 1 inside: a piece of background to paste as no object."""
    noise = rng.normal(0, 1, (5, 8)).astype(np.float32)
    field = np.asarray(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC))
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.asarray(field - 4 * (x**2 + y**2) > -0.8, np.uint8)
