"""``python -m samotion.benchmarks.segtrack``: region similarity of a bundle on SegTrackv2."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samotion.benchmarks.command import Evaluation, evaluation_parser, run_command, score
from samotion.benchmarks.datasets.layouts import check_folder, folders, pick
from samotion.benchmarks.datasets.truth import Truth, read_pixels, stack
from samotion.engines.errors import InputError
from samotion.runtime.sources.folders import list_folder, natural
from samotion.runtime.values import Bool, Bytes

PROGRAM = "samotion.benchmarks.segtrack"
PROTOCOL = (
    "SegTrackv2: every frame; mean: all objects together, as the paper reports; objects matched by mean (J+F)/2"
)
PUBLISHED = {"j": 0.763}  # SegAnyMo (CVPR 2025), table 1
FRAMES, TRUTH = "JPEGImages", "GroundTruth"
HALF = 127  # masks have soft edges in some clips: more than half is object
MOST_OBJECTS = 200
DESCRIPTION = "Run the pipeline over SegTrackv2 and print region similarity J (the data set's measure) and F."
EPILOG = """\
DIR is the data set as published: JPEGImages/<clip> with one mask a frame of the same name in GroundTruth/<clip>, or
in GroundTruth/<clip>/1, GroundTruth/<clip>/2, … where a clip has several objects.

example:
  python -m samotion.benchmarks.segtrack --data SegTrackv2 -o segtrack.json --pictures sheets

Exit status: 0 done, 2 an input that cannot be used or a clip that failed."""


@dataclass(frozen=True)
class SegTrackClip:
    """One clip: its folder of frames and its folder of masks, or of one such folder an object."""

    name: str
    frames: Path
    masks: Path

    def scored(self) -> Truth:
        """Return every frame's objects; where two overlap the higher number wins.

        Raises InputError for missing folders, masks that do not fit the frames, and images that cannot be read.
        """
        if not self.masks.is_dir():
            raise InputError(f"{self.name}: no masks: {self.masks} is not a folder")
        names = [path.stem for path in list_folder(self.frames)]
        parts = sorted(folders(self.masks), key=lambda folder: natural(folder.name)) or [self.masks]
        if len(parts) > MOST_OBJECTS:
            raise InputError(f"{self.masks}: {len(parts)} folders, expected one an object")
        labels: Bytes | None = None
        for identity, part in enumerate(parts, 1):
            mask = self._object(part, names)
            labels = np.zeros(mask.shape, np.uint8) if labels is None else labels
            if mask.shape != labels.shape:
                raise InputError(f"{part}: masks of {mask.shape[1:]} pixels, but {parts[0]} has {labels.shape[1:]}")
            labels[mask] = identity
        assert labels is not None  # there is at least one part
        return Truth(labels)

    def _object(self, folder: Path, names: list[str]) -> Bool:
        masks = {path.stem: path for path in list_folder(folder)}
        if missing := [name for name in names if name not in masks]:
            raise InputError(f"{self.name}: no mask for frame {missing[0]} in {folder} ({len(missing)} are missing)")
        if stray := sorted(set(masks) - set(names)):
            raise InputError(f"{self.name}: {folder} has a mask {stray[0]} but there is no such frame")
        paths = [masks[name] for name in names]
        return stack([_grey(path) for path in paths], paths) > HALF


def find(data: Path) -> list[SegTrackClip]:
    """Return the clips of ``data``; raises InputError where it is not laid out as SegTrackv2 is."""
    check_folder(data)
    found = folders(data / FRAMES) if (data / FRAMES).is_dir() else []
    if not found:
        raise InputError(f"{data}: no clips; expected {FRAMES}/<clip> with {TRUTH}/<clip>")
    return [SegTrackClip(folder.name, folder, data / TRUTH / folder.name) for folder in found]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return its exit status: 0 done, 2 a user's error or a clip that failed."""
    args = evaluation_parser(PROGRAM, DESCRIPTION, EPILOG).parse_args(argv)
    evaluation = Evaluation(PROGRAM, PROTOCOL, {} if args.clips else PUBLISHED)
    return run_command(
        PROGRAM, args, lambda args: score(evaluation, pick(args.data, find(args.data), args.clips), args)
    )


def _grey(path: Path) -> Bytes:
    pixels = read_pixels(path)
    return pixels[..., :3].max(axis=-1) if pixels.ndim == 3 else pixels


if __name__ == "__main__":
    sys.exit(main())
