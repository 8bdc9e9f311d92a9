"""Decoding of video files with PyAV: any container, upright, timed, up to the first damage."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np
from numpy.typing import NDArray

from samotion.engines.errors import InputError
from samotion.runtime.frames import FrameStore, stride_for
from samotion.runtime.settings import Settings
from samotion.runtime.values import Bytes, Clip

log = logging.getLogger(__name__)

FALLBACK_FPS = Fraction(24)
MAX_FPS = 1000  # beyond it a container's rate is its clock, not a frame rate
LOCAL_ONLY = {"protocol_whitelist": "file,crypto,data"}  # a playlist must not reach out to the network


def read_video(path: Path, name: str, settings: Settings) -> Clip:
    """Return the frames of a video file, strided and shrunk as ``settings`` say.

    Rotation and mirroring of the display matrix are applied; audio is ignored; pixels count as square. A
    damaged file gives the frames before the damage and logs a warning. Raises InputError if none decodes.
    """
    expected = _count_packets(path)
    stride = stride_for(expected, settings)
    store = FrameStore(str(path), -(-expected // stride), settings)
    times: list[float | None] = []
    with _open(path) as container:
        stream = _video_stream(path, container)
        for index, frame in enumerate(_frames(path, container, stream)):
            times.append(frame.time)
            if index % stride == 0:
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                store.add(turn(image, display_matrix(frame)), f"frame {index}")
        if store.size is None:
            raise InputError(f"{path}: no frame of it can be decoded")
        fps = _rate(stream, times)
        _warn_if_short(path, stream, times, fps)
    seconds = _seconds(times, fps)
    kept = np.arange(store.count, dtype=np.int64) * stride
    again = stride_for(store.count, settings)  # more frames than packets: rare, but the limit holds
    return Clip(
        name=name,
        frames=store.frames()[::again],
        fps=fps,
        source_size=store.size,
        source_index=kept[::again],
        source_count=len(times),
        times=seconds[kept][::again],
    )


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """Return (a, b, c, d) of a frame's display matrix: x' = a·x + c·y, y' = b·x + d·y in 16.16 fixed point."""
    side_data: Any = frame.side_data  # PyAV's own types know of no more than motion vectors
    data = side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    matrix = np.frombuffer(bytes(data), np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


def turn(image: Bytes, matrix: tuple[int, int, int, int] | None) -> Bytes:
    """Return ``image`` (H, W, 3) as the matrix shows it: quarter turns and mirrors, the nearest of the eight."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    if abs(b) + abs(c) > abs(a) + abs(d):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def _open(path: Path) -> av.container.InputContainer:
    try:
        # An absolute path is never taken for a protocol, whatever colons the file's name has.
        return av.open(str(path.resolve()), options=LOCAL_ONLY, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a video, or its index is missing ({why})") from error


def _video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    stream = container.streams.best("video")
    # FFmpeg draws any .txt file as terminal art.
    if not isinstance(stream, av.VideoStream) or container.format.name == "tty":
        raise InputError(f"{path}: has no video in it")
    if stream.codec_context is None:
        raise InputError(f"{path}: FFmpeg has no decoder for its video")
    stream.thread_type = "AUTO"
    return stream


def _count_packets(path: Path) -> int:
    """Return how many frames are stored, without decoding: containers' own counts are often absent."""
    count = 0
    with _open(path) as container:
        try:
            for packet in container.demux(_video_stream(path, container)):
                count += packet.size > 0 and not packet.is_discard
        except av.FFmpegError:
            pass  # decoding meets the same damage and reports it
    return count


def _frames(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield decoded frames up to the first damage, which is logged."""
    count = 0
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt and count:
                break
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame) and not frame.is_corrupt:
                    count += 1
                    yield frame
        else:
            return
    except av.FFmpegError:
        pass
    for frame in _flush(stream):
        count += 1
        yield frame
    if count:
        log.warning("%s is damaged: only the %d frames before the damage are used", path, count)


def _flush(stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    """Yield the whole frames that the decoder still holds after a failure."""
    try:
        for frame in stream.decode(None):
            if not frame.is_corrupt:
                yield frame
    except av.FFmpegError:
        return


def _rate(stream: av.VideoStream, times: list[float | None]) -> Fraction:
    """Return the average frames a second: as the container states it, else from the times, else 24."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= MAX_FPS:
            return Fraction(rate)
    first, last = times[0], times[-1]
    if first is not None and last is not None and last > first:
        return Fraction((len(times) - 1) / (last - first)).limit_denominator(1001)
    return FALLBACK_FPS


def _seconds(times: list[float | None], fps: Fraction) -> NDArray[np.float64]:
    """Return seconds from the first frame; even steps where the stream's own times are absent or go back."""
    stated = np.array([np.nan if time is None else time for time in times], np.float64)
    stated -= stated[0]
    if np.isnan(stated).any() or (np.diff(stated) <= 0).any():
        return np.arange(len(times)) / float(fps)
    return stated


def _warn_if_short(path: Path, stream: av.VideoStream, times: list[float | None], fps: Fraction) -> None:
    """Log where the file ends well before the length that it states: truncation can go without an error."""
    last = times[-1]
    if stream.duration is None or stream.time_base is None or last is None:
        return
    stated = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    if last + 2.5 / float(fps) < stated and (len(times) + 2) / float(fps) < stated:
        log.warning("%s ends after %d frames, before the %.1f s it states", path, len(times), stated)
