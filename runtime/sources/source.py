"""What every source of frames is: frames one after the other, upright, strided, shrunk, all of one size."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from time import monotonic
from typing import Any

import cv2
import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Playback

log = logging.getLogger(__name__)

MIN_SIDE = 16  # pixels: one token of the coarsest network; nothing can be tracked in less


def stride_for(count: int, settings: Settings) -> int:
    """Return the smallest stride that leaves at most ``settings.max_frames`` of ``count`` frames."""
    return 1 if settings.max_frames is None else max(1, math.ceil(count / settings.max_frames))


def shrink(image: Bytes, max_side: int) -> Bytes:
    """Return ``image`` (H, W, 3) averaged down so that its longest side is at most ``max_side``."""
    height, width = image.shape[:2]
    if max(height, width) <= max_side:
        return image
    scale = max_side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def check_pixels(label: str, width: int, height: int, most: int) -> None:
    """Raise InputError where a picture's declared size is beyond ``most`` pixels."""
    if width * height > most:
        raise InputError(
            f"{label}: {width}×{height} pixels are declared, expected at most {most / 1e6:g} megapixels",
            "raise --max-pixels if it is meant",
        )


@dataclass(frozen=True)
class Stamp:
    """Which frame of its source a frame is, when it is shown and when it was read.

    index: from 0. time: seconds as the source states them, None where it does not. arrived: seconds on
    time.monotonic's clock.
    """

    index: int
    time: float | None
    arrived: float = field(default_factory=monotonic)


@dataclass(frozen=True)
class Frame:
    """One kept frame: image (H, W, 3) uint8 RGB, upright, shrunk."""

    image: Bytes
    stamp: Stamp


class Source(ABC):
    """Frames of one input, read one after the other, and what is known of it so far.

    label: named in errors. name: stem for output. length: how many frames it stores, None where only its end
    tells. real_time: it does not wait for its reader. endless: it may go on until it is stopped. count: source
    frames read so far. size: their (height, width), known from the first on. stopped: no more is wanted. begin: the
    first source frame that is wanted, see begin_at.
    """

    real_time = False
    endless = False

    def __init__(self, label: str, name: str, length: int | None, settings: Settings) -> None:
        self.label = label
        self.name = name
        self.length = length
        self.count = 0
        self.size: tuple[int, int] | None = None
        self.damaged: list[int] = []
        self.playback = Playback()
        self.begin = 0
        self.stride = 1 if length is None else stride_for(length, settings)
        self._max_side = settings.max_side
        self._max_frames = settings.max_frames
        self.stopped = False

    @property
    def expected(self) -> int | None:
        """How many frames will probably be kept, None where only the end tells."""
        return None if self.length is None else -(-self.length // self.stride)

    @property
    def estimated(self) -> int | None:
        """How many frames to expect once the first is read, if only for a time left; None if nobody knows."""
        return self.expected

    @property
    @abstractmethod
    def fps(self) -> Fraction:
        """Frames a second, as well as they are known by now."""

    @abstractmethod
    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        """Yield every frame of the source as (image, stated seconds, the frame's name in errors).

        Images (H, W, 3) are uint8 RGB and upright; None where the frame is not kept.
        """

    def begin_at(self, frame: int) -> None:
        """Leave out the source frames before the one with number ``frame``."""
        self.begin = frame

    def is_kept(self, frame: int) -> bool:
        """Whether the source frame of that number is among the frames that are wanted."""
        return frame >= self.begin and frame % self.stride == 0

    def facts(self) -> dict[str, Any]:
        """Return what result.json says of the input beyond its frames, once they are read."""
        return {"damaged": self.damaged}

    def frames(self) -> Iterator[Frame]:
        """Yield the kept frames until the source ends or is stopped.

        Raises InputError where frames are too small or differ in size, and where there is none at all.
        """
        first, kept = "", 0
        for image, seconds, label in self.read():
            stamp = Stamp(self.count, seconds)
            self.count += 1
            if image is not None and kept == self._max_frames:  # rare: packets of several frames
                log.warning("%s has more frames than packets: those from %s on are left out", self.label, label)
                break
            if image is not None:
                first, kept = first or label, kept + 1
                self._check(image, label, first)
                yield Frame(shrink(image, self._max_side), stamp)
            if self.stopped:
                break
        if self.size is not None:
            self.conclude()
        elif not (self.stopped or self.begin):
            raise InputError(f"{self.label}: no frame of it can be decoded")

    def conclude(self) -> None:
        """Warn of what was found on the way; called once all frames are read."""
        return

    def stop(self) -> None:
        """End the frames after the one that is being read; for another thread or a signal's handler."""
        self.stopped = True

    def _check(self, image: Bytes, label: str, first: str) -> None:
        height, width = image.shape[:2]
        if self.size is None:
            if min(height, width) < MIN_SIDE:
                raise InputError(
                    f"{self.label}: {width}×{height} pixels, expected at least {MIN_SIDE}×{MIN_SIDE}; enlarge it"
                )
            self.size = (height, width)
        elif self.size != (height, width):
            was = f"{first} is {self.size[1]}×{self.size[0]}"
            raise InputError(
                f"{self.label}: frames differ in size: {was}, {label} is {width}×{height}; "
                "resize them or put each size into a folder of its own"
            )
