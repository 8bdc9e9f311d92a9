"""A window's result as a file: the same again for the same frames, nothing for others."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from samotion.runtime.batch.saved_window import load, save
from samotion.runtime.sources.windows import Window
from samotion.runtime.values import Clip, MotionLabels, ObjectMasks, Tracks, WindowResult

rng = np.random.default_rng(0)
FRAMES = rng.integers(0, 256, (5, 9, 7, 3), np.uint8)
CLIP = Clip("a", FRAMES, Fraction(24), (9, 7), np.arange(5), 5, np.arange(5) / 24)
WINDOW = Window(CLIP, 10, 2, 3.0)
TRACKS = Tracks(
    rng.random((3, 5, 2), np.float32),
    rng.random((3, 5)) > 0.5,
    rng.random((3, 5), np.float32),
    rng.random((3, 5), np.float32),
    np.arange(3),
)
PIECE = WindowResult(
    CLIP.part(slice(2, None)),
    np.array([1, 4]),
    ObjectMasks(rng.random((2, 3, 9, 7)) > 0.5),
    rng.random(2, np.float32),
    rng.integers(0, 4, (2, 3), np.uint8),
    TRACKS,
    MotionLabels(rng.random(3, np.float32), rng.random(3) > 0.5),
    10,
    {"tracks": 1.5},
    3.0,
)


def test_a_window_comes_back_as_it_was(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", PIECE)
    found = load(tmp_path / "a.npz", WINDOW)
    assert found is not None
    assert np.array_equal(found.masks.values, PIECE.masks.values)
    for name in ("identities", "scores", "states"):
        assert np.array_equal(getattr(found, name), getattr(PIECE, name))
    for name in ("xy", "visible", "visibility", "confidence", "query_frame"):
        assert np.array_equal(getattr(found.tracks, name), getattr(TRACKS, name))
    assert np.array_equal(found.labels.probability, PIECE.labels.probability)
    assert np.array_equal(found.labels.dynamic, PIECE.labels.dynamic)
    assert (found.start, found.seconds, found.arrived) == (10, {"tracks": 1.5}, 3.0)
    assert np.array_equal(found.clip.frames, FRAMES[2:])


def test_other_frames_are_noticed(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", PIECE)
    changed = FRAMES.copy()
    changed[3, 0, 0, 0] ^= 1
    assert load(tmp_path / "a.npz", replace(WINDOW, clip=replace(CLIP, frames=changed))) is None
    assert load(tmp_path / "a.npz", replace(WINDOW, shared=1)) is None
    assert load(tmp_path / "b.npz", WINDOW) is None
