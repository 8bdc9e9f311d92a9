"""Relative depth of every frame (Depth-Anything-V2)."""

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import DepthInput
from samotion.runtime.ops.interface import Arrays, Held
from samotion.runtime.ops.preprocess import FRAMES_A_BATCH, batches
from samotion.runtime.ops.resize import resize_set
from samotion.runtime.progress import Progress
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip


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


def network_size(frame: tuple[int, int], wanted: DepthInput) -> tuple[int, int]:
    """Return the network's (height, width): one side becomes ``wanted.size``, whichever changes it less."""
    factor = min((wanted.size / side for side in frame), key=lambda f: abs(1 - f))
    height, width = (max(1, round(side * factor / wanted.multiple)) * wanted.multiple for side in frame)
    return height, width
