"""OpenEXR: one image a frame for compositing, with a layer for each object."""

import errno

import numpy as np
import OpenEXR

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.values import Bool


class Exr(Format):
    """exr/NNNNN.exr, numbered by source frame: half floats of 0 and 1. A is all movers, object1.A is object 1.

    A frame has a layer of every object of its window, also where it is not seen, so that layers do not flicker.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._folder = target.folder / "exr"
        self._folder.mkdir()

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame."""
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        channels = {"A": _matte(frame.labels > 0)}
        channels |= {f"object{own}.A": _matte(frame.labels == own) for own in frame.window.identities.tolist()}
        path = str(self._folder / f"{frame.source:05d}.exr")
        try:
            with OpenEXR.File(header, channels) as file:
                file.write(path)
            with OpenEXR.File(path) as written:  # closing a file, it says nothing of a disk that is full
                complete = bool(written.parts)
        except RuntimeError as error:
            raise OSError(errno.EIO, str(error), path) from error
        if not complete:
            raise OSError(errno.EIO, "it cannot be read back", path)


def _matte(mask: Bool) -> OpenEXR.Channel:
    return OpenEXR.Channel(mask.astype(np.float16))
