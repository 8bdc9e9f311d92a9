"""Reading of still images as frames."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.folders import SUFFIXES
from samotion.runtime.sources.source import Source, check_pixels
from samotion.runtime.values import Bytes

log = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "AVIF") + (("HEIF",) if ".heic" in SUFFIXES else ())
PLAYED = ("PNG", "AVIF")  # where they are animations, FFmpeg plays them
REDUCED = 1  # bit of TIFF's NewSubfileType: the page is a smaller copy of another

if "HEIF" in FORMATS:
    import pillow_heif

    pillow_heif.register_heif_opener()


class ImageSource(Source):
    """Images as frames of ``fps`` a second.

    Raises InputError, naming the file, for an image that cannot be read, for one of more than
    ``settings.max_pixels``, and for images of different sizes. A JPEG that is damaged is read as far as it goes,
    which is logged.
    """

    def __init__(self, files: Sequence[Path], label: str, name: str, settings: Settings, fps: Fraction) -> None:
        super().__init__(label, name, len(files), settings)
        self._files = files
        self._fps = fps
        self._max_pixels = settings.max_pixels

    @property
    def fps(self) -> Fraction:
        """Frames a second, as given."""
        return self._fps

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        """Yield the images; those that striding leaves out are not even opened."""
        for index, file in enumerate(self._files):
            image = read_image(file, self._max_pixels) if self.is_kept(index) else None
            yield image, index / float(self._fps), file.name

    def facts(self) -> dict[str, Any]:
        """Return what every source states, and the file of each kept frame."""
        files = [file.name for file in self._files[: self.count : self.stride]]
        return {**super().facts(), "files": files}


def read_image(file: Path, max_pixels: int = Settings.max_pixels) -> Bytes:
    """Return an image (H, W, 3) uint8 RGB, upright: alpha dropped, 16 bits scaled from the full range to 8.

    Its declared size is checked before it is decoded. Raises InputError.
    """
    with _opened(file) as image:
        check_pixels(str(file), image.width, image.height, max_pixels)
        if (count := _pictures(image)) > 1:
            raise InputError(f"{file}: holds {count} pictures, expected one", "make it a video or a folder of images")
        if image.format in ("JPEG", "MPO") and image.mode in ("L", "RGB"):
            picture = Image.fromarray(_decode_jpeg(file))
            picture.info["exif"] = image.info.get("exif", b"")
        else:
            image.load()
            picture = image
        return _to_rgb(ImageOps.exif_transpose(picture), file)


def is_animation(file: Path) -> bool:
    """Whether ``file`` is an animated PNG or AVIF, which is read as a video; what is no image is none."""
    try:
        with _opened(file) as image:
            return image.format in PLAYED and _pictures(image) > 1
    except InputError:
        return False


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Yield an image of which only the header is read; whatever Pillow stumbles over is an InputError."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours counts
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            with Image.open(file, formats=FORMATS) as image:
                yield image
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{file}: not an image that can be read") from error
    except Exception as error:  # its readers raise what their parsing meets: ValueError, struct.error, KeyError, …
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"{file}: cannot be read ({why})") from error
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    for text in dict.fromkeys(str(warning.message) for warning in heard):
        log.warning("%s: %s", file, " ".join(text.split()))


def _pictures(image: Image.Image) -> int:
    """Return how many pictures there are; previews beside a photograph and smaller copies are none."""
    if image.format == "MPO":
        return 1
    count: int = getattr(image, "n_frames", 1)
    if image.format == "TIFF" and count > 1:
        pages: Iterator[Any] = ImageSequence.Iterator(image)
        count = sum(not page.tag_v2.get(254, 0) & REDUCED for page in pages)
        image.seek(0)
    return count


def _decode_jpeg(file: Path) -> Bytes:
    """Return the pixels (H, W, 3) as stored; libjpeg prints of damage what simplejpeg raises."""
    encoded = file.read_bytes()
    try:
        return np.asarray(simplejpeg.decode_jpeg(encoded, "RGB"), np.uint8)
    except ValueError as error:
        pixels = np.asarray(simplejpeg.decode_jpeg(encoded, "RGB", strict=False), np.uint8)
        log.warning("%s is damaged and read as far as it goes (%s)", file, error)
        return pixels


def _to_rgb(picture: Image.Image, file: Path) -> Bytes:
    if picture.mode.startswith("I;16"):
        grey = (np.asarray(picture).astype(np.uint32) + 128) // 257
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    if picture.mode in ("F", "I"):
        raise InputError(f"{file}: pixels are {np.asarray(picture).dtype}, expected 8 or 16 bits")
    return np.array(picture.convert("RGB"), np.uint8)
