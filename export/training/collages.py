"""Draw training clips without DAVIS: photographs under a moving camera, cut-out things that move or stand over them.

`python -m samotion.export.training.collages --photos PHOTOS --stamps STAMPS -o CLIPS` writes CLIPS/<clip>/frames and
CLIPS/<clip>/masks, which all training commands take as --data. The photographs of Debian's wallpaper packages and the
stamps of tuxpaint-stamps-default may be used commercially; of DAVIS its authors state both that and the contrary.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.engines.atomic import atomic_folder
from samotion.engines.errors import InputError, OutputError, SamotionError
from samotion.export.training.photographs import Rng
from samotion.export.training.stamps import Stamps
from samotion.runtime.values import Bytes, Float

SIZE = (240, 427)  # of DAVIS as the other training clips are stored
FRAMES = 40
WIDTH = 960  # pixels that photographs are kept at: twice the frame, for zoom
DETAILED = 6.0  # mean absolute Laplacian of the photograph at frame size: below it are skies and plain gradients
STANDING = 0.5  # how often a thing that stands still lies over the photograph as well
HIDING = 0.25  # how often that thing is in front of the mover


Numbers = NDArray[np.floating]


@dataclass(frozen=True)
class Layer:
    """A thing: colours (h, w, 3) uint8 RGB, alpha (h, w) float32, and its way: (T, 2, 3) maps into the frame."""

    colours: Bytes
    alpha: Float
    way: Float


def photographs(folder: Path) -> list[Bytes]:
    """Return every JPEG below ``folder`` that shows some detail, one a folder of sizes; raises InputError if none."""
    largest: dict[Path, Path] = {}
    for path in sorted(folder.rglob("*.jp*g")):
        # Wallpapers lie there in many sizes, named by them.
        key = path.parent if path.stem.replace("x", "").isdigit() else path
        if key not in largest or path.stat().st_size > largest[key].stat().st_size:
            largest[key] = path
    found = [image for path in largest.values() if (image := _photograph(path)) is not None]
    if not found:
        raise InputError(f"{folder}: found no detailed JPEG of at least {WIDTH} pixels width; expected photographs")
    return found


def _photograph(path: Path) -> Bytes | None:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if image is None or image.shape[1] < WIDTH or image.shape[0] > image.shape[1]:
        return None
    size = (WIDTH, round(WIDTH * image.shape[0] / image.shape[1]))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = cv2.cvtColor(cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    return small if float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean()) >= DETAILED else None


def clip(rng: Rng, photos: list[Bytes], stamps: Stamps, frames: int = FRAMES) -> tuple[Bytes, Bytes]:
    """Return a clip (T, H, W, 3) uint8 RGB and the masks (T, H, W) uint8, 1 where its one mover is seen."""
    photo = photos[int(rng.integers(len(photos)))]
    photo = photo[:, ::-1] if rng.random() < 0.5 else photo
    camera = camera_path(rng, photo.shape[:2], frames)
    mover = thing(rng, stamps, carried(camera, walk(rng, frames), rng.uniform(0.3, 1.0)))
    layers = [(mover, 1)]
    if rng.random() < STANDING:
        standing = thing(rng, stamps, carried(camera, rest(rng, frames), 1.0))
        layers.insert(len(layers) if rng.random() < HIDING else 0, (standing, 0))
    exposure = np.exp(rng.normal(0, 0.15))
    pictures, masks = [], []
    for t in range(frames):
        picture = cv2.warpAffine(photo, camera[t], SIZE[::-1], borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
        mask = np.zeros(SIZE, np.uint8)
        for layer, label in layers:
            alpha = cv2.warpAffine(layer.alpha, layer.way[t], SIZE[::-1])
            colours = cv2.warpAffine(layer.colours, layer.way[t], SIZE[::-1])
            picture += (colours - picture) * alpha[..., None]
            mask[alpha > 0.5] = label
        noisy = picture * exposure + rng.normal(0, 2.0, picture.shape)
        pictures.append(noisy.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return np.stack(pictures), np.stack(masks)


def smooth(rng: Rng, frames: int, rough: float) -> Float:
    """Return a smooth random way (T,) of standard deviation about 1, ``rough`` of it trembling."""
    knots = rng.normal(0, 1, 4).astype(np.float32)[:, None]
    slow = np.asarray(cv2.resize(knots, (1, frames), interpolation=cv2.INTER_CUBIC))[:, 0]
    shake = cv2.GaussianBlur(rng.normal(0, 1, (frames, 1)).astype(np.float32), (0, 0), 1.5)[:, 0]
    return np.asarray(slow + rough * shake, np.float32)


def similar(scale: Numbers, angle: Numbers, at: Numbers, source: tuple[float, float]) -> Float:
    """Return maps (T, 2, 3) that turn and scale about ``source`` (x, y) and bring it to ``at`` (T, 2)."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], 1)
    return np.concatenate([linear, (at - linear @ np.array(source))[..., None]], 2).astype(np.float32)


def camera_path(rng: Rng, photo: tuple[int, int], frames: int) -> Float:
    """Return maps (T, 2, 3) of the photograph into the frame: a pan and zoom of a trembling hand."""
    fit = max(SIZE[0] / photo[0], SIZE[1] / photo[1])
    pace = rng.uniform(0.0, 1.0)
    scale = fit * np.exp(rng.uniform(0.05, 0.7) + 0.08 * pace * smooth(rng, frames, 0.1))
    angle = 0.04 * pace * smooth(rng, frames, 0.1)
    middle = np.array(SIZE[::-1]) / 2
    shift = 35 * pace * np.stack([smooth(rng, frames, 0.05), 0.4 * smooth(rng, frames, 0.1)], 1)
    spare = (np.array(photo[::-1]) - np.array(SIZE[::-1]) / scale.mean()) / 2
    centre = np.array(photo[::-1]) / 2 + rng.uniform(-0.8, 0.8, 2) * np.maximum(spare, 0)
    return similar(scale, angle, middle + shift, (float(centre[0]), float(centre[1])))


def walk(rng: Rng, frames: int) -> tuple[Float, Float, Float]:
    """Return the log scale, angle (T,) and place (T, 2) in the first frame's pixels of something that moves."""
    speed = rng.uniform(0.5, 1.5)
    across = np.linspace(-1, 1, frames) * rng.choice([-1, 1]) * rng.uniform(20, 110) * speed
    away = np.stack([across + 25 * smooth(rng, frames, 0.1), 14 * smooth(rng, frames, 0.15)], 1)
    place = rng.uniform([0.3, 0.35], [0.7, 0.75]) * np.array(SIZE[::-1]) + away
    return 0.12 * smooth(rng, frames, 0.05), 0.12 * speed * smooth(rng, frames, 0.2), place.astype(np.float32)


def rest(rng: Rng, frames: int) -> tuple[Float, Float, Float]:
    """Return the same of something that stands still."""
    still = np.zeros(frames, np.float32)
    place = rng.uniform([0.1, 0.3], [0.9, 0.8]) * np.array(SIZE[::-1])
    return still, still, np.tile(place, (frames, 1)).astype(np.float32)


Way = tuple[tuple[Float, Float, Float], Float, float]


def carried(camera: Float, own: tuple[Float, Float, Float], followed: float) -> Way:
    """Return a thing's own way, the camera relative to the first frame, and how much of its pan the thing has.

    followed: 1 for a thing of the scene; less where the camera follows it.
    """
    square = np.concatenate([camera, np.tile(np.array([[[0, 0, 1]]], np.float32), (len(camera), 1, 1))], 1)
    return own, (square @ np.linalg.inv(square[0])).astype(np.float32), followed


def thing(rng: Rng, stamps: Stamps, way: Way) -> Layer:
    """Return a stamp of random size on its way."""
    own, relative, followed = way
    colours, masks = stamps.draw(rng, 1)
    alpha = np.asarray(cv2.GaussianBlur(masks[0].astype(np.float32), (0, 0), rng.uniform(0.6, 1.2)), np.float32)
    part = np.sqrt(rng.uniform(0.01, 0.12) * SIZE[0] * SIZE[1] / max(1, int(masks[0].sum())))
    zoom = np.sqrt(np.abs(np.linalg.det(relative[:, :2, :2])))
    turn = np.arctan2(relative[:, 1, 0], relative[:, 0, 0])
    there = np.einsum("tij,tj->ti", relative[:, :2, :2], own[2]) + relative[:, :2, 2]
    at = own[2] + followed * (there - own[2])
    middle = (alpha.shape[1] / 2, alpha.shape[0] / 2)
    maps = similar(part * np.exp(own[0]) * zoom, own[1] + followed * turn, at, middle)
    flip = slice(None, None, int(rng.choice([-1, 1])))
    return Layer(np.ascontiguousarray(colours[0][:, flip]), np.ascontiguousarray(alpha[:, flip]), maps)


def write(folder: Path, count: int, photos: list[Bytes], stamps: Stamps) -> None:
    """Write clips 0 to ``count`` − 1 of fixed seeds into ``folder``; raises OutputError."""
    for number in range(count):
        pictures, masks = clip(np.random.default_rng([11, number]), photos, stamps)
        place = folder / f"collage_{number:03d}"
        for part in ("frames", "masks"):
            (place / part).mkdir(parents=True)
        for t, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
            image = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            done = cv2.imwrite(str(place / "frames" / f"{t:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
            if not (done and cv2.imwrite(str(place / "masks" / f"{t:05d}.png"), mask * np.uint8(255))):
                raise OutputError(f"{place}: frame {t} cannot be written; free space or name another folder with -o")


def main(argv: list[str] | None = None) -> int:
    """Write the clips; returns 0, or 2 after a line on a mistake of the user."""
    parser = argparse.ArgumentParser(
        prog="python -m samotion.export.training.collages", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--photos", type=Path, required=True, help="folder with JPEGs, searched with all below it")
    parser.add_argument("--stamps", type=Path, required=True, help="folder of PNGs with alpha")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the clips, replaced as a whole")
    parser.add_argument("--count", type=int, default=60, help="clips (default: %(default)s)")
    given = parser.parse_args(argv)
    try:
        photos, stamps = photographs(given.photos), Stamps.load(given.stamps)
        with atomic_folder(given.out) as partial:
            write(partial, given.count, photos, stamps)
    except SamotionError as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(f"{given.out}: {given.count} clips of {FRAMES} frames over {len(photos)} photographs")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
