"""Damaged videos and images, each read to its end."""

import io
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.fuzz.harness import Case, damaged
from tests.support.coded import MEDIA
from tests.support.video_files import write_video

from samotion.runtime.sources.open import open_source

VIDEOS = (
    ("mp4", "libx264", "yuv420p"),
    ("mkv", "libx264", "yuv420p"),
    ("ts", "mpeg2video", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("mov", "png", "rgb24"),
    ("mkv", "ffv1", "bgr0"),
    ("flv", "flv", "yuv420p"),
)
IMAGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("jpg", "RGB", {}),
    ("jpg", "L", {"progressive": True}),
    ("png", "RGB", {}),
    ("png", "P", {}),
    ("png", "I;16", {}),
    ("bmp", "RGB", {}),
    ("tiff", "RGB", {"compression": "tiff_lzw"}),
    ("tiff", "RGB", {}),
    ("webp", "RGB", {}),
    ("avif", "RGB", {}),
)


def videos(rng: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield damaged videos of every container here."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    frames = [np.roll(noise, 2 * shift, axis=1) for shift in range(8)]
    whole = [
        write_video(scratch / f"whole-{number}.{suffix}", frames, codec=codec, pixels=pixels)
        for number, (suffix, codec, pixels) in enumerate(VIDEOS)
    ]
    yield from _damaged(rng, count, scratch, [*whole, *sorted(MEDIA.glob("*.*"))])


def images(rng: random.Random, count: int, scratch: Path) -> Iterator[Case]:
    """Yield damaged images of every format."""
    smooth = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    colour = Image.fromarray(np.dstack([smooth, 2 * smooth, 255 - smooth]))
    whole = []
    for number, (suffix, mode, options) in enumerate(IMAGES):
        picture = Image.fromarray(smooth.astype(np.uint16) * 256) if mode == "I;16" else colour.convert(mode)
        encoded = io.BytesIO()
        picture.save(encoded, "jpeg" if suffix == "jpg" else suffix, **options)
        whole.append(scratch / f"whole-{number}.{suffix}")
        whole[-1].write_bytes(encoded.getvalue())
    yield from _damaged(rng, count, scratch, [*whole, MEDIA / "animated_apng.png"])


def _damaged(rng: random.Random, count: int, scratch: Path, whole: list[Path]) -> Iterator[Case]:
    for number in range(count):
        path = whole[number % len(whole)]
        content = damaged(path.read_bytes(), rng)
        yield Case(f"{number} {path.name}", partial(_read, scratch / f"damaged{path.suffix}", content))


def _read(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for _ in open_source(path).frames():
        pass
