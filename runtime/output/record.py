"""The facts of a result as they gather, window by window: small numbers only, whatever the length."""

import json
from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from samotion.runtime.values import Bool, Bytes, Clip, State, WindowResult


class Record:
    """What result.json says of the frames and the objects found in them."""

    def __init__(self) -> None:
        self.windows: list[list[int]] = []
        self.seconds: dict[str, float] = {}
        self._clip: Clip | None = None
        self._frames = array("q")
        self._times = array("d")
        self._objects: dict[int, _Object] = {}

    @property
    def frames(self) -> int:
        """How many frames there are so far."""
        return len(self._frames)

    @property
    def count(self) -> int:
        """How many objects there are so far."""
        return len(self._objects)

    def add_frames(self, window: WindowResult) -> None:
        """Take the frames and stage times of a window, before its objects."""
        self._clip = self._clip or window.clip.part(slice(0))
        self._frames.extend(window.clip.source_index.tolist())
        self._times.extend(window.clip.times.tolist())
        self.windows.append([window.start, window.start + window.tracks.visible.shape[1]])
        count = len(window.clip.frames)
        for identity, score, states in zip(window.identities, window.scores, window.states, strict=True):
            own = self._objects.setdefault(int(identity), _Object(self.frames - count))  # also one that is never seen
            own.add_window(self.frames - count, float(score), states)
        for stage, spent in window.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def add_object(self, identity: int, index: int, mask: Bool) -> None:
        """Take the mask (H, W), at source size, of an object on the frame with number ``index``."""
        self._objects[identity].add(index, mask)

    def input(self, source_frames: int) -> dict[str, Any]:
        """Return the facts of the input; source_frames: how many frames its source has."""
        clip = self._clip
        assert clip is not None  # there is no result without a frame
        return {
            "name": clip.name,
            "fps": float(clip.fps),
            "source_size": {"width": clip.source_size[1], "height": clip.source_size[0]},
            "frame_size": {"width": clip.size[1], "height": clip.size[0]},
            "source_frames": source_frames,
            "frames": self._frames.tolist(),
            "times": np.round(self._times, 6).tolist(),
        }

    def objects(self) -> Iterator[dict[str, Any]]:
        """Yield the facts of one object after the other, by identity."""
        for identity in sorted(self._objects):
            yield self._objects[identity].facts(identity, self._frames)


class _Object:
    """Where one object is and what it does: its area, box and state on frames from ``start`` on."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._areas = array("q")
        self._boxes = array("q")  # four a frame
        self._states = array("B")
        self._scores: list[tuple[float, int]] = []

    def add_window(self, index: int, score: float, states: Bytes) -> None:
        self._states.extend([State.LOST] * (index - self._start - len(self._states)))
        self._states.extend(states.tolist())
        self._scores.append((score, len(states)))

    def add(self, index: int, mask: Bool) -> None:
        gap = index - self._start - len(self._areas)
        self._areas.extend([0] * gap)
        self._boxes.extend([0] * 4 * gap)
        area, box = extent(mask)
        self._areas.append(area)
        self._boxes.extend(box or [0] * 4)

    def facts(self, identity: int, frames: "array[int]") -> dict[str, Any]:
        areas, boxes = self._areas.tolist(), np.array(self._boxes).reshape(-1, 4).tolist()
        seen = [self._start + at for at, area in enumerate(areas) if area]
        return {
            "id": identity,
            "first_frame": frames[seen[0]] if seen else None,
            "last_frame": frames[seen[-1]] if seen else None,
            "start": self._start,
            "score": round(mean_score(self._scores), 4),
            "state": [[name, len(list(run))] for name, run in groupby(settled(np.array(self._states)))],
            "area": areas,
            "boxes": [box if area else None for area, box in zip(areas, boxes, strict=True)],
        }


def settled(states: Bytes) -> tuple[str | None, ...]:
    """Return in words what an object does on each frame, now that all is known: None before it is first seen.

    states: (T,) of State, as the windows gave them. Until it is seen again it was hidden, whatever a window took it
    for; after it was last seen, the windows' word stands.
    """
    names: list[str | None] = [State(state).name.lower() for state in states]
    seen = np.flatnonzero(states >= State.STILL)
    first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (len(states), len(states))
    return tuple(
        None if at < first else "hidden" if at < last and states[at] < State.STILL else name
        for at, name in enumerate(names)
    )


def mean_score(scores: Sequence[tuple[float, int]]) -> float:
    """Return the mean of windows' scores, each by how many frames it adds, given as (score, frames)."""
    return sum(score * frames for score, frames in scores) / max(sum(frames for _, frames in scores), 1)


def extent(mask: Bool) -> tuple[int, list[int] | None]:
    """Return the area of a mask (H, W) and its box [x0, y0, x1, y1), None where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, None
    box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    return int(np.count_nonzero(mask)), box


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write JSON with one top-level key a line: one number a line would make it unreadable.

    An iterator is written as a list, item by item, so that it is never in memory as a whole.
    """
    with path.open("w", encoding="utf-8") as file:
        for number, (key, value) in enumerate(record.items()):
            file.write(("{\n" if not number else ",\n") + json.dumps(key) + ": ")
            if isinstance(value, Iterator):
                file.write("[")
                for place, item in enumerate(value):
                    file.write((", " if place else "") + json.dumps(item))
                file.write("]")
            else:
                file.write(json.dumps(value))
        file.write("\n}\n")
