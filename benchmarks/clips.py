"""The clips that speed is measured on: made from a seed, so that everybody measures on the same frames."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from samotion.calibration.scenes import Scene, SceneSpec, scene
from samotion.engines.errors import OutputError
from samotion.runtime.values import Bytes, Int

HEIGHT, WIDTH, FRAMES, FPS = 480, 854, 60, 24
SEED = 5  # of the first seeds, the first in which the nano networks find all three objects, in full and in short


def moving_scene(objects: int = 3, frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH) -> Scene:
    """Return a scene of ``objects`` that all move, under a moving camera, without noise or blur."""
    spec = SceneSpec(
        frames=frames, height=height, width=width, objects=(objects, objects), moving=1.0, nothing_moves=0.0
    )
    return scene(SEED, spec.plain())


def write_clip(frames: Bytes, path: Path, length: int | None = None) -> Path:
    """Write frames (T, H, W, 3) as H.264, bounced to ``length`` frames where given, and return ``path``.

    Raises OutputError where it cannot be written.
    """
    order = bounced(len(frames), len(frames) if length is None else length)
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(FPS))
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
            stream.options = {"crf": "18", "preset": "veryfast", "threads": "1"}
            for index in order:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frames[index], "rgb24")))
            container.mux(stream.encode())
    except (OSError, av.FFmpegError) as error:
        raise OutputError(f"{path}: cannot be written: {error}") from error
    return path


def bounced(count: int, length: int) -> Int:
    """Return ``length`` indices that run through ``count`` frames forward and backward again and again."""
    period = max(1, 2 * count - 2)
    place = np.arange(length) % period
    return np.minimum(place, period - place) if count > 1 else place * 0
