"""Moving or not: an image a frame for SLAM and 4-D reconstruction, which want neither ids nor colours."""

import numpy as np
from PIL import Image

from samotion.runtime.output.formats.format import Format, MaskFrame, Target


class Binary(Format):
    """binary/NNNNN.png, numbered by source frame: 8 bits of grey, 255 where anything moves, grown by --dilate."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._folder = target.folder / "binary"
        self._folder.mkdir()

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame."""
        movers = self.target.grown(frame.labels > 0)
        image = Image.fromarray(movers.astype(np.uint8) * 255)
        image.save(self._folder / f"{frame.source:05d}.png", compress_level=3)
