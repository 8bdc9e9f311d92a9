"""The colours of object ids: the PASCAL VOC bit pattern, which DAVIS uses too."""

import numpy as np

from samotion.runtime.values import Bytes


def davis_palette() -> Bytes:
    """Return (256, 3) uint8 RGB: bits 0, 1, 2 of an id are the top bits of R, G, B, bits 3, 4, 5 the next."""
    colours = np.zeros((256, 3), np.uint8)
    for identity in range(256):
        for bit in range(8):
            colours[identity, bit % 3] |= (identity >> bit & 1) << (7 - bit // 3)
    return colours
