"""The overlay video: coloured masks, outlines and ids over the frames."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from samotion.runtime.palette import davis_palette
from samotion.runtime.values import Bool, Bytes, Clip

OPACITY = 0.45
CLOCK = Fraction(1, 90_000)  # seconds a tick, for clips whose frames are not evenly spaced
ENCODING = {"crf": "20", "preset": "veryfast"}
PALETTE = davis_palette()


def draw(frame: Bytes, labels: Bytes) -> Bytes:
    """Return ``frame`` (H, W, 3) RGB with the objects of ``labels`` (H, W) uint8 ids drawn on it."""
    mixed = cv2.addWeighted(frame, 1 - OPACITY, PALETTE[labels], OPACITY, 0)
    picture = frame.copy()
    cv2.copyTo(mixed, (labels > 0).astype(np.uint8), picture)
    ids = [int(identity) for identity in np.unique(labels) if identity]
    thickness = max(1, round(min(labels.shape) / 240))
    for identity in ids:
        edges, _ = cv2.findContours((labels == identity).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, edges, -1, _bright(identity), thickness, cv2.LINE_AA)
    for identity in ids:  # after every outline, so that none crosses a number
        _write_id(picture, labels == identity, str(identity))
    return picture


def write_overlay(path: Path, clip: Clip, labels_of: Callable[[int], Bytes]) -> None:
    """Write H.264 in yuv420p at the source's frame times, padded by a pixel where a side is odd.

    labels_of: frame index → (H, W) uint8 ids at the clip's frame size. Raises OSError where writing fails.
    """
    step = _even_step(clip)
    height, width = (side + side % 2 for side in clip.size)
    with av.open(str(path.resolve()), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=clip.fps / (step or 1), options=ENCODING)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = CLOCK if step is None else step / clip.fps
        ticks = np.arange(len(clip.frames)) if step else np.round(clip.times / float(CLOCK)).astype(np.int64)
        for index, picture in enumerate(clip.frames):
            drawn = _pad(draw(picture, labels_of(index)))
            frame = av.VideoFrame.from_ndarray(drawn, format="rgb24")
            frame.pts, frame.time_base = int(ticks[index]), stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _even_step(clip: Clip) -> int | None:
    """Return how many source frames lie between two frames, None where the frames are not evenly spaced."""
    if len(clip.times) < 2:
        return 1
    step = int(clip.source_index[1] - clip.source_index[0])
    even = np.arange(len(clip.times)) * step / float(clip.fps)
    # Containers round times to their own clock (a millisecond in Matroska): within half a frame is even.
    return step if np.abs(clip.times - even).max() < 0.5 / float(clip.fps) else None


def _pad(picture: Bytes) -> Bytes:
    """Return the picture with its last row and column repeated where the height or width is odd."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _bright(identity: int) -> tuple[int, int, int]:
    """Return an id's colour halfway to white: half the palette is too dark for an outline."""
    red, green, blue = ((int(value) + 255) // 2 for value in PALETTE[identity])
    return red, green, blue


def _write_id(picture: Bytes, mask: Bool, text: str) -> None:
    """Write ``text`` in white on a black plate inside ``mask``, kept within the picture."""
    height, width = mask.shape
    scale = max(0.4, min(height, width) / 500)
    thickness = max(1, round(2 * scale))
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    margin = max(2, high // 4)
    x, y = _anchor(mask)
    left = int(np.clip(x - wide // 2, margin, max(margin, width - wide - margin)))
    base = int(np.clip(y + high // 2, high + margin, max(high + margin, height - below - margin)))
    plate = (left - margin, base - high - margin), (left + wide + margin, base + margin)
    cv2.rectangle(picture, *plate, (0, 0, 0), cv2.FILLED)
    cv2.putText(picture, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)


def _anchor(mask: Bool) -> tuple[int, int]:
    """Return (x, y) inside ``mask``: the centroid, which moves smoothly, or else the point deepest inside."""
    rows, columns = np.nonzero(mask)
    x, y = round(float(columns.mean())), round(float(rows.mean()))
    if mask[y, x]:
        return x, y
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return int(column), int(row)
