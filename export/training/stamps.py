"""Photographed objects cut out of their surroundings, as in Debian's tuxpaint-stamps-default: further shapes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.values import Bytes

LONGEST = 240  # pixels: as large as an object in a training image
SMALLEST = 2500  # pixels of an object, as stored
SOLID = 128  # alpha from which a pixel belongs to the object
LEFT_OUT = ("symbols",)  # letters and digits


@dataclass(frozen=True)
class Stamps:
    """Objects: colours (h, w, 3) uint8 RGB, masks (h, w) uint8, 1 on the object."""

    colours: list[Bytes]
    masks: list[Bytes]

    @classmethod
    def load(cls, folder: Path) -> "Stamps":
        """Read every PNG with alpha below ``folder``; raises InputError if there is none."""
        colours, masks = [], []
        for path in sorted(folder.rglob("*.png")):
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image is None or image.ndim != 3 or image.shape[2] != 4 or set(LEFT_OUT) & set(path.parts):
                continue
            if np.count_nonzero(image[..., 3] >= SOLID) < SMALLEST:
                continue
            scale = min(1.0, LONGEST / max(image.shape[:2]))
            small = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
            colours.append(np.ascontiguousarray(small[..., 2::-1]))
            masks.append((small[..., 3] >= SOLID).astype(np.uint8))
        if not colours:
            raise InputError(f"{folder}: found no PNG with transparency; expected a folder of stamps")
        return cls(colours, masks)

    def draw(self, rng: np.random.Generator, frames: int) -> tuple[Bytes, Bytes]:
        """Return one object as a clip of ``frames`` equal frames and masks."""
        index = int(rng.integers(len(self.colours)))
        return np.repeat(self.colours[index][None], frames, 0), np.repeat(self.masks[index][None], frames, 0)
