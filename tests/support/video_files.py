"""Small real files for the tests of decoding, writing and the command line."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import av.container
import cv2
import numpy as np

from samotion.runtime.values import Bytes


def picture(height: int, width: int, shade: int = 0) -> Bytes:
    """Four coloured quarters, red top left, green top right, blue bottom left; ``shade`` tints the last."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2, 0] = 255
    image[: height // 2, width // 2 :, 1] = 255
    image[height // 2 :, : width // 2, 2] = 255
    image[height // 2 :, width // 2 :] = shade
    return image


def write_video(
    path: Path,
    frames: Sequence[Bytes],
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    fps: Fraction = Fraction(25),
    degrees: float | None = None,
    flip: bool = False,
    times: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    sound: str | None = None,
    group: int | None = None,
) -> Path:
    """Write RGB frames; times in seconds where uneven; options go to the container; sound: a codec, for silence.

    group: frames from one keyframe to the next.
    """
    height, width = frames[0].shape[:2]
    clock = Fraction(1, 90000)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = cast(av.VideoStream, container.add_stream(codec, rate=fps))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if group:
            stream.options = {"g": str(group), "sc_threshold": "0"}
        stream.codec_context.time_base = 1 / fps if times is None else clock
        if degrees is not None or flip:
            stream.set_display_rotation(degrees or 0, hflip=flip)
        audio = container.add_stream(sound, rate=8000 if sound == "aac" else 48000, layout="mono") if sound else None
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = index if times is None else round(times[index] / clock)
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            _write_silence(container, cast(av.AudioStream, audio), len(frames) / float(fps))
    return path


def _write_silence(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    codec = stream.codec_context
    codec.open(strict=False)
    size = codec.frame_size or 1024
    for begin in range(0, max(size, int(seconds * codec.rate)), size):
        frame = av.AudioFrame(format=codec.format.name, layout="mono", samples=size)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = codec.rate, begin
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_image(path: Path, image: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Path:
    """Write an image in OpenCV's channel order."""
    if not cv2.imwrite(str(path), np.asarray(image)):
        raise OSError(path)
    return path
