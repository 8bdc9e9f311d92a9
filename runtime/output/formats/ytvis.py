"""YouTube-VIS, COCO's layout for video: one JSON file of tracks whose masks are run-length encoded."""

from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.output.record import Record, write_json
from samotion.runtime.values import Bool
from samotion.runtime.version import PROGRAM, version

NOWHERE = -1


class YouTubeVIS(Format):
    """ytvis.json. A track is an object, under its id: its masks, boxes [x, y, width, height] and areas by frame, null
    where it is not seen, its score, and its states as result.json has them, with the frames before it null.

    Masks come by frame and leave by object, so they wait in a file of their own; memory holds where each begins.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._path = target.folder / ".ytvis.masks"
        self._masks = self._path.open("w+b")
        self._begins: dict[int, array[int]] = {}  # by object and frame, NOWHERE where it is not seen

    def add(self, frame: MaskFrame) -> None:
        """Put the frame's masks by."""
        for identity in frame.ids:
            begins = self._begins.setdefault(identity, array("q"))
            begins.extend([NOWHERE] * (frame.number - len(begins)))
            begins.append(self._masks.tell())
            self._masks.write(encoded(frame.labels == identity).encode() + b"\n")

    def finish(self, record: Record, names: Sequence[str]) -> dict[str, Any]:
        """Write the file."""
        clip = self.target.clip
        height, width = clip.source_size
        video = {"id": 1, "name": clip.name, "width": width, "height": height, "length": len(names)}
        content = {
            "info": {"description": f"{PROGRAM} {version()}"},
            "videos": [{**video, "file_names": [f"{clip.name}/{name}" for name in names]}],
            "categories": [{"id": 1, "name": "moving", "supercategory": "object"}],
            "annotations": (self._track(facts, len(names)) for facts in record.objects()),
        }
        write_json(self.target.folder / "ytvis.json", content)
        self._masks.close()
        self._path.unlink()
        return {}

    def close(self) -> None:
        """Close the file of the masks."""
        self._masks.close()

    def _track(self, facts: dict[str, Any], frames: int) -> dict[str, Any]:
        """Return one object's annotation from its facts in result.json."""
        before = facts["start"]
        after = frames - before - len(facts["area"])
        boxes = [None] * before + facts["boxes"] + [None] * after
        areas = [area or None for area in [0] * before + facts["area"] + [0] * after]
        seen = [area for area in areas if area]
        return {
            "id": facts["id"],
            "video_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "score": facts["score"],
            "width": self.target.clip.source_size[1],
            "height": self.target.clip.source_size[0],
            "length": len(seen),
            "area": sum(seen) / max(len(seen), 1),
            "segmentations": list(self._segmentations(facts["id"], frames)),
            "bboxes": [box and [box[0], box[1], box[2] - box[0], box[3] - box[1]] for box in boxes],
            "areas": areas,
            "states": [[None, before], *facts["state"]] if before else facts["state"],
        }

    def _segmentations(self, identity: int, frames: int) -> Iterator[dict[str, Any] | None]:
        begins = self._begins.get(identity, array("q"))
        for begin in begins:
            if begin == NOWHERE:
                yield None
            else:
                self._masks.seek(begin)
                yield {"size": list(self.target.clip.source_size), "counts": self._masks.readline()[:-1].decode()}
        yield from [None] * (frames - len(begins))


def encoded(mask: Bool) -> str:
    """Return COCO's compressed run lengths of a mask (H, W), which are printable ASCII without a blank."""
    counts: bytes = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return counts.decode()
