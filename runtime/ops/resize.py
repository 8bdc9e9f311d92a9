"""How frames are resized for each network: our choice, fast, or exactly as the published system does."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from samotion.runtime.ops.preprocess import resized
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Float


@dataclass(frozen=True)
class ResizeSet:
    """For each network what makes frames (T, H, W, 3) uint8 into frames (T, height, width, 3) of levels 0 to 255.

    semantics may leave levels unrounded, float32.
    """

    tracker: Callable[[Bytes, int, int], Bytes]
    depth: Callable[[Bytes, int, int], Bytes]
    semantics: Callable[[Bytes, int, int], Bytes | Float]
    masks: Callable[[Bytes, int, int], Bytes]


def kernels(settings: Settings) -> ResizeSet:
    """Return how the settings want frames resized."""
    return PUBLISHED if settings.published_resizing else OURS


def _opencv(interpolation: int) -> Callable[[Bytes, int, int], Bytes]:
    """Return OpenCV's resizing with one of its interpolations, none of which but AREA is antialiased."""
    return lambda frames, height, width: resized(frames, height, width, interpolation)


def _pillow(kernel: Image.Resampling) -> Callable[[Bytes, int, int], Bytes]:
    """Return Pillow's resizing with one of its kernels, which widen where they shrink."""

    def resize(frames: Bytes, height: int, width: int) -> Bytes:
        if frames.shape[1:3] == (height, width):
            return frames
        return np.stack([np.asarray(Image.fromarray(frame).resize((width, height), kernel)) for frame in frames])

    return resize


def _unrounded(frames: Bytes, height: int, width: int) -> Float:
    """Resize bilinearly in float32."""
    return np.stack([cv2.resize(frame.astype(np.float32), (width, height)) for frame in frames]).astype(np.float32)


OURS = ResizeSet(
    _opencv(cv2.INTER_AREA), _opencv(cv2.INTER_CUBIC), _opencv(cv2.INTER_LINEAR), _opencv(cv2.INTER_AREA)
)
# run_tapir.py of the published system resizes by mediapy, which takes Pillow's Lanczos; Depth-Anything's image
# processor in transformers takes Pillow's bicubic; dino_feat.py resizes tensors of floats by torchvision, bilinear,
# and always up; SAM2's loader of frames calls Pillow's resize, whose default is bicubic.
_CUBIC = _pillow(Image.Resampling.BICUBIC)
PUBLISHED = ResizeSet(_pillow(Image.Resampling.LANCZOS), _CUBIC, _unrounded, _CUBIC)
