"""What was found in one window as a file: all but the frames, of which checksums remain."""

import json
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from samotion.runtime.sources.windows import Window
from samotion.runtime.values import Bytes, Int, MotionLabels, ObjectMasks, Tracks, WindowResult

TRACKS = ("xy", "visible", "visibility", "confidence", "query_frame")


def save(path: Path, piece: WindowResult) -> None:
    """Write a window's result; the file appears whole."""
    masks = piece.masks.values
    arrays = {
        "checksums": checksums(piece.clip.frames),
        "identities": piece.identities,
        "bits": np.packbits(masks),
        "shape": np.array(masks.shape),
        "scores": piece.scores,
        "states": piece.states,
        "probability": piece.labels.probability,
        "dynamic": piece.labels.dynamic,
        "seconds": np.array(json.dumps(piece.seconds)),
        **{name: getattr(piece.tracks, name) for name in TRACKS},
    }
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    partial.replace(path)


def load(path: Path, window: Window) -> WindowResult | None:
    """Return what was saved of ``window``, None where there is nothing, or it is of other frames than these."""
    clip = window.clip.part(slice(window.shared, None))
    with suppress(FileNotFoundError), np.load(path, allow_pickle=False) as saved:
        if not np.array_equal(saved["checksums"], checksums(clip.frames)):
            return None
        shape = tuple(saved["shape"])
        bits = np.unpackbits(saved["bits"], count=int(np.prod(shape)))
        return WindowResult(
            clip=clip,
            identities=saved["identities"],
            masks=ObjectMasks(bits.reshape(shape).astype(np.bool_)),
            scores=saved["scores"],
            states=saved["states"],
            tracks=Tracks(**{name: saved[name] for name in TRACKS}),
            labels=MotionLabels(saved["probability"], saved["dynamic"]),
            start=window.start,
            seconds=json.loads(str(saved["seconds"])),
            arrived=window.arrived,
        )
    return None


def checksums(frames: Bytes) -> Int:
    """Return the CRC-32 (T,) of each of the frames (T, H, W, 3)."""
    return np.array([zlib.crc32(frame.tobytes()) for frame in frames], np.int64)
