"""Which frames tell anything of motion: not those that are blank, nor those that repeat the one before."""

import cv2
import numpy as np

from samotion.runtime.values import Bool, Bytes

CELLS = 32  # a frame is looked at as so many cells a side
BLANK = 3.0  # grey levels: a frame whose cells differ by less shows nothing that could be followed
SAME = (
    2.5  # grey levels, above what noise leaves of a cell: a frame no cell of which differs by more repeats the last
)


def informative(frames: Bytes) -> Bool:
    """Return which frames (T,) of (T, H, W, 3) uint8 RGB show something, and something else than the one before."""
    seen = np.zeros(len(frames), np.bool_)
    last = None
    for index, frame in enumerate(frames):
        cells = cv2.resize(frame, (CELLS, CELLS), interpolation=cv2.INTER_AREA).mean(axis=2, dtype=np.float32)
        blank = np.ptp(cells) < BLANK
        if not blank and (last is None or np.abs(cells - last).max() > SAME):
            seen[index], last = True, cells
    return seen
