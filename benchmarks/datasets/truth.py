"""What is known to be true of a clip, whatever the data set it comes from, and the reading of mask images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from samotion.engines.errors import InputError
from samotion.runtime.values import Bytes, Float, Int

VOID = 255


@dataclass(frozen=True)
class Truth:
    """True masks of a clip's annotated frames, S of them.

    labels: (S, H, W) uint8 ids, 0 background, 255 not scored. frames: (S,) int64, which of the clip's frames they
    belong to, counted from 0, rising; None where every frame is annotated. certainty: (S, H, W) float32 in [0, 1],
    how sure the annotators were, where the data set says.
    """

    labels: Bytes
    frames: Int | None = None
    certainty: Float | None = None

    @property
    def dense(self) -> bool:
        """Whether every frame is annotated."""
        return self.frames is None


class Labelled(Protocol):
    """One clip of a data set: its name, its folder of frames and the truth, read when asked for."""

    @property
    def name(self) -> str:
        """The clip's name."""
        ...

    @property
    def frames(self) -> Path:
        """The folder of frames."""
        ...

    def scored(self) -> Truth:
        """Return the truth; raises InputError for what is missing, misnamed or cannot be read."""
        ...


def read_pixels(path: Path) -> Bytes:
    """Return an image's own pixels, (H, W) or (H, W, C) uint8, a palette's indices unresolved; one bit is 0 or 255.

    Raises InputError for a file that is missing or no image, and for pixels of more than 8 bits.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as an image") from error
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: found {pixels.dtype} pixels, expected 8 bits of object ids")
    return pixels


def stack(labels: list[Bytes], paths: list[Path]) -> Bytes:
    """Return masks (H, W) as (S, H, W); raises InputError where ``paths`` differ in size, naming the first."""
    height, width = labels[0].shape
    for label, path in zip(labels, paths, strict=True):
        if label.shape != (height, width):
            size = "×".join(map(str, label.shape[::-1]))
            raise InputError(f"{path}: {size} pixels, but the first mask has {width}×{height}")
    return np.stack(labels)
