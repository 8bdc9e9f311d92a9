"""Reading of image folders and printf patterns as frames."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.source import Source
from samotion.runtime.values import Bytes

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
PATTERN = re.compile(r"%(0?)(\d*)d")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which frame 2 comes before frame 10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name.casefold())
    return [(0, int(digits), digits) if digits else (1, 0, text) for digits, text in parts]


def list_folder(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order; raises InputError where there are none."""
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be listed ({error.strerror})") from error
    found = [e for e in entries if e.suffix.lower() in SUFFIXES and not e.name.startswith(".") and e.is_file()]
    if not found:
        raise InputError(f"{folder}: no images in this folder (looked for {' '.join(sorted(SUFFIXES))})")
    return sorted(found, key=lambda e: (natural(e.name), e.name))


def list_pattern(pattern: Path) -> list[Path]:
    """Return the files that a printf pattern such as ``dir/%05d.png`` names, by number.

    Raises InputError for a pattern without exactly one number, or where no file fits.
    """
    fields = PATTERN.findall(pattern.name)
    if len(fields) != 1 or PATTERN.search(str(pattern.parent)):
        raise InputError(f"{pattern}: expected one number such as %05d, in the file's name")
    before, after = (re.escape(part) for part in re.split(PATTERN.pattern, pattern.name)[:: len(fields[0]) + 1])
    zero, width = fields[0][0], int(fields[0][1] or 0)
    number = re.compile(f"{before}( *[0-9]+){after}")
    found: dict[int, Path] = {}
    try:
        for entry in pattern.parent.iterdir():
            match = number.fullmatch(entry.name)
            if match and match[1] == f"{int(match[1]):{zero}{width or 1}d}" and entry.is_file():
                found[int(match[1])] = entry
    except OSError as error:
        raise InputError(f"{pattern.parent}: cannot be listed ({error.strerror})") from error
    if not found:
        raise InputError(f"{pattern}: no file fits this pattern")
    return [found[key] for key in sorted(found)]


class ImageSource(Source):
    """Images as frames of ``fps`` a second.

    Raises InputError, naming the file, for an image that cannot be read and for images of different sizes.
    """

    def __init__(self, files: Sequence[Path], label: str, name: str, settings: Settings, fps: Fraction) -> None:
        super().__init__(label, name, len(files), settings)
        self._files = files
        self._fps = fps

    @property
    def fps(self) -> Fraction:
        """Frames a second, as given."""
        return self._fps

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        """Yield the images; those that striding leaves out are not even opened."""
        for index, file in enumerate(self._files):
            image = read_image(file) if index % self.stride == 0 else None
            yield image, index / float(self._fps), file.name


def read_image(file: Path) -> Bytes:
    """Return an image (H, W, 3) uint8 RGB, upright: alpha dropped, 16 bits scaled from the full range to 8."""
    try:
        # Through memory: OpenCV's own reader says nothing of why a file fails and dislikes some file names.
        encoded = np.fromfile(file, np.uint8)
        with _quiet():
            image = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH) if len(encoded) else None
    except (OSError, cv2.error) as error:
        raise InputError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if image is None:
        raise InputError(f"{file}: not an image that can be read")
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    elif image.dtype != np.uint8:
        raise InputError(f"{file}: pixels are {image.dtype}, expected 8 or 16 bits")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV from printing its own account of a bad image: ours is one line."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
