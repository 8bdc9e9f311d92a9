"""Relative depth of every frame (Depth-Anything-V2)."""

import cv2
import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import DepthInput
from samotion.runtime.preprocess import FRAMES_A_BATCH, batches, normalised
from samotion.runtime.progress import Progress
from samotion.runtime.resizing import OURS, Kernels
from samotion.runtime.values import Clip, Disparity, Float


def estimate(clip: Clip, bundle: Bundle, progress: Progress, kernels: Kernels = OURS) -> Disparity:
    """Return the clip's disparity at frame size, scaled to [0, 1] in each frame (0 where a frame is flat)."""
    height, width = clip.size
    inner = network_size(clip.size, bundle.manifest.depth)
    engine = bundle.lane("depth")
    values = np.empty((len(clip.frames), height, width), np.float32)

    def fill(part: slice) -> int:
        image = normalised(kernels.depth(clip.frames[part], *inner))
        for found, own in zip(engine(image=image)["disparity"], values[part], strict=True):
            cv2.resize(found, (width, height), dst=own, interpolation=cv2.INTER_CUBIC)
            _make_unit(own)
        return len(image)

    with progress.stage("depth", len(clip.frames)) as stage:
        for count in bundle.spread(fill, batches(len(clip.frames), FRAMES_A_BATCH)):
            stage.advance(count)
    return Disparity(values)


def network_size(frame: tuple[int, int], wanted: DepthInput) -> tuple[int, int]:
    """Return the network's (height, width): one side becomes ``wanted.size``, whichever changes it less."""
    factor = min((wanted.size / side for side in frame), key=lambda f: abs(1 - f))
    height, width = (max(1, round(side * factor / wanted.multiple)) * wanted.multiple for side in frame)
    return height, width


def _make_unit(disparity: Float) -> None:
    """Scale ``disparity`` in place so that its least value is 0 and its greatest 1."""
    low, high = float(disparity.min()), float(disparity.max())
    if high - low <= np.finfo(np.float32).eps:
        disparity[:] = 0
        return
    disparity -= low
    disparity /= high - low
