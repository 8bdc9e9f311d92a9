"""Painting placed layers into a frame, far to near, with the map of which layer owns each pixel."""

import cv2
import numpy as np
from numpy.typing import NDArray

from samotion.calibration.scenes.camera import Double
from samotion.calibration.scenes.layers import OWNS, Placed, project
from samotion.runtime.values import Bytes, Float

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two exclusive


def _bounds(placed: Placed, frame: int, height: int, width: int) -> Box | None:
    """Return the pixels a cut-out may touch, None if there are none."""
    if not placed.present[frame]:
        return None
    x, y, _ = project(placed.matrix[frame], placed.box[:, 0], placed.box[:, 1])
    left, top = max(0, int(np.floor(x.min()))), max(0, int(np.floor(y.min())))
    right, bottom = min(width, int(np.ceil(x.max())) + 1), min(height, int(np.ceil(y.max())) + 1)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _density(inverse: Double, x: float, y: float) -> float:
    """Return how many texture pixels one image pixel at (x, y) spans."""
    step = np.array([[x, y], [x + 1, y], [x, y + 1]])
    px, py, _ = project(inverse, step[:, 0], step[:, 1])
    area = (px[1] - px[0]) * (py[2] - py[0]) - (px[2] - px[0]) * (py[1] - py[0])
    return float(np.sqrt(abs(area)))


def _warp(placed: Placed, frame: int, box: Box, level: int) -> Bytes:
    """Return the layer's pixels within ``box``, from its texture halved ``level`` times."""
    left, top, right, bottom = box
    source = placed.level(level)
    scale = np.diag([0.5**level, 0.5**level, 1.0])
    offset = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    size = (right - left, bottom - top)
    border = cv2.BORDER_REFLECT_101 if placed.layer.endless else cv2.BORDER_CONSTANT
    inverse = placed.inverse[frame] @ offset
    if placed.layer.wobble is None:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpPerspective(source, scale @ inverse, size, flags=flags, borderMode=border))
    x, y = np.arange(size[0], dtype=float), np.arange(size[1], dtype=float)[:, None]
    px, py, _ = project(inverse, x, y)
    px, py = placed.layer.wobble.unbend(px, py, placed.times[frame])
    maps = [(p * 0.5**level).astype(np.float32) for p in (px, py)]
    return np.asarray(cv2.remap(source, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=border))


def _over(canvas: Bytes, patch: Bytes) -> None:
    """Composite a premultiplied ``patch`` (h, w, 4) over ``canvas`` (h, w, 3) in place."""
    keep = 255 - patch[..., 3:].astype(np.uint16)
    mixed = canvas * keep
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    mixed += patch[..., :3]
    canvas[:] = np.minimum(mixed, 255)


def disparity_plane(placed: Placed, frame: int, box: Box) -> Float:
    """Return the layer's disparity at the pixels of ``box``."""
    a, b, c = placed.inverse[frame][2]
    rows = np.arange(box[1], box[3], dtype=np.float32)[:, None]
    return np.asarray(rows * np.float32(b) + (np.arange(box[0], box[2]) * a + c).astype(np.float32))


def _paint_sheet(placed: Placed, frame: int, index: int, canvas: Bytes, owner: Bytes) -> None:
    height, width = owner.shape
    corners = disparity_plane(placed, frame, (0, 0, width, height))[:: height - 1, :: width - 1]
    if corners.max() <= placed.layer.reach:
        return
    if corners.min() > placed.layer.reach:
        level = _level(placed, frame, width / 2, height / 2)
        canvas[:] = _warp(placed, frame, (0, 0, width, height), level)
        owner[:] = index
        return
    near = disparity_plane(placed, frame, (0, 0, width, height)) - placed.layer.reach
    rows = np.flatnonzero(near.max(1) > 0)
    box = (0, int(rows[0]), width, int(rows[-1]) + 1)
    near = near[box[1] : box[3]]
    fine, coarse = _warp(placed, frame, box, 0), _warp(placed, frame, box, 2)
    # Far ground is minified: blend to the coarse texture, without which it would flicker.
    a, b, _ = placed.inverse[frame][2]
    edge = np.clip(near / max(float(np.hypot(a, b)), 1e-9) + 0.5, 0, 1)
    sharp = np.clip((near / placed.layer.reach - 0.3) / 1.5, 0, 1)
    colour = coarse + (fine.astype(np.float32) - coarse) * sharp[..., None]
    part = canvas[box[1] : box[3]]
    part[:] = part + (colour - part) * edge[..., None] + 0.5
    owner[box[1] : box[3]][near > 0] = index


def _level(placed: Placed, frame: int, x: float, y: float) -> int:
    density = _density(placed.inverse[frame], x, y)
    return int(np.clip(np.floor(np.log2(max(density, 1e-6)) + 0.35), 0, 4))


def paint(placed: list[Placed], frame: int, height: int, width: int) -> tuple[Bytes, Bytes]:
    """Return the frame (height, width, 3) and each pixel's owner (height, width), an index into ``placed``."""
    canvas = np.zeros((height, width, 3), np.uint8)
    owner = np.zeros((height, width), np.uint8)
    for index in stacking(placed)[frame]:
        layer = placed[index]
        if layer.layer.endless:
            _paint_sheet(layer, frame, int(index), canvas, owner)
            continue
        box = _bounds(layer, frame, height, width)
        if box is None:
            continue
        level = _level(layer, frame, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        patch = _warp(layer, frame, box, level)
        window = slice(box[1], box[3]), slice(box[0], box[2])
        _over(canvas[window], patch)
        owner[window][patch[..., 3] > OWNS] = index
    return canvas, owner


def stacking(placed: list[Placed]) -> NDArray[np.int64]:
    """Return for each time the indices of the layers from far to near (T, L); ties keep their order."""
    depth = np.stack([p.depth for p in placed], 1)
    return np.argsort(-depth, axis=1, kind="stable")


def disparity(placed: list[Placed], frame: int, owner: Bytes) -> Float:
    """Return the disparity (H, W) of the layers that own the pixels."""
    planes = np.stack([p.inverse[frame][2] for p in placed]).astype(np.float32)
    height, width = owner.shape
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(planes[owner, 0] * x + planes[owner, 1] * y + planes[owner, 2])
