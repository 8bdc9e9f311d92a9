"""Masks and tracks as the bytes that a report's page reads: small, and quick to draw from."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from samotion.runtime.values import Labels, WindowResult

MOST_TRACKS = 400  # of a window; more hide the frame
HIDDEN = -32768  # a track's place where it is not seen
PARTS = 8  # of a pixel, that tracks are rounded to


@dataclass(frozen=True)
class TrackWindow:
    """The tracks of one window. first: the first frame that it adds. start: its first. length: its frames.

    count: the tracks that are kept. found: all that it has.
    """

    first: int
    start: int
    length: int
    count: int
    found: int

    def facts(self) -> dict[str, int]:
        """Return what the page reads."""
        return asdict(self)


def mask_runs(labels: Labels) -> bytes:
    """Return ids (H, W) as runs in reading order: pairs of little-endian int32, an id and its pixels."""
    ids = labels.ravel()
    starts = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1])
    return np.stack([ids[starts], np.diff(starts, append=ids.size)], 1).astype("<i4").tobytes()


def packed_tracks(window: WindowResult, first: int, size: tuple[int, int]) -> tuple[TrackWindow, bytes]:
    """Return at most MOST_TRACKS tracks of a window, evenly taken.

    The bytes are (N, T, 2) int16, x and y in PARTS of a pixel of frames of ``size`` (height, width), and (N,) uint16,
    how probably each moves by itself, 65535 for 1; both little-endian. first: the first frame that the window adds.
    """
    tracks = window.tracks
    found, length = tracks.visible.shape
    chosen: NDArray[np.int64] = np.linspace(0, max(found - 1, 0), min(found, MOST_TRACKS)).round().astype(np.int64)
    scale = np.array(size[::-1]) / np.array(window.clip.size[::-1])
    places = np.round(((tracks.xy[chosen] + 0.5) * scale) * PARTS).clip(HIDDEN + 1, -HIDDEN - 1)
    places[~tracks.visible[chosen]] = HIDDEN
    probability = np.round(window.labels.probability[chosen] * 65535)
    header = TrackWindow(first, window.start, length, len(chosen), found)
    return header, places.astype("<i2").tobytes() + probability.astype("<u2").tobytes()
