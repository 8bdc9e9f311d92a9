"""Small labelled clips of every layout, and a stand-in for the engines under the evaluations' command lines."""

from pathlib import Path
from types import SimpleNamespace
from typing import Self

import numpy as np
import pytest
from PIL import Image

from samotion.benchmarks import command
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Clip, ClipResult, MotionLabels, ObjectMasks, Tracks

HEIGHT, WIDTH, FRAMES = 24, 32, 4


def truth_of(objects: int = 1, frames: int = FRAMES) -> Bytes:
    """Squares that move right, one below the other; (T, H, W) ids."""
    truth = np.zeros((frames, HEIGHT, WIDTH), np.uint8)
    for frame in range(frames):
        for k in range(objects):
            truth[frame, 2 + 10 * k : 8 + 10 * k, 2 + 3 * frame : 8 + 3 * frame] = k + 1
    return truth


def picture_of(labels: Bytes) -> Image.Image:
    """A frame whose brightness tells the object, for perfect() to find."""
    return Image.fromarray(np.stack([(labels * 100 + 20).astype(np.uint8)] * 3, axis=-1))


def write_clip(frames: Path, masks: Path, truth: Bytes, values: tuple[int, ...] = (0, 1, 2)) -> None:
    """Write frames and masks as 00000.png and so on, ids replaced by ``values``."""
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    for index, labels in enumerate(truth):
        picture_of(labels).save(frames / f"{index:05d}.png")
        Image.fromarray(np.array(values, np.uint8)[labels]).save(masks / f"{index:05d}.png")


def result_of(clip: Clip, masks: np.ndarray) -> ClipResult:
    none = np.zeros((0, len(clip.frames)), np.float32)
    tracks = Tracks(np.zeros((*none.shape, 2), np.float32), none > 0, none, none, np.zeros(0, np.int64))
    labels = MotionLabels(np.zeros(0, np.float32), np.zeros(0, np.bool_))
    return ClipResult(clip, tracks, labels, ObjectMasks(masks), {"tracks": 0.25, "masks": 0.5})


def perfect(clip: Clip) -> ClipResult:
    """Finds every square, by its brightness, within what JPEG changes."""
    grey = clip.frames[..., 0].astype(int)
    masks = [abs(grey - value) < 40 for value in (120, 220) if (abs(grey - value) < 40).any()]
    return result_of(clip, np.stack(masks) if masks else np.zeros((0, *grey.shape), np.bool_))


class FakeBundle(SimpleNamespace):
    """Looks like a bundle with no graph in it."""

    @classmethod
    def load(cls, path: Path | None, provider: str, threads: int) -> Self:
        return cls(
            name="fake",
            digest="0123",
            settings={},
            path=path,
            provider=provider,
            threads=threads,
            manifest=SimpleNamespace(graphs={}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def put_in_place_of_engines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let perfect() stand for the pipeline; returns the names of the clips it will have seen."""
    seen: list[str] = []

    def segment(clip: Clip, _bundle: object, _settings: Settings) -> ClipResult:
        seen.append(clip.name)
        return perfect(clip)

    monkeypatch.setattr(command, "Bundle", FakeBundle)
    monkeypatch.setattr(command, "segment", segment)
    return seen
