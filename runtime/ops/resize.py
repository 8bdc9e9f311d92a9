"""How frames are resized for each network: our choice, fast, or exactly as the published system does."""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from samotion.runtime.kernels.resizing import Network, ResizeSet
from samotion.runtime.ops.preprocess import normalised, resized, signed
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Float


def resize_set(settings: Settings) -> ResizeSet:
    """Return how the settings want frames resized."""
    return ResizeSet.PUBLISHED if settings.published_resizing else ResizeSet.OURS


def resized_for(network: Network, resize: ResizeSet, frames: Bytes, size: tuple[int, int]) -> Bytes | Float:
    """Return frames (T, H, W, 3) uint8 resized for a network to (T, *size, 3) of levels 0 to 255.

    size: (height, width). The published set leaves the levels of semantics unrounded, float32.
    """
    return _RESIZES[resize][network](frames, *size)


def network_input(network: Network, resize: ResizeSet, frames: Bytes, size: tuple[int, int]) -> Float:
    """Return frames (T, H, W, 3) uint8 as a network's input (T, 3, *size) float32."""
    levels = resized_for(network, resize, frames, size)
    return signed(levels) if network == "tracker" else normalised(levels)


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


# run_tapir.py of the published system resizes by mediapy, which takes Pillow's Lanczos; Depth-Anything's image
# processor in transformers takes Pillow's bicubic; dino_feat.py resizes tensors of floats by torchvision, bilinear,
# and always up; SAM2's loader of frames calls Pillow's resize, whose default is bicubic.
_RESIZES: dict[ResizeSet, dict[Network, Callable[[Bytes, int, int], Bytes | Float]]] = {
    ResizeSet.OURS: {
        "tracker": _opencv(cv2.INTER_AREA),
        "depth": _opencv(cv2.INTER_CUBIC),
        "semantics": _opencv(cv2.INTER_LINEAR),
        "masks": _opencv(cv2.INTER_AREA),
    },
    ResizeSet.PUBLISHED: {
        "tracker": _pillow(Image.Resampling.LANCZOS),
        "depth": _pillow(Image.Resampling.BICUBIC),
        "semantics": _unrounded,
        "masks": _pillow(Image.Resampling.BICUBIC),
    },
}
