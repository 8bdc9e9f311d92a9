"""The frames of a report as a small H.264 video, frame n being shown at n / rate, with its depth below it.

One video holds both, so that depth is always that of the frame, and a browser decodes one video.
"""

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from samotion.runtime.output.overlay import ENCODING
from samotion.runtime.values import Bytes

KEY_EVERY = 12  # frames, at most so many are decoded to jump to one
FRAME_BITS = 160_000  # at most, on average: 300 frames are under 7 MB whatever they show
SAVED_FRAMES = 25  # whose bits a frame may take at once, such as the first; by frames, as rates may be very low
OPTIONS = {**ENCODING, "crf": "27", "g": str(KEY_EVERY)}


class Film:
    """Writes frame after frame, of ``size`` (height, width), both even. Raises OSError where writing fails."""

    def __init__(self, path: Path, rate: Fraction, size: tuple[int, int]) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        limits = {"maxrate": str(round(FRAME_BITS * rate)), "bufsize": str(FRAME_BITS * SAVED_FRAMES)}
        self._stream = self._container.add_stream("libx264", rate=rate, options=OPTIONS | limits)
        self._stream.height, self._stream.width = 2 * size[0], size[1]
        self._stream.pix_fmt = "yuv420p"
        self._time_base = 1 / rate
        self._count = 0

    def add(self, picture: Bytes, depth: Bytes) -> None:
        """Write the next frame: its picture and its depth, both (H, W, 3) RGB."""
        frame = av.VideoFrame.from_ndarray(np.concatenate([picture, depth]), format="rgb24")
        frame.pts, frame.time_base = self._count, self._time_base
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what the encoder still holds, and close."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def close(self) -> None:
        """Close, also after a failure; the file is then of no use."""
        with contextlib.suppress(OSError, av.FFmpegError):  # what went wrong first is what counts
            self._container.close()
