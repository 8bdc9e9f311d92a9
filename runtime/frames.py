"""What reading a video and reading images share: shrinking, size checks and the store of kept frames."""

import math
import os

import cv2
import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes

MIN_SIDE = 16  # pixels: one token of the coarsest network; nothing can be tracked in less
MEMORY_SHARE = 0.5  # of the machine's memory, at most this much for frames; masks and engines need the rest


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


def _memory() -> int | None:
    """Return the machine's memory in bytes, None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


class FrameStore:
    """Frames kept so far, shrunk, in one array; all of one size.

    source: named in errors. expected: how many frames will probably come. Raises InputError when frames are
    too small, differ in size, or would not fit in memory.
    """

    def __init__(self, source: str, expected: int, settings: Settings) -> None:
        self.source = source
        self.size: tuple[int, int] | None = None
        self.count = 0
        self._label = ""
        self._expected = max(1, expected)
        self._settings = settings
        self._frames = np.empty((0, 0, 0, 3), np.uint8)

    def add(self, image: Bytes, label: str) -> None:
        """Keep an upright RGB image (H, W, 3) at its source size; ``label`` names it in errors."""
        height, width = image.shape[:2]
        if self.size is None:
            if min(height, width) < MIN_SIDE:
                raise InputError(
                    f"{self.source}: {width}×{height} pixels, expected at least {MIN_SIDE}×{MIN_SIDE}; enlarge it"
                )
            self.size, self._label = (height, width), label
        elif self.size != (height, width):
            was = f"{self._label} is {self.size[1]}×{self.size[0]}"
            raise InputError(
                f"{self.source}: frames differ in size: {was}, {label} is {width}×{height}; "
                "resize them or put each size into a folder of its own"
            )
        small = shrink(image, self._settings.max_side)
        if self.count == len(self._frames):
            self._grow(small.shape[0], small.shape[1])
        self._frames[self.count] = small
        self.count += 1

    def frames(self) -> Bytes:
        """Return the kept frames (T, H, W, 3) uint8."""
        return self._frames[: self.count]

    def _grow(self, height: int, width: int) -> None:
        length = max(self._expected, 2 * self.count)
        need, have = length * height * width * 3, _memory()
        if have is not None and need > MEMORY_SHARE * have:
            fit = int(MEMORY_SHARE * have / (height * width * 3))
            raise InputError(
                f"{self.source}: {length} frames of {width}×{height} need {need / 2**30:.1f} GiB of the "
                f"{have / 2**30:.1f} GiB here; use --max-frames {fit} or a smaller --max-side"
            )
        grown = np.empty((length, height, width, 3), np.uint8)
        grown[: self.count] = self._frames[: self.count] if self.count else 0
        self._frames = grown
