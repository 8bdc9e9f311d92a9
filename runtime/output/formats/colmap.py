"""COLMAP: masks that leave movers out of the features, and where nerfstudio looks for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from samotion.runtime.output.formats.format import Format, MaskFrame, Target, name_images, save_image
from samotion.runtime.output.record import Record, write_json


class Colmap(Format):
    """colmap/masks/NAME.png for each image NAME, suffix included: 0 where it moves, grown by --dilate, else 255.

    A video's images are called as masks are numbered: 00000.png and so on. colmap/transforms.json names each image's
    mask as nerfstudio does; camera poses are COLMAP's to find, and are not in it.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._folder = target.folder / "colmap" / "masks"
        self._folder.mkdir(parents=True)

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame."""
        movers = self.target.grown(frame.labels > 0)
        save_image(np.where(movers, 0, 255).astype(np.uint8), self._folder, frame.number)

    def finish(self, record: Record, names: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Give the masks the names of the images."""
        name_images(self._folder, names)
        height, width = self.target.clip.source_size
        frames = ({"file_path": f"images/{name}", "mask_path": f"masks/{name}.png"} for name in names)
        write_json(self._folder.parent / "transforms.json", {"w": width, "h": height, "frames": frames})
        return {}
