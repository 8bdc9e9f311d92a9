"""What every format is: files written frame by frame into the folder of a result."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from samotion.runtime.output.record import Record
from samotion.runtime.values import Bool, Bytes, Clip, Labels, WindowResult

PENDING = ".pending"


@dataclass(frozen=True)
class Target:
    """Where a format writes, and of what. folder: the result's. clip: its name, rate and sizes, without frames.

    stride: source frames from one frame to the next. dilate: pixels by which masks of movers grow, where a format
    takes that.
    """

    folder: Path
    clip: Clip
    stride: int = 1
    dilate: int = 0

    def grown(self, movers: Bool) -> Bool:
        """Return a mask (H, W) with every pixel that is at most ``dilate`` from it."""
        if not self.dilate:
            return movers
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * self.dilate + 1, 2 * self.dilate + 1))
        return np.asarray(cv2.dilate(movers.astype(np.uint8), disc), np.bool_)


@dataclass(frozen=True)
class MaskFrame:
    """One frame of a result.

    labels: (H, W) object ids at the source's size, 0 background. number: which of all kept frames it is. window: what
    added it. index: which of the window's frames it is.
    """

    labels: Labels
    number: int
    window: WindowResult
    index: int

    @property
    def source(self) -> int:
        """Which frame of the source it is."""
        return int(self.window.clip.source_index[self.index])

    @property
    def ids(self) -> list[int]:
        """The objects that are seen, ascending."""
        return [int(identity) for identity in np.unique(self.labels) if identity]

    @property
    def depth(self) -> Bytes | None:
        """Its small depth map (h, w), 255 for what is nearest; None where there is none."""
        maps = self.window.depth
        return None if maps is None else maps[self.index]

    def picture(self) -> Bytes:
        """Return the picture (H, W, 3) at the source's size; one that was shrunk is enlarged again."""
        frame: Bytes = self.window.clip.frames[self.index]
        height, width = self.labels.shape
        if frame.shape[:2] == (height, width):
            return frame
        return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


class Format(ABC):
    """One layout of a result's masks. Memory is that of a frame and of small numbers per object and frame.

    Raises OSError where writing fails.
    """

    def __init__(self, target: Target) -> None:
        self.target = target

    @abstractmethod
    def add(self, frame: MaskFrame) -> None:
        """Write the next frame."""

    def finish(self, record: Record, names: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Write what only the end tells, and return what result.json says of it.

        record: the facts of all frames and objects. names: the image that each frame is, as its source names it.
        """
        return {}

    def close(self) -> None:
        """Close what is open, also after a failure."""
        return


def save_image(values: Labels, folder: Path, number: int) -> None:
    """Write the image of frame ``number`` under a name of its own until ``name_images`` knows the source's."""
    Image.fromarray(values).save(folder / f"{number}{PENDING}", "png", compress_level=3)


def name_images(folder: Path, names: Sequence[str]) -> None:
    """Call the image of frame k NAME.png, with the k-th of ``names``."""
    for number, name in enumerate(names):
        (folder / f"{number}{PENDING}").rename(folder / f"{name}.png")
