"""Decoded frames as RGB for a standard screen; high dynamic range is tone-mapped."""

from functools import cache

import av
import cv2
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from numpy.typing import NDArray

from samotion.runtime.values import Bytes, Float

WHITE = 203.0  # candela a square metre: diffuse white of HDR video, ITU-R BT.2408
HLG_PEAK = 1000.0  # candela a square metre: the screen that HLG's system gamma of 1.2 is made for, BT.2100
LEVELS = 65_536
ROWS = 128  # converted at a time, so that a large frame needs little memory
# Linear BT.2020 to BT.709, ITU-R BT.2087.
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


class RgbConverter:
    """Converts the frames of one stream."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # a frame's own would start threads for each frame

    def convert(self, frame: av.VideoFrame) -> Bytes:
        """Return a frame (H, W, 3) uint8; of PQ and HLG diffuse white is 255, and what is brighter is clipped."""
        if frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
            wide = self._reformatter.reformat(frame, format="rgb48le", threads=1).to_ndarray()
            return _tone_mapped(
                np.asarray(wide, np.uint16), frame.color_trc, frame.color_primaries != ColorPrimaries.BT709
            )
        return np.asarray(self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8)


def _tone_mapped(wide: NDArray[np.uint16], transfer: int, bt2020: bool) -> Bytes:
    """Return (H, W, 3) uint8 of 16-bit values coded by ``transfer``."""
    picture = np.empty(wide.shape, np.uint8)
    to_light, to_code = light_of(transfer), _code_of_light()
    for row in range(0, len(wide), ROWS):
        light = to_light[wide[row : row + ROWS]]
        light = np.asarray(cv2.transform(light, TO_BT709), np.float32) if bt2020 else light
        picture[row : row + ROWS] = to_code[np.rint(np.clip(light, 0, 1) * (LEVELS - 1)).astype(np.uint16)]
    return picture


@cache
def light_of(transfer: int) -> Float:
    """Return the linear light of each 16-bit code, 1 being diffuse white; PQ and HLG, ITU-R BT.2100."""
    code = np.linspace(0, 1, LEVELS)
    if transfer == ColorTrc.SMPTE2084:
        power = code ** (32 / 2523)
        light = 10_000 * (np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)) ** (8192 / 1305)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = HLG_PEAK * scene**1.2
    return np.asarray(light / WHITE, np.float32)


@cache
def _code_of_light() -> Bytes:
    """Return the 8-bit code of each of LEVELS linear values, by the gamma of 2.4 of ITU-R BT.1886."""
    return np.rint(255 * np.linspace(0, 1, LEVELS) ** (1 / 2.4)).astype(np.uint8)
