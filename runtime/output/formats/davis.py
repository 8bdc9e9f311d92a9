"""DAVIS: an indexed image a frame, whose values are object ids."""

import numpy as np
from PIL import Image

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.output.palette import davis_palette

MOST_COLOURS = 255  # ids that an indexed PNG can hold


class Davis(Format):
    """masks/NNNNN.png, numbered by source frame, in DAVIS's palette; 16 bits of grey where an id is above 255."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._folder = target.folder / "masks"
        self._folder.mkdir()
        self._palette = davis_palette().tobytes()

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame."""
        if frame.labels.max(initial=0) <= MOST_COLOURS:
            image = Image.fromarray(frame.labels.astype(np.uint8))
            image.putpalette(self._palette)
        else:
            image = Image.fromarray(frame.labels)
        image.save(self._folder / f"{frame.source:05d}.png", compress_level=3)  # flat areas: a third of the time
