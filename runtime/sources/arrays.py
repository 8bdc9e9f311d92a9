"""Frames that a program hands over: one array, or an iterable of frames."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.source import Source
from samotion.runtime.values import Bytes


class ArraySource(Source):
    """Frames (H, W, 3) uint8 RGB from memory, of ``fps`` a second: an array (T, H, W, 3) or any iterable of frames.

    Raises InputError for a frame of another shape or type.
    """

    def __init__(self, frames: Bytes | Iterable[Bytes], name: str, settings: Settings, fps: Fraction) -> None:
        length = len(frames) if isinstance(frames, np.ndarray | list | tuple) else None
        super().__init__(name, name, length, settings)
        self._frames = frames
        self._fps = fps

    @property
    def fps(self) -> Fraction:
        """Frames a second, as given."""
        return self._fps

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        """Yield the frames."""
        for index, frame in enumerate(self._frames):
            image = _checked(frame, index) if self.is_kept(index) else None
            yield image, index / float(self._fps), f"frame {index}"


def _checked(frame: Bytes, index: int) -> Bytes:
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        found = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise InputError(f"frame {index} is {found}, expected a NumPy array (height, width, 3) of uint8, RGB")
    return frame
