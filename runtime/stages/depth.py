"""Relative depth of every frame (Depth-Anything-V2)."""

import numpy as np

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import DepthInput
from samotion.runtime.ops.interface import Arrays, Held
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH, batches
from samotion.runtime.ops.resize import resize_set
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Clip, Float

LONGEST_MAP = 320  # pixels of a depth map's longer side, as it is handed to whoever writes it


def estimate(clip: Clip, bundle: Bundle, settings: Settings, progress: Progress, arrays: Arrays) -> Held:
    """Return the clip's disparity (T, H, W) float32, larger is nearer, 0 to 1 in each frame (0 if it is flat)."""
    inner = network_size(clip.size, bundle.manifest.depth)
    resize, engine = resize_set(settings), bundle.lane("depth")
    values = arrays.empty("depth", (len(clip.frames), *clip.size))

    def fill(part: slice) -> int:
        image = arrays.images(clip, part, "depth", inner, resize)
        arrays.unit_disparity(arrays.run(engine, image=image)["disparity"], values[part])
        return len(image)

    with progress.stage("depth", len(clip.frames)) as stage:
        for count in bundle.spread(fill, batches(len(clip.frames), FRAMES_A_BATCH)):
            stage.advance(count)
    return values


def small_maps(disparity: Held, arrays: Arrays) -> Bytes:
    """Return disparity (T, H, W) from 0 to 1 as maps (T, h, w) of 0 to 255 on the host: every n-th row and column."""
    frames, height, width = disparity.shape
    pace = -(-max(height, width) // LONGEST_MAP)
    kept = []
    for part in batches(frames, FRAMES_A_BATCH):
        rows = arrays.every(disparity[part], min(height - 1, pace // 2), pace)
        count, low, _ = rows.shape
        columns = arrays.every(rows.reshape(count * low, width), min(width - 1, pace // 2), pace)
        kept.append(columns.reshape(count, low, columns.shape[1]))
    maps: Float = arrays.down(arrays.joined(kept))
    return np.round(255 * maps).astype(np.uint8)


def network_size(frame: tuple[int, int], wanted: DepthInput) -> tuple[int, int]:
    """Return the network's (height, width): one side becomes ``wanted.size``, whichever changes it less."""
    factor = min((wanted.size / side for side in frame), key=lambda f: abs(1 - f))
    height, width = (max(1, round(side * factor / wanted.multiple)) * wanted.multiple for side in frame)
    return height, width
