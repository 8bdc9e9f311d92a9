"""NumPy twins of the kernels that do what no function of the runtime does in just that arithmetic.

Every float32 operation rounds by itself and in the order written, on any processor; OpenCV's own answers depend on
which of its ways it takes (docs/kernels.md says where and by how much).
"""

import numpy as np

from samotion.runtime.kernels import resizing, tables
from samotion.runtime.values import Bool, Bytes, Float


def enlarged_masks(logits: Float, height: int, width: int) -> Bool:
    """Return masks (K, H, W): where logits (K, h, w), resized bilinearly, are above 0 (cv2.resize, INTER_LINEAR)."""
    columns, across = tables.linear(logits.shape[2], width)
    rows, down = tables.linear(logits.shape[1], height, sides=False)
    wide = logits[..., columns[:, 0]] * across[:, 0] + logits[..., columns[:, 1]] * across[:, 1]
    upper, lower = wide[:, rows[:, 0]], wide[:, rows[:, 1]]
    enlarged: Bool = upper * down[:, :1] + lower * down[:, 1:] > 0
    return enlarged


def planes(frame: Bytes, made: resizing.Recipe) -> Float:
    """Return (3, h, w) float32 of a frame (H, W, 3): resized by one of resizing.cu's rules, looked up, in planes."""
    pixels = frame[made.down[0][:, :, None, None], made.across[0][None, None]]  # (h, rows, w, columns, 3)
    across, down = made.across[1][..., None], made.down[1][:, :, None, None]
    if made.rule == resizing.UNROUNDED:
        offset, deviation = made.levels.T
        return np.ascontiguousarray(((_weighted(pixels, across, down) - offset) / deviation).transpose(2, 0, 1))
    if made.rule == resizing.AREA:
        levels = _rounded(_weighted(pixels, across, down))
    elif made.rule == resizing.MEAN_OF:
        sums = pixels.sum(axis=(1, 3), dtype=np.int32)
        taps = pixels.shape[1] * pixels.shape[3]
        twofold = pixels.shape[1] == pixels.shape[3] == 2
        levels = (
            (sums + 2) >> 2 if twofold else _rounded(sums.astype(np.float32) * (np.float32(1) / np.float32(taps)))
        )
    elif made.rule == resizing.PILLOW:
        half = 1 << (tables.PILLOW_BITS - 1)
        rows = np.clip(((pixels * across).sum(axis=3) + half) >> tables.PILLOW_BITS, 0, 255)
        levels = np.clip(((rows * down).sum(axis=1) + half) >> tables.PILLOW_BITS, 0, 255)
    else:
        rows = (pixels * across).sum(axis=3)
        levels = _by_cubic(rows, down) if made.rule == resizing.CUBIC else _by_linear(rows, down)
    return np.stack([table[levels[..., channel]] for channel, table in enumerate(made.levels)])


def _weighted(pixels: Bytes, across: Float, down: Float) -> Float:
    """Return the weighted sums of pixels (h, rows, w, columns, 3), added one after the other."""
    total = np.zeros((pixels.shape[0], *pixels.shape[2::2]), np.float32)
    for r in range(pixels.shape[1]):
        row = np.zeros_like(total)
        for c in range(pixels.shape[3]):
            row = row + pixels[:, r, :, c].astype(np.float32) * across[:, c]
        total = total + row * down[:, r]
    return total


def _rounded(values: Float) -> Bytes:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _by_linear(rows: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", down: tables.Index) -> Bytes:
    parts = [(down[:, r] * (rows[:, r] >> 4)) >> 16 for r in range(2)]
    return ((parts[0] + parts[1] + 2) >> 2).astype(np.uint8)


def _by_cubic(rows: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", down: tables.Index) -> Bytes:
    weights = down.astype(np.float32) * np.float32(1 / (tables.FIXED * tables.FIXED))
    parts = [rows[:, r].astype(np.float32) * weights[:, r] for r in range(4)]
    return _rounded(parts[0] + (parts[1] + (parts[2] + parts[3])))
