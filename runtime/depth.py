"""Relative depth of every frame (Depth-Anything-V2)."""

import cv2
import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import DepthInput
from samotion.runtime.preprocess import batches, normalised, resized
from samotion.runtime.progress import Progress
from samotion.runtime.values import Clip, Disparity, Float

FRAMES_A_BATCH = 4


def estimate(clip: Clip, bundle: Bundle, progress: Progress) -> Disparity:
    """Return the clip's disparity at frame size, scaled to [0, 1] in each frame (0 where a frame is flat)."""
    height, width = clip.size
    inner = network_size(clip.size, bundle.manifest.depth)
    engine = bundle.engine("depth")
    values = np.empty((len(clip.frames), height, width), np.float32)
    with progress.stage("depth", len(clip.frames)) as stage:
        for part in batches(len(clip.frames), FRAMES_A_BATCH):
            image = normalised(resized(clip.frames[part], *inner, cv2.INTER_CUBIC))
            for index, found in zip(range(part.start, part.stop), engine(image=image)["disparity"], strict=True):
                values[index] = _unit(cv2.resize(found, (width, height), interpolation=cv2.INTER_CUBIC))
            stage.advance(len(image))
    return Disparity(values)


def network_size(frame: tuple[int, int], wanted: DepthInput) -> tuple[int, int]:
    """Return the network's (height, width): one side becomes ``wanted.size``, whichever changes it less."""
    factor = min((wanted.size / side for side in frame), key=lambda f: abs(1 - f))
    height, width = (max(1, round(side * factor / wanted.multiple)) * wanted.multiple for side in frame)
    return height, width


def _unit(disparity: Float) -> Float:
    """Return ``disparity`` with its least value at 0 and its greatest at 1."""
    low, high = float(disparity.min()), float(disparity.max())
    if high - low <= np.finfo(np.float32).eps:
        return np.zeros_like(disparity)
    return ((disparity - low) / (high - low)).astype(np.float32)
