"""What was found in one input, whole: for programs that want arrays rather than files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samotion.engines.packages import require_extra
from samotion.runtime.identity.join import joined_tracks
from samotion.runtime.output.formats.catalogue import DEFAULT
from samotion.runtime.output.record import extent, mean_score, settled
from samotion.runtime.output.writer import ResultWriter, source_labels
from samotion.runtime.values import Bool, Bytes, Float, Int, Labels, State, Tracks, WindowResult

if TYPE_CHECKING:
    from supervision import Detections


@dataclass(frozen=True)
class MovingObject:
    """One object that moves by itself.

    id: from 1 up, its value in the label maps. frames: (F,) int64, numbers of the frames that show it, ascending, as
    indices into ``Result.masks``. boxes: (F, 4) int64, x0, y0, x1, y1 in pixels of the source, x1 and y1 exclusive.
    areas: (F,) int64, pixels of the source. score: mean probability, from 0 to 1, that the tracks inside its masks
    move by themselves; 0 where no track is. state: what it does on each of all T frames, "moving", "still", "hidden"
    (not seen, but again later, or its points go on) or "lost" (nothing shows it); None before it is first seen.
    """

    id: int
    frames: Int
    boxes: Int
    areas: Int
    score: float
    state: tuple[str | None, ...]


class Result:
    """Everything in one input that moves by itself.

    name: of the input. fps: frames a second. times: (T,) float64, seconds from the first frame. source_index: (T,)
    int64, which frame of the source each one is. windows: what each window added, in order. Arrays are made when
    they are first asked for; (T, H, W) are the frames that were used, at the source's size.
    """

    def __init__(self, windows: Sequence[WindowResult], about: dict[str, Any]) -> None:
        self.windows = tuple(windows)
        clips = [window.clip for window in windows]
        self.name = clips[0].name
        self.fps = clips[0].fps
        self.times: NDArray[np.float64] = np.concatenate([clip.times for clip in clips])
        self.source_index: Int = np.concatenate([clip.source_index for clip in clips])
        self._about = about

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._ids)

    def __repr__(self) -> str:
        return f"<Result of {self.name}: {len(self)} objects in {len(self.times)} frames>"

    @cached_property
    def labels(self) -> Labels:
        """Object ids (T, H, W), 0 background, as the files have them; lower ids are on top."""
        maps = [source_labels(window, frame) for window in self.windows for frame in range(len(window.clip.frames))]
        wide = np.uint16 if any(labels.dtype == np.uint16 for labels in maps) else np.uint8
        return np.stack([labels.astype(wide, copy=False) for labels in maps])

    @cached_property
    def masks(self) -> Bool:
        """Masks (K, T, H, W) bool, one object after the other as in ``objects``."""
        masks = np.empty((len(self), *self.labels.shape), np.bool_)
        for mask, identity in zip(masks, self._ids, strict=True):
            np.equal(self.labels, identity, out=mask)
        return masks

    @cached_property
    def objects(self) -> tuple[MovingObject, ...]:
        """The objects by id, with where and when they are seen."""
        return tuple(self._object(identity) for identity in self._ids)

    @cached_property
    def tracks(self) -> Tracks:
        """All point tracks over all T frames, in pixels of the source; hidden outside their own window."""
        found = joined_tracks(self.windows, len(self.times))
        clip = self.windows[0].clip
        if clip.size == clip.source_size:
            return found
        scale = np.array(clip.source_size[::-1], np.float32) / np.array(clip.size[::-1], np.float32)
        return replace(found, xy=np.asarray((found.xy + 0.5) * scale - 0.5, np.float32))

    @cached_property
    def probability(self) -> Float:
        """How probably each track moves by itself: (N,) from 0 to 1."""
        return np.concatenate([window.labels.probability for window in self.windows])

    def save(
        self,
        out: str | Path,
        name: str | None = None,
        overlay: bool = True,
        formats: Sequence[str] = DEFAULT,
        dilate: int = 0,
        report: bool = False,
    ) -> Path:
        """Write ``out``/``name`` as samotion-run does, all of it or nothing, and return that folder.

        Args:
            out: the folder above; it is made where it is not there.
            name: of the folder; None takes the input's.
            overlay: whether overlay.mp4 is among the files.
            formats: how masks are written, such as ``("davis", "ytvis")``; see docs/formats.md.
            dilate: pixels by which the masks of ``binary`` and ``colmap`` grow.
            report: whether report.html, a page to look at all of it, is among the files.

        Raises:
            OutputError: the folder cannot be written.
            SettingsError: a format is unknown, or needs a package that is not installed.
        """
        with ResultWriter(
            Path(out), name or self.name, overlay, formats=formats, dilate=dilate, report=report
        ) as writer:
            for window in self.windows:
                writer.add(window)
            return writer.finish(self._about, self.windows[-1].clip.source_count)

    def to_supervision(self, frame: int) -> "Detections":
        """Return what one frame shows as ``supervision.Detections``, for its annotators, trackers and zones.

        Args:
            frame: from 0, as an index into ``masks``.

        Returns:
            The objects seen, by id: masks and boxes in pixels of the source, ``confidence`` from the scores,
            ``tracker_id`` from the ids, ``class_id`` 0, and the states as ``data["state"]``.

        Raises:
            SettingsError: supervision is not installed.
        """
        supervision = require_extra("supervision", "supervision", "to_supervision()")
        masks = self.masks[:, frame]
        seen = np.flatnonzero(masks.any(axis=(1, 2)))
        objects = [self.objects[number] for number in seen]
        boxes = [extent(mask)[1] for mask in masks[seen]]
        detections: Detections = supervision.Detections(
            xyxy=np.array(boxes, np.float32).reshape(-1, 4),
            mask=masks[seen],
            confidence=np.array([item.score for item in objects], np.float32),
            class_id=np.zeros(len(objects), np.int64),
            tracker_id=np.array([item.id for item in objects], np.int64),
            data={"state": np.array([item.state[frame] for item in objects], np.str_)},
        )
        return detections

    @cached_property
    def _ids(self) -> list[int]:
        return sorted({int(identity) for window in self.windows for identity in window.identities})

    def _object(self, identity: int) -> MovingObject:
        found = [(frame, *extent(labels == identity)) for frame, labels in enumerate(self.labels)]
        seen = [(frame, area, box) for frame, area, box in found if area]
        frames, areas, boxes = (list(part) for part in zip(*seen, strict=True)) if seen else ([], [], [])
        return MovingObject(
            identity,
            np.array(frames, np.int64),
            np.array(boxes, np.int64).reshape(-1, 4),
            np.array(areas, np.int64),
            mean_score(
                [
                    (float(score), len(window.clip.frames))
                    for window in self.windows
                    for score in window.scores[window.identities == identity]
                ]
            ),
            settled(np.concatenate([_states(window, identity) for window in self.windows])),
        )


def _states(window: WindowResult, identity: int) -> Bytes:
    """Return what an object does on the frames of a window (T,), lost where the window does not have it."""
    own = window.states[window.identities == identity]
    return own[0] if len(own) else np.full(len(window.clip.frames), State.LOST, np.uint8)
