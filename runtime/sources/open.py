"""Opening of one input, whatever it is: a video file, a folder of images, a printf pattern, an image, a live one."""

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.folders import PATTERN, SUFFIXES, list_folder, list_pattern
from samotion.runtime.sources.images import ImageSource, is_animation
from samotion.runtime.sources.live import is_live, live_name, open_live
from samotion.runtime.sources.source import Source
from samotion.runtime.sources.video_file import VideoSource
from samotion.runtime.sources.windows import cut
from samotion.runtime.values import Clip

IMAGE_FPS = Fraction(24)


def read_clip(given: Path | str, settings: Settings | None = None, fps: Fraction = IMAGE_FPS) -> Clip:
    """Return all decoded frames of ``given``, shrunk to ``max_side`` and strided down to ``max_frames``.

    fps: frames a second of images, which state none; videos keep their own. Raises InputError for anything
    that gives no frames, that has no end, or that does not fit in memory.
    """
    whole = dataclasses.replace(settings or Settings(), window=None)
    source = open_source(given, whole, fps)
    (window,) = cut(source, source.frames(), whole)
    return window.clip


def open_source(given: Path | str, settings: Settings | None = None, fps: Fraction = IMAGE_FPS) -> Source:
    """Return the source of frames that ``given`` names: a path, a printf pattern, ``-``, ``camera:N``, an address.

    fps: frames a second of images. Raises InputError for anything that cannot be opened as such; what is wrong
    with a video shows when its frames are read.
    """
    settings = settings or Settings()
    if is_live(str(given)):
        return open_live(str(given), settings)
    path = Path(given)
    label, name = str(path), clip_name(path)
    try:
        if path.is_dir():
            return ImageSource(list_folder(path), label, name, settings, fps)
        if path.is_file():
            if path.suffix.lower() in SUFFIXES and not is_animation(path):
                return ImageSource([path], label, name, settings, fps)
            # Only striding, and making room for all frames at once, need to know how many there are.
            return VideoSource(path, name, settings, counted=not settings.window or settings.max_frames is not None)
        if path.exists():
            raise InputError(f"{path}: neither a file nor a folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if PATTERN.search(label):
        return ImageSource(list_pattern(path), label, name, settings, fps)
    remedy = "write numbered images as frames/%05d.png, or name their folder" if "*" in label else ""
    raise InputError(f"{path}: no such file or folder", remedy)


def clip_name(given: Path | str) -> str:
    """Return what an input is called in the output: its stem, a folder's name, a pattern's text, a live source's."""
    if is_live(str(given)):
        return live_name(str(given))
    path = Path(os.path.abspath(given))
    # os.path answers False where pathlib raises; reading says what is wrong with such a path.
    name = path.name if os.path.isdir(path) else path.stem
    if not os.path.exists(path):
        name = PATTERN.sub("", name).strip("-_. ") or path.parent.name
    return name if name.strip(".") else "clip"  # . and .. are names of folders
