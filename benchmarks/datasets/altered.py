"""Labelled clips as other cameras and other hands would have left them: what should change no answer."""

import io
from collections.abc import Callable, Mapping

import av
import cv2
import numpy as np

from samotion.runtime.values import Bytes

LEAD = 10  # black frames before the clip
CRF = 35  # of H.264, where 23 is usual
HUE = 60  # of OpenCV's 180: reds become greens

# Frames (T, H, W, 3) uint8 RGB and ids (T, H, W) → those altered; ids have no more frames than frames do, and belong
# to the last of them.
Change = Callable[[Bytes, Bytes], tuple[Bytes, Bytes]]


def _reversed(frames: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    return np.ascontiguousarray(frames[::-1]), labels[::-1]


def _half_size(frames: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    size = frames.shape[2] // 2, frames.shape[1] // 2
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
    ids = np.stack([cv2.resize(label, size, interpolation=cv2.INTER_NEAREST_EXACT) for label in labels])
    return small.astype(np.uint8), ids.astype(np.uint8)


def _half_rate(frames: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    return np.ascontiguousarray(frames[::2]), labels[::2]


def _compressed(frames: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    height, width = (side // 2 * 2 for side in frames.shape[1:3])  # H.264 takes even sides only
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(CRF)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames[:, :height, :width]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file, "r") as written:
        decoded = [frame.to_ndarray(format="rgb24") for frame in written.decode(video=0)]
    return np.stack(decoded).astype(np.uint8), labels[:, :height, :width]


def _hue(frames: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    out = []
    for frame in frames:
        colour = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
        colour[..., 0] = (colour[..., 0].astype(np.int64) + HUE) % 180
        out.append(cv2.cvtColor(colour, cv2.COLOR_HSV2RGB))
    return np.stack(out).astype(np.uint8), labels


def _black_lead(frames: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    return np.concatenate([np.zeros_like(frames[:1]).repeat(LEAD, 0), frames]), labels


CHANGES: Mapping[str, Change] = {
    "as it is": lambda frames, labels: (frames, labels),
    "reversed": _reversed,
    "half size": _half_size,
    "half rate": _half_rate,
    f"crf {CRF}": _compressed,
    "hue": _hue,
    "black lead-in": _black_lead,
}
