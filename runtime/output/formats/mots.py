"""MOTS: 16-bit images of class·1000 + id, as CVAT imports them, and the same masks as a text for TrackEval."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samotion.runtime.output.formats.format import Format, MaskFrame, Target, name_images, save_image
from samotion.runtime.output.formats.ytvis import encoded
from samotion.runtime.output.record import Record

log = logging.getLogger(__name__)

CLASS = 1  # the first of labels.txt; a car to KITTI-MOTS, whose text has no names
MOST = 1000  # ids a class


class Mots(Format):
    """mots/default/instances: labels.txt and an image a frame, named as the source's; mots/gt.txt: frames from 0.

    Ids end at 999: objects beyond are left out, which is logged once and listed in result.json.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._folder = target.folder / "mots" / "default" / "instances"
        self._folder.mkdir(parents=True)
        (self._folder / "labels.txt").write_text("moving\n", encoding="utf-8")
        self._text = (target.folder / "mots" / "gt.txt").open("w", encoding="ascii")
        self._left_out: set[int] = set()

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame's image and lines."""
        height, width = frame.labels.shape
        values = np.zeros(frame.labels.shape, np.uint16)
        for identity in frame.ids:
            if identity >= MOST:
                self._leave_out(identity)
                continue
            mask = frame.labels == identity
            instance = CLASS * MOST + identity
            values[mask] = instance
            self._text.write(f"{frame.number} {instance} {CLASS} {height} {width} {encoded(mask)}\n")
        save_image(values, self._folder, frame.number)

    def finish(self, record: Record, names: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Give the images the names of the source's."""
        self._text.close()
        stems = [Path(name).stem for name in names]
        name_images(self._folder, stems if len(set(stems)) == len(stems) else names)
        return {"left_out": sorted(self._left_out)} if self._left_out else {}

    def close(self) -> None:
        """Close the text."""
        self._text.close()

    def _leave_out(self, identity: int) -> None:
        if not self._left_out:
            log.warning("mots holds ids below %d: object %d and those after it are left out there", MOST, identity)
        self._left_out.add(identity)
