"""Reading of one input, whatever it is: a video file, a folder of images, a printf pattern, an image."""

import os
from fractions import Fraction
from pathlib import Path

from samotion.engines.errors import InputError
from samotion.runtime.images import PATTERN, SUFFIXES, list_folder, list_pattern, read_images
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip
from samotion.runtime.video import read_video

IMAGE_FPS = Fraction(24)


def read_clip(path: Path | str, settings: Settings | None = None, fps: Fraction = IMAGE_FPS) -> Clip:
    """Return the decoded frames of ``path``, shrunk to ``max_side`` and strided down to ``max_frames``.

    fps: frames a second of images, which state none; videos keep their own. Raises InputError for anything
    that gives no frames.
    """
    path = Path(path)
    settings = settings or Settings()
    name = clip_name(path)
    try:
        if path.is_dir():
            return read_images(list_folder(path), path, name, settings, fps)
        if path.is_file():
            if path.suffix.lower() in SUFFIXES:
                return read_images([path], path, name, settings, fps)
            return read_video(path, name, settings)
        if path.exists():
            raise InputError(f"{path}: neither a file nor a folder")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if PATTERN.search(str(path)):
        return read_images(list_pattern(path), path, name, settings, fps)
    raise InputError(f"{path}: no such file or folder")


def clip_name(path: Path) -> str:
    """Return what an input is called in the output: its stem, a folder's name, a pattern's text."""
    path = Path(os.path.abspath(path))
    # os.path answers False where pathlib raises; reading says what is wrong with such a path.
    name = path.name if os.path.isdir(path) else path.stem
    if not os.path.exists(path):
        name = PATTERN.sub("", name).strip("-_. ") or path.parent.name
    return name or "clip"
