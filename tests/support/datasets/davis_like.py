"""A folder as DAVIS's training clips are laid out, and one of stamps, small enough to train on within a test."""

from pathlib import Path

import cv2
import numpy as np

from samotion.runtime.values import Bytes

FRAMES, HEIGHT, WIDTH = 18, 60, 96
TRAINED, HELD = "bear", "hockey"


def davis(folder: Path) -> Path:
    """Write a clip to train on and one that is always held out; a disc moves over noise in each."""
    rng = np.random.default_rng(0)
    for name in (TRAINED, HELD):
        for part in ("frames", "masks"):
            (folder / name / part).mkdir(parents=True)
        ground = rng.integers(0, 160, (HEIGHT, WIDTH, 3), np.uint8)
        for t in range(FRAMES):
            mask = cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (35 + t, 30), 15, 255, -1)
            frame = np.where(mask[..., None] > 0, np.uint8(230), ground)
            cv2.imwrite(str(folder / name / "frames" / f"{t:05d}.jpg"), frame)
            cv2.imwrite(str(folder / name / "masks" / f"{t:05d}.png"), mask)
    return folder


def stamps(folder: Path) -> Path:
    """Write one stamp, a red square."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp: Bytes = np.zeros((80, 80, 4), np.uint8)
    stamp[10:70, 10:70] = (0, 0, 255, 255)
    cv2.imwrite(str(folder / "square.png"), stamp)
    return folder
