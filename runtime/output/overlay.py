"""The overlay video: coloured masks, outlines and ids over the frames."""

import contextlib
import gc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from samotion.runtime.output.palette import davis_palette
from samotion.runtime.output.sound import Sound
from samotion.runtime.values import Bool, Bytes, Clip, Labels, Playback

OPACITY = 0.45
TICKS = 90_000  # a second, about: what MPEG streams use
MOST_TICKS = 1_000_000  # a second; beyond, a rate's fraction is noise
# With frames to look ahead at, x264 (in PyAV 18) reads memory that nobody has written: other bytes each time.
# With frames out of order, MP4 states a length that forgets how long the last one lasts.
ENCODING = {"crf": "20", "preset": "veryfast", "bf": "0", "x264-params": "rc-lookahead=0:sync-lookahead=0"}
PALETTE = davis_palette()


def draw(frame: Bytes, labels: Labels) -> Bytes:
    """Return ``frame`` (H, W, 3) RGB with the objects of ``labels`` (H, W) drawn on it; ids share 255 colours."""
    mixed = cv2.addWeighted(frame, 1 - OPACITY, PALETTE[_colour(labels)], OPACITY, 0)
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


class Overlay:
    """H.264 in yuv420p that plays as the source does, padded by a pixel where a side is odd; a context manager.

    Each frame is shown as long as in the source; pixels keep their aspect, colours are BT.709 and tagged so, the
    index comes first, and the source's sound is copied. first: a clip of the first frames, whose size and rate the
    video has. playback: what else is known of the source; its end is looked up last. Raises OSError where writing
    fails.
    """

    def __init__(self, path: Path, first: Clip, playback: Playback) -> None:
        self._fps = first.fps
        # Whole source frames are whole ticks, so that even times stay exact; others are rounded to a tick.
        whole = first.fps.numerator if first.fps.numerator <= MOST_TICKS else 1
        self._clock = Fraction(1, whole * max(1, round(TICKS / whole)))
        self._even = True
        self._held: av.VideoFrame | None = None  # until the next one tells how long it is shown
        self._playback = playback
        self._stride = int(first.source_index[1] - first.source_index[0]) if len(first.source_index) > 1 else 1
        self._reformatter = VideoReformatter()
        self._container = av.open(str(path.resolve()), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._add_stream(first)
        self._sound = None
        if playback.audio is not None:
            self._sound = Sound(playback.audio, self._container, playback.start or 0.0)

    def add(self, clip: Clip, labels_of: Callable[[int], Labels]) -> None:
        """Write the frames of ``clip``; labels_of: frame index → (H, W) ids at the clip's frame size."""
        for index, picture in enumerate(clip.frames):
            frame = av.VideoFrame.from_ndarray(_pad(draw(picture, labels_of(index))), format="rgb24")
            frame = self._reformatter.reformat(
                frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
            )
            wanted = self._tick_of(int(clip.source_index[index]), clip.times[index])
            if self._held is not None:
                wanted = max(wanted, (self._held.pts or 0) + 1)
                self._show(self._held, wanted)
            frame.pts, frame.time_base = wanted, self._clock
            self._held = frame

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
            else:
                with contextlib.suppress(OSError, av.FFmpegError):  # what went wrong first is what counts
                    self._container.close()
        finally:
            if self._sound is not None:
                self._sound.close()
            del self._container, self._stream, self._sound
            gc.collect()  # a container and its streams hold each other, and with them the encoder's threads

    def _add_stream(self, first: Clip) -> av.VideoStream:
        stream = self._container.add_stream("libx264", rate=first.fps / self._stride, options=ENCODING)
        height, width = (side + side % 2 for side in first.size)
        codec = stream.codec_context
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base, codec.sample_aspect_ratio = self._clock, self._playback.aspect
        codec.flags |= Flags.frame_duration
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return stream

    def _show(self, frame: av.VideoFrame, until: int) -> None:
        """Encode ``frame``, which is shown until a tick, and the sound up to there."""
        frame.duration = until - (frame.pts or 0)
        self._container.mux(self._stream.encode(frame))
        if self._sound is not None:
            self._sound.write_until(float(until * self._clock))

    def _finish(self) -> None:
        if self._held is not None:
            begin = self._held.pts or 0
            end = -1 if self._playback.end is None else round(self._playback.end / self._clock)
            self._show(self._held, end if end > begin else begin + round(self._stride / self._fps / self._clock))
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _tick_of(self, source: int, seconds: float) -> int:
        """Return the tick of a frame: source frame by source frame, from where that is wrong by its own time."""
        even = source / self._fps
        # Containers round times to their own clock (a millisecond in Matroska): within half a frame is even.
        self._even = self._even and abs(seconds - float(even)) < 0.5 / float(self._fps)
        return round((even if self._even else Fraction(seconds)) / self._clock)


def _pad(picture: Bytes) -> Bytes:
    """Return the picture with its last row and column repeated where the height or width is odd."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _colour(labels: Labels) -> Labels:
    """Return the palette's entry of each id: 256 has the colour of 1 again, and 0 stays for the background."""
    return labels if labels.dtype == np.uint8 else np.where(labels > 0, (labels - 1) % 255 + 1, 0).astype(np.uint8)


def _bright(identity: int) -> tuple[int, int, int]:
    """Return an id's colour halfway to white: half the palette is too dark for an outline."""
    red, green, blue = ((int(value) + 255) // 2 for value in PALETTE[(identity - 1) % 255 + 1])
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
