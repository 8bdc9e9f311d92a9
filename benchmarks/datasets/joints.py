"""BADJA's animal joints: points marked by hand on every fifth frame or so of DAVIS clips.

``DIR/joints/<clip>.json`` lists keyframes with their image's path, joints as (row, column) in the pixels of DAVIS's
full resolution, and whether each is visible. The clips themselves may be smaller.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samotion.benchmarks.accuracy.point_metrics import Double
from samotion.benchmarks.datasets.layouts import DAVIS_FRAMES, DAVIS_MASKS, LabelledClip, check_folder, folders
from samotion.engines.errors import InputError
from samotion.runtime.sources.folders import list_folder
from samotion.runtime.sources.images import read_image
from samotion.runtime.values import Bool, Int

MARKED = (1080, 1920)  # height and width of the frames that the joints were marked on


@dataclass(frozen=True)
class Joints:
    """One clip's joints at K keyframes.

    keyframes: (K,) int64, places among the clip's frames, rising. xy: (K, J, 2) float64 pixels of the clip's frames.
    visible: (K, J) bool. area: (K,) float64, the animal's true mask in pixels of the clip's frames.
    """

    name: str
    frames: Path
    keyframes: Int
    xy: Double
    visible: Bool
    area: Double


def read_joints(data: Path) -> list[Joints]:
    """Return the joints of every clip in ``data``/joints, whose frames and masks are in ``data``, too.

    The clips are looked for as <clip>/frames with <clip>/masks, in ``data`` or one folder deeper, or in DAVIS's
    layout. Raises InputError for anything that is missing or does not fit.
    """
    check_folder(data)
    files = sorted((data / "joints").glob("*.json"))
    if not files:
        raise InputError(f"{data}: no joints/<clip>.json in it")
    return [_joints(file, _clip(data, file.stem)) for file in files]


def _clip(data: Path, name: str) -> LabelledClip:
    plain = [folder / name for folder in (data, *folders(data))]
    for folder in plain:
        if (folder / "frames").is_dir():
            return LabelledClip(name, folder / "frames", folder / "masks")
    if (data / DAVIS_FRAMES / name).is_dir():
        return LabelledClip(name, data / DAVIS_FRAMES / name, data / DAVIS_MASKS / name)
    raise InputError(f"{data}: joints/{name}.json has no clip: expected {name}/frames here or one folder deeper")


def _joints(file: Path, clip: LabelledClip) -> Joints:
    entries = _entries(file)
    paths = list_folder(clip.frames)
    places = {path.stem: index for index, path in enumerate(paths)}
    stems = [Path(entry["image_path"]).stem for entry in entries]
    if missing := [stem for stem in stems if stem not in places]:
        raise InputError(f"{file}: keyframe {missing[0]} is not among the frames in {clip.frames}")
    keyframes = np.array([places[stem] for stem in stems], np.int64)
    if (np.diff(keyframes) <= 0).any():
        raise InputError(f"{file}: keyframes are not in the order of the frames")
    masks = clip.truth()
    height, width = read_image(paths[0]).shape[:2]
    scale = np.array([width / MARKED[1], height / MARKED[0]])
    per_pixel = height * width / masks[0].size
    return Joints(
        name=clip.name,
        frames=clip.frames,
        keyframes=keyframes,
        xy=np.array([entry["joints"] for entry in entries], np.float64)[..., ::-1] * scale,
        visible=np.array([entry["visibility"] for entry in entries], np.bool_),
        area=(masks[keyframes] > 0).sum(axis=(1, 2)) * per_pixel,
    )


def _entries(file: Path) -> list[dict[str, Any]]:
    """Return a file's keyframes, checked for their form."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        shapes = {(np.shape(entry["joints"]), np.shape(entry["visibility"])) for entry in entries}
        (joints, visibility) = shapes.pop()
        fits = not shapes and joints == (*visibility, 2) and all(isinstance(e["image_path"], str) for e in entries)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: no list of keyframes with image_path, joints and visibility") from error
    if not fits:
        raise InputError(f"{file}: keyframes differ in their number of joints, or joints are not (row, column)")
    return list(entries)
