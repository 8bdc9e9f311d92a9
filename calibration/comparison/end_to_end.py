"""What a change of precision does to the pipeline's answers: labels, masks, and J where the truth is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samotion.calibration.comparison.iou import mask_ious
from samotion.calibration.recording.activations import clip_folders, made_scene, named, spread
from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bool, Clip, ClipResult

FRAMES = 24  # of a clip
FIRST_SCENE = 20  # made scenes of these numbers are used for nothing else


@dataclass(frozen=True)
class Sample:
    """A clip to run the pipeline on. truth: (T, H, W) bool, everything that moves; None where it is not known."""

    clip: Clip
    truth: Bool | None = None


@dataclass(frozen=True)
class Agreement:
    """How far two answers for one clip agree.

    iou: of everything that moves together, mean over the frames (1 where both are empty). same, tracks: of how many
    tracks both have the same label, and how many tracks either has. objects: of each. j, j_reference: of each, mean
    over the frames; None where the truth is not known. probability: of moving, by how much a track that both have
    differs most.
    """

    name: str
    frames: int
    iou: float
    same: int
    tracks: int
    objects: tuple[int, int]
    j: float | None = None
    j_reference: float | None = None
    probability: float = 0.0

    @property
    def labels(self) -> float:
        """The share of tracks with the same label."""
        return self.same / self.tracks if self.tracks else 1.0

    @property
    def line(self) -> str:
        """The clip's name, IoU and how many labels differ."""
        turned = f"{self.tracks - self.same} of {self.tracks} labels turned"
        return f"{self.name}: IoU {self.iou:.4f}, {turned}, probability {self.probability:.5f} off"

    @property
    def difference(self) -> float:
        """J minus the reference's; 0 where the truth is not known."""
        return 0.0 if self.j is None or self.j_reference is None else self.j - self.j_reference


@dataclass(frozen=True)
class Bounds:
    """What two precisions may differ by: difference of J, either way; iou, labels: at least; probability: at most."""

    difference: float = 0.005
    iou: float = 0.98
    labels: float = 0.99
    probability: float = 1.0

    def hold(self, rows: Sequence[Agreement]) -> bool:
        """Return whether the means of all clips together are within the bounds."""
        difference, iou, labels = means(rows)
        sure = max(row.probability for row in rows) <= self.probability
        return sure and abs(difference) <= self.difference and iou >= self.iou and labels >= self.labels


def means(rows: Sequence[Agreement]) -> tuple[float, float, float]:
    """Return the difference in J over the clips with a truth, IoU over all frames, same labels over all tracks."""
    known = [row.difference for row in rows if row.j is not None]
    return (
        float(np.mean(known)) if known else 0.0,
        sum(row.iou * row.frames for row in rows) / sum(row.frames for row in rows),
        sum(row.same for row in rows) / max(1, sum(row.tracks for row in rows)),
    )


def agree(found: ClipResult, wanted: ClipResult, truth: Bool | None = None) -> Agreement:
    """Return how far ``found`` agrees with ``wanted``, an answer for the same clip; truth: (T, H, W) what moves."""
    a, b = (np.asarray(result.masks.values.any(axis=0)) for result in (found, wanted))
    one, other = (_by_query(result) for result in (found, wanted))
    every, both = one.keys() | other.keys(), one.keys() & other.keys()
    moving = [{key for key, (moves, _) in known.items() if moves} for known in (one, other)]
    return Agreement(
        name=wanted.clip.name,
        frames=len(a),
        iou=float(mask_ious(a, b).mean()),
        same=len(every) - len(moving[0] ^ moving[1]),
        tracks=len(every),
        objects=(len(found.masks.values), len(wanted.masks.values)),
        probability=max((abs(one[key][1] - other[key][1]) for key in both), default=0.0),
        j=None if truth is None else float(mask_ious(a, truth).mean()),
        j_reference=None if truth is None else float(mask_ious(b, truth).mean()),
    )


def _by_query(result: ClipResult) -> dict[bytes, tuple[bool, float]]:
    """Return whether each track moves and how probable that is by its query: two runs know a track by that.

    A track that one of two runs never saw counts as still there.
    """
    tracks = result.tracks
    frames = tracks.query_frame
    xy = tracks.xy[np.arange(len(frames)), frames]
    keys = [np.append(point, frame).tobytes() for point, frame in zip(xy, frames, strict=True)]
    return dict(
        zip(keys, zip(result.labels.dynamic.tolist(), result.labels.probability.tolist(), strict=True), strict=True)
    )


def made_samples(count: int, frames: int = FRAMES) -> list[Sample]:
    """Return ``count`` labelled scenes that nothing else of calibration uses, with what moves in them."""
    found = []
    for number in range(FIRST_SCENE, FIRST_SCENE + count):
        clip, made = made_scene(number, frames)
        found.append(Sample(clip, np.isin(made.instance, np.flatnonzero(made.moving) + 1)))
    return found


def folder_samples(
    data: Path, count: int, settings: Settings, besides: int = 0, frames: int = FRAMES
) -> list[Sample]:
    """Return up to ``count`` clips of the folder ``data``, spread evenly over it.

    besides: leave out those of folder_clips(data, besides), where there are others. Their truth is read where there
    are masks beside the frames (<clip>/masks, or Annotations/480p/<clip>). Raises InputError for masks that do not
    fit their clip.
    """
    folders = clip_folders(data)
    taken = spread(folders, besides)
    found = []
    for folder in spread([folder for folder in folders if folder not in taken] or folders, count):
        clip = named(read_clip(folder, settings), folder).part(slice(frames))
        found.append(Sample(clip, _truth(folder, clip, settings)))
    return found


def _truth(folder: Path, clip: Clip, settings: Settings) -> Bool | None:
    """Return what the masks beside a clip's frames say moves; None where there are none."""
    own = (
        folder.with_name("masks") if folder.name == "frames" else folder.parents[2] / "Annotations/480p" / folder.name
    )
    if not own.is_dir():
        return None
    masks = read_clip(own, settings).frames[: len(clip.frames)].any(axis=-1)
    if masks.shape != clip.frames.shape[:3]:
        raise InputError(f"{own}: masks {masks.shape} do not fit frames {clip.frames.shape[:3]}")
    return np.asarray(masks, np.bool_)
