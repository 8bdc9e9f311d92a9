"""Clips with true masks on disk, in either of two layouts.

Plain: ``DIR/<clip>/frames`` and ``DIR/<clip>/masks``. DAVIS: ``DIR/JPEGImages/480p/<clip>`` and
``DIR/Annotations/480p/<clip>``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from samotion.engines.errors import InputError
from samotion.runtime.images import list_folder
from samotion.runtime.values import Bytes

DAVIS_FRAMES = Path("JPEGImages", "480p")
DAVIS_MASKS = Path("Annotations", "480p")


@dataclass(frozen=True)
class LabelledClip:
    """One clip on disk: a folder of frames and a folder with one mask a frame, of the same stems."""

    name: str
    frames: Path
    masks: Path

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
        labels = [_read_mask(masks[stem]) for stem in frames]
        height, width = labels[0].shape
        for stem, label in zip(frames, labels, strict=True):
            if label.shape != (height, width):
                size = "×".join(map(str, label.shape[::-1]))
                raise InputError(f"{masks[stem]}: {size} pixels, but the first mask has {width}×{height}")
        truth = np.stack(labels)
        return _one_object(truth) if set(np.unique(truth)) <= {0, 255} else truth


def find_clips(data: Path, wanted: Sequence[str] = (), subset: str | None = None) -> list[LabelledClip]:
    """Return the clips of ``data`` by name, or those ``wanted``, in the order asked for.

    subset: in DAVIS's layout the list to take, such as ``2016/val`` for ``ImageSets/2016/val.txt`` (its first
    column may be a path). A plain folder with frames but without masks is found too, so that the gap is
    reported. Raises InputError for a folder without clips and for names that are not there.
    """
    if not data.is_dir():
        raise InputError(f"{data}: not a folder")
    found = {clip.name: clip for clip in (_davis(data) if (data / DAVIS_FRAMES).is_dir() else _plain(data))}
    if not found:
        raise InputError(
            f"{data}: no clips; expected <clip>/frames with <clip>/masks, or {DAVIS_FRAMES}/<clip> with "
            f"{DAVIS_MASKS}/<clip>"
        )
    names = list(wanted) or (_listed(data, subset) if subset else sorted(found))
    if unknown := [name for name in names if name not in found]:
        raise InputError(f"{data}: no clip {unknown[0]}; it has {', '.join(sorted(found))}")
    return [found[name] for name in dict.fromkeys(names)]


def _plain(data: Path) -> list[LabelledClip]:
    folders = (folder for folder in data.iterdir() if (folder / "frames").is_dir() or (folder / "masks").is_dir())
    return [LabelledClip(folder.name, folder / "frames", folder / "masks") for folder in folders]


def _davis(data: Path) -> list[LabelledClip]:
    folders = (folder for folder in (data / DAVIS_FRAMES).iterdir() if folder.is_dir())
    return [LabelledClip(folder.name, folder, data / DAVIS_MASKS / folder.name) for folder in folders]


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
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: cannot be read as an image") from error
    if pixels.ndim == 3:  # some copies of DAVIS-2016 hold grey masks as colour
        pixels = pixels[..., :3].max(axis=-1)
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: found {pixels.dtype} pixels, expected 8 bits of object ids")
    return pixels


def _one_object(truth: Bytes) -> Bytes:
    return (truth > 0).astype(np.uint8)
