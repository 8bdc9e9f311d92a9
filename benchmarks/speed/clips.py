"""The clips that speed is measured on: made from a seed, so that everybody measures on the same frames."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from samotion.calibration.scenes.scene import Scene, SceneSpec, scene
from samotion.engines.errors import InputError, OutputError
from samotion.runtime.output.overlay import ENCODING
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Bytes, Clip, Int

HEIGHT, WIDTH, FRAMES, FPS = 480, 854, 60, 24
OBJECTS = 3
SEEDS = 60
# Speed is measured with all objects that are found: in most made clips nano would leave out all but one.
NONE_LEFT_OUT = {"least_support": None}
MOVERS = 2  # in a made clip for each object to be found: nano finds one of a few, or takes two for one


def moving_scene(
    objects: int = OBJECTS, frames: int = FRAMES, height: int = HEIGHT, width: int = WIDTH, seed: int = 0
) -> Scene:
    """Return a scene of ``objects`` that all move, under a moving camera, without noise or blur."""
    spec = SceneSpec(
        frames=frames, height=height, width=width, objects=(objects, objects), moving=1.0, nothing_moves=0.0
    )
    return scene(seed, spec.plain())


def made_clip(
    folder: Path,
    count: Callable[[Clip], int],
    objects: int = OBJECTS,
    frames: int = FRAMES,
    height: int = HEIGHT,
    width: int = WIDTH,
) -> Path:
    """Write the clip of MOVERS for each object of the first seed in which ``objects`` are found.

    count: how many a bundle finds; networks differ in that, and speed is to be measured with a known number.
    Raises InputError where no seed will do.
    """
    for seed in range(SEEDS):
        made = moving_scene(MOVERS * objects, frames, height, width, seed)
        path = write_clip(made.frames, folder / f"made-{seed}.mp4")
        if count(read_clip(path)) == objects:
            return path
        path.unlink()
    raise InputError(f"in none of {SEEDS} made clips {objects} moving objects were found; name a clip of your own")


def write_clip(frames: Bytes, path: Path, length: int | None = None) -> Path:
    """Write frames (T, H, W, 3) as H.264, bounced to ``length`` frames where given, and return ``path``.

    Raises OutputError where it cannot be written.
    """
    order = bounced(len(frames), len(frames) if length is None else length)
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(FPS))
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
            stream.options = {**ENCODING, "crf": "18", "threads": "1"}
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
