"""FBMS-59 as published: ``Testset/<clip>/*.jpg`` and ``Testset/<clip>/GroundTruth``, a few frames annotated.

The annotation is what ``<clip>Def.dat`` says (the Freiburg-Berkeley release: PPM or PGM images of region colours), or
the PNG images of the folder where there is no such file (the copies used for dense masks).
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samotion.benchmarks.datasets.layouts import check_folder, folders
from samotion.benchmarks.datasets.truth import Truth, read_pixels, stack
from samotion.engines.errors import InputError
from samotion.runtime.sources.folders import list_folder
from samotion.runtime.values import Bytes, Float

TRUTH = "GroundTruth"
WHITE = 0xFFFFFF
MOST_REGIONS = 200


@dataclass(frozen=True)
class Definition:
    """What a Def.dat says: colours of the regions, the background's first; frame numbers from 0 and mask names."""

    colours: list[int]
    frames: list[int]
    masks: list[str]


@dataclass(frozen=True)
class FbmsClip:
    """One clip: its folder of frames, in which GroundTruth is."""

    name: str
    frames: Path

    def scored(self) -> Truth:
        """Return the annotated frames' regions; raises InputError for what is missing, misnamed or unreadable."""
        names = [path.stem for path in list_folder(self.frames)]
        folder = self.frames / TRUTH
        if not folder.is_dir():
            raise InputError(f"{self.name}: no {TRUTH} in {self.frames}")
        definitions = sorted(folder.glob("*.dat"))
        if len(definitions) > 1:
            raise InputError(f"{self.name}: {len(definitions)} definitions in {folder}, expected one")
        truth = _defined(folder, definitions[0]) if definitions else _drawn(folder, names)
        if truth.frames is not None and truth.frames[-1] >= len(names):
            raise InputError(f"{self.name}: frame {truth.frames[-1]} is annotated but there are {len(names)} frames")
        return truth


def find(data: Path, part: str = "Testset") -> list[FbmsClip]:
    """Return the clips of ``data``/``part``, or of ``data`` itself where it holds the clips; raises InputError."""
    check_folder(data)
    root = data / part if (data / part).is_dir() else data
    # A folder of images without GroundTruth is a clip too, so that the gap is reported.
    found = folders(root, lambda folder: (folder / TRUTH).is_dir() or any(folder.glob("*.jpg")))
    if not found:
        raise InputError(f"{data}: no clips; expected {part}/<clip>/*.jpg with {part}/<clip>/{TRUTH}")
    return [FbmsClip(folder.name, folder) for folder in found]


def read_definition(path: Path) -> Definition:
    """Return what a Def.dat says; raises InputError where it does not follow the release's form.

    It is lines of a title ending in a colon, each followed by its value.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="latin-1").splitlines()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    values: dict[str, list[str]] = {"scale": [], "frame": [], "file": [], "regions": [], "labeled": []}
    titles = {
        "scale of region": "scale",
        "frame number": "frame",
        "file name": "file",
        "total number of regions": "regions",
        "total number of labeled frames": "labeled",
    }
    for title, value in itertools.pairwise(lines):
        for start, key in titles.items():
            if title.lower().startswith(start):
                values[key].append(value)
    try:
        regions, labelled = int(values["regions"][0]), int(values["labeled"][0])
        found = Definition([int(c) for c in values["scale"]], [int(f) for f in values["frame"]], values["file"])
    except (ValueError, IndexError) as error:
        raise InputError(f"{path}: no FBMS definition (its numbers of regions and frames cannot be read)") from error
    sizes = (len(found.colours), len(found.frames), len(found.masks))
    if sizes != (regions, labelled, labelled) or not labelled or not 0 < regions <= MOST_REGIONS:
        raise InputError(
            f"{path}: states {regions} regions and {labelled} frames but lists {sizes[0]} regions, {sizes[1]} frame "
            f"numbers and {sizes[2]} file names"
        )
    if found.frames[0] < 0 or (np.diff(found.frames) <= 0).any():
        raise InputError(f"{path}: frame numbers {found.frames} do not rise from 0")
    return found


def _defined(folder: Path, definition: Path) -> Truth:
    """Return the truth of a Def.dat; a colour that it does not list is background, as for the official program."""
    stated = read_definition(definition)
    paths = [folder / name for name in stated.masks]
    labels, certainty = [], []
    for path in paths:
        colours = _colours(path)
        label = np.zeros(colours.shape, np.uint8)
        for region, colour in enumerate(stated.colours):
            label[colours == colour] = region
        labels.append(label)
        certainty.append(_certainty(path, label))
    return Truth(stack(labels, paths), np.array(stated.frames, np.int64), np.stack(certainty))


def _certainty(path: Path, label: Bytes) -> Float:
    """Return the probability map of a PPM annotation, the PGM of its name; PGM annotations are certain."""
    beside = path.with_suffix(".pgm")
    if path.suffix.lower() != ".ppm" or not beside.is_file():
        return np.ones(label.shape, np.float32)
    found = read_pixels(beside)
    if found.shape != label.shape:
        raise InputError(f"{beside}: {found.shape} pixels (rows, columns), but {path.name} has {label.shape}")
    return found.astype(np.float32) / np.float32(255)


def _drawn(folder: Path, names: list[str]) -> Truth:
    """Return the truth of a folder of PNG images, matched to frames by name or by the number in it.

    Every colour is a region; the background is black, or white in clips without black.
    """
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise InputError(f"{folder}: neither a *Def.dat nor PNG images")
    numbers = {_number(name): index for index, name in reversed(list(enumerate(names)))}
    frames = []
    for path in paths:
        stem = path.stem.removesuffix("_gt")
        index = names.index(stem) if stem in names else numbers.get(_number(stem))
        if index is None or _number(stem) is None:
            raise InputError(f"{path}: no frame of this name or number; frames are {names[0]} to {names[-1]}")
        frames.append(index)
    if len(set(frames)) < len(frames):
        raise InputError(f"{folder}: two images belong to one frame ({names[max(frames, key=frames.count)]})")
    colours = [_colours(path) for path in paths]
    order = np.argsort(frames)
    known = sorted({int(colour) for image in colours for colour in np.unique(image)})
    background = 0 if 0 in known else WHITE if WHITE in known else known[0]
    known.remove(background)
    if len(known) > MOST_REGIONS:
        raise InputError(f"{folder}: {len(known)} colours, expected one for each region (is it compressed?)")
    labels = []
    for image in colours:
        label = np.zeros(image.shape, np.uint8)
        for region, colour in enumerate(known, 1):
            label[image == colour] = region
        labels.append(label)
    return Truth(stack(labels, paths)[order], np.array(frames, np.int64)[order])


def _colours(path: Path) -> NDArray[np.int64]:
    """Return an image's colours (H, W) as red · 256² + green · 256 + blue, or its single channel as it is."""
    pixels = read_pixels(path).astype(np.int64)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] < 3:  # grey with alpha
        return pixels[..., 0]
    return pixels[..., 0] * 65536 + pixels[..., 1] * 256 + pixels[..., 2]


def _number(name: str) -> int | None:
    """Return the number in a frame's name: the last one of cars1_01 and tennis001, the only one of 001."""
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else None
