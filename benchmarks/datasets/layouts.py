"""Clips with true masks on disk, in the plain layout or in DAVIS's own.

Plain: ``DIR/<clip>/frames`` and ``DIR/<clip>/masks``. DAVIS: ``DIR/JPEGImages/480p/<clip>`` and
``DIR/Annotations/480p/<clip>``, or ``Annotations_unsupervised`` for DAVIS-2017's unsupervised task.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from samotion.benchmarks.datasets.truth import Labelled, Truth, read_pixels, stack
from samotion.engines.errors import InputError
from samotion.runtime.sources.folders import list_folder
from samotion.runtime.values import Bytes

DAVIS_FRAMES = Path("JPEGImages", "480p")
DAVIS_MASKS = Path("Annotations", "480p")
DAVIS_UNSUPERVISED = Path("Annotations_unsupervised", "480p")
C = TypeVar("C", bound=Labelled)


@dataclass(frozen=True)
class LabelledClip:
    """One clip on disk: a folder of frames and a folder with one mask a frame, of the same stems."""

    name: str
    frames: Path
    masks: Path

    def scored(self) -> Truth:
        """Return truth() for every frame."""
        return Truth(self.truth())

    def truth(self) -> Bytes:
        """Return (T, H, W) uint8 ids in the order of the frames: 0 background, 255 not to be scored.

        A mask with the values 0 and 255 alone, or of one bit, is one object with id 1. Raises InputError for
        missing folders, masks that do not fit the frames one to one, and images that cannot be read.
        """
        for folder, what in ((self.frames, "frames"), (self.masks, "masks")):
            if not folder.is_dir():
                raise InputError(f"{self.name}: no {what}: {folder} is not a folder")
        frames = [path.stem for path in list_folder(self.frames)]
        masks = {path.stem: path for path in list_folder(self.masks)}
        if len(frames) != len(masks):
            raise InputError(f"{self.name}: {len(frames)} frames but {len(masks)} masks; expected one mask a frame")
        if missing := [stem for stem in frames if stem not in masks]:
            raise InputError(f"{self.name}: no mask for frame {missing[0]} in {self.masks}")
        paths = [masks[stem] for stem in frames]
        truth = stack([_read_mask(path) for path in paths], paths)
        return _one_object(truth) if set(np.unique(truth)) <= {0, 255} else truth


def find_clips(
    data: Path, wanted: Sequence[str] = (), subset: str | None = None, masks: Path = DAVIS_MASKS
) -> list[LabelledClip]:
    """Return the clips of ``data`` by name, or those ``wanted``, in the order asked for.

    subset: in DAVIS's layout the list to take, such as ``2016/val`` for ``ImageSets/2016/val.txt`` (its first
    column may be a path). masks: where DAVIS's layout has the masks. A plain folder with frames but without masks
    is found too, so that the gap is reported. Raises InputError for a folder without clips and for names that are
    not there.
    """
    check_folder(data)
    found = _davis(data, masks) if (data / DAVIS_FRAMES).is_dir() else _plain(data)
    if not found:
        raise InputError(
            f"{data}: no clips; expected <clip>/frames with <clip>/masks, or {DAVIS_FRAMES}/<clip> with "
            f"{masks}/<clip>"
        )
    return pick(data, found, list(wanted) or (_listed(data, subset) if subset else []))


def check_folder(data: Path) -> None:
    """Raise InputError unless ``data`` is a folder."""
    if not data.is_dir():
        raise InputError(f"{data}: not a folder")


def folders(data: Path, holds: Callable[[Path], bool] = Path.is_dir) -> list[Path]:
    """Return the folders in ``data`` of which ``holds`` is true; raises InputError where it cannot be listed."""
    try:
        return sorted(folder for folder in data.iterdir() if folder.is_dir() and holds(folder))
    except OSError as error:
        raise InputError(f"{data}: cannot be listed ({error.strerror})") from error


def pick(data: Path, clips: Sequence[C], wanted: Sequence[str]) -> list[C]:
    """Return the clips that ``wanted`` names, once each, or all by name; raises InputError for unknown names."""
    found = {clip.name: clip for clip in clips}
    names = list(wanted) or sorted(found)
    if unknown := [name for name in names if name not in found]:
        raise InputError(f"{data}: no clip {', '.join(unknown)}; it has {', '.join(sorted(found))}")
    return [found[name] for name in dict.fromkeys(names)]


def _plain(data: Path) -> list[LabelledClip]:
    found = folders(data, lambda folder: (folder / "frames").is_dir() or (folder / "masks").is_dir())
    return [LabelledClip(folder.name, folder / "frames", folder / "masks") for folder in found]


def _davis(data: Path, masks: Path) -> list[LabelledClip]:
    if not (data / masks).is_dir():
        raise InputError(f"{data}: no folder {masks}, which holds the masks that are scored here")
    return [LabelledClip(folder.name, folder, data / masks / folder.name) for folder in folders(data / DAVIS_FRAMES)]


def _listed(data: Path, subset: str) -> list[str]:
    """Names of the clips in a list: one a line, or DAVIS-2016's pairs of frame and mask paths."""
    path = data / "ImageSets" / f"{subset}.txt"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    entries = [Path(line.split()[0]) for line in lines if line.strip()]
    return list(dict.fromkeys(entry.parent.name if entry.suffix else entry.name for entry in entries))


def _read_mask(path: Path) -> Bytes:
    pixels = read_pixels(path)
    # Some copies of DAVIS-2016 hold grey masks as colour.
    return pixels[..., :3].max(axis=-1) if pixels.ndim == 3 else pixels


def _one_object(truth: Bytes) -> Bytes:
    return (truth > 0).astype(np.uint8)
