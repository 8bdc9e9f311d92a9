"""Reading of video with PyAV: what files and live streams share."""

import gc
import logging
import re
from abc import abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import numpy as np
from av.stream import Disposition

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.colour import RgbConverter
from samotion.runtime.sources.decoder import FALLBACK_FPS, DecodedFrame, Decoder
from samotion.runtime.sources.ffmpeg_log import errors_heard
from samotion.runtime.sources.source import Source, check_pixels
from samotion.runtime.values import Bytes

log = logging.getLogger(__name__)

# FFmpeg's readers of single files. Its others follow playlists, open what a text names, or draw text as a video.
DEMUXERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,mxf,nut,gif,apng,ivf,dv,wtv,gxf,rm,swf,yuv4mpegpipe,"
    "h261,h263,h264,hevc,vvc,av1,obu,m4v,mjpeg,vc1,dirac,dnxhd,cavsvideo,"
    "mp3,aac,flac,wav,aiff"  # known, so that "has no video in it" can be said
)
MOST_ESTIMATED = 10_000_000  # frames, four days at 30 a second: who states more is not believed
STATING = ("mov", "matroska", "webm", "avi", "flv", "asf")  # containers whose stated length is no estimate
PLAYLISTS = {b"#EXTM3U": "an HLS playlist", b"ffconcat": "an ffconcat list", b"v=0": "an SDP description"}
OVERSIZE = re.compile(r"Picture size (\d+)x(\d+) ")  # what FFmpeg says of a size beyond its max_pixels
MOST_LISTED = 8  # damaged frames named in one line


class DecodedSource(Source):
    """Frames that FFmpeg decodes: upright, without sound, pixels as they are stored.

    A damaged or lost frame is shown as the whole one before it; one warning at the end names them all.
    """

    def __init__(self, label: str, name: str, length: int | None, settings: Settings) -> None:
        super().__init__(label, name, length, settings)
        self._max_pixels = settings.max_pixels
        self._rate: Fraction | None = None
        self._decoder: Decoder | None = None
        self._stated: float | None = None
        self._first: float | None = None
        self._last: float | None = None

    @property
    def fps(self) -> Fraction:
        """Frames a second on average: as the container states them, else from the times so far, else 24."""
        if self._rate is not None:
            return self._rate
        if self._first is not None and self._last is not None and self._last > self._first:
            return Fraction((self.count - 1) / (self._last - self._first)).limit_denominator(1001)
        return FALLBACK_FPS

    @property
    def estimated(self) -> int | None:
        """How many frames are in the seconds that the container states, where nobody has counted them."""
        if self.length is not None or not self._stated:
            return self.expected
        frames = self._stated * float(self.fps) / self.stride
        return max(1, round(frames)) if frames < MOST_ESTIMATED else None

    def facts(self) -> dict[str, Any]:
        """Return what every source states, and when the first frame is shown, in seconds as the source has them."""
        return {**super().facts(), "start": self.playback.start}

    def read(self) -> Iterator[tuple[Bytes | None, float | None, str]]:
        """Yield every frame."""
        with self._open() as container:
            stream = video_stream(self.label, container, self._max_pixels)
            decoder = self._decoder = Decoder(container, stream, self._max_pixels)
            self._rate, self._stated = decoder.rate, stated_end(container, stream)
            colours = RgbConverter()
            for place, frame in enumerate(self._decoded(decoder)):
                if not place:
                    self._first = self.playback.start = frame.time
                    self.playback.aspect = pixel_aspect(stream, frame.picture)
                self._last = frame.time
                if frame.damaged:
                    self.damaged.append(self.count)
                image = None
                if self.is_kept(self.count):
                    image = turn(colours.convert(frame.picture), display_matrix(frame.picture))
                yield image, frame.time, f"frame {self.count}"
            if self._first is not None:
                self.playback.end = decoder.end - self._first

    @abstractmethod
    def _open(self) -> av.container.InputContainer:
        """Open the source; raises InputError."""

    def _decoded(self, decoder: Decoder) -> Iterator[DecodedFrame]:
        """Yield the frames, all of them."""
        yield from decoder.frames()

    def conclude(self) -> None:
        """Warn of damage, in one line, and let go of the decoder."""
        if self._decoder is not None and (found := [*self._damage(self._decoder), *self._cut(self._decoder)]):
            log.warning("%s: %s", self.label, "; ".join(found))
        self._decoder = None
        gc.collect()  # a container and its streams hold each other, and with them the decoder's pictures

    def _damage(self, decoder: Decoder) -> Iterator[str]:
        """Say in words which frames are not whole."""
        if decoder.lead:
            yield f"{decoder.lead} frames before its first keyframe cannot be decoded and are left out"
        if len(self.damaged) == 1:
            yield f"frame {self.damaged[0]} is damaged and shows the picture before it"
        elif self.damaged:
            more = len(self.damaged) - MOST_LISTED
            listed = ", ".join(map(str, self.damaged[:MOST_LISTED])) + (f" and {more} more" if more > 0 else "")
            yield f"frames {listed} are damaged and show the picture before them"

    def _cut(self, decoder: Decoder) -> Iterator[str]:
        """Say in words where the source ends early, by an error or before the length that it states."""
        stated, fps = None if self.stopped else self._stated, float(self.fps)
        if decoder.error is not None:
            yield f"it breaks off after {self.count} frames ({reason(decoder.error)})"
        elif stated is not None and max(decoder.sound_end * fps + 0.5, self.count) + 2 < stated * fps:
            yield f"it ends after {self.count} frames, before the {stated:.1f} s that it states"


def open_file(path: Path, max_pixels: int) -> av.container.InputContainer:
    """Open a video file; it reads no other file and no network, whatever it holds. Raises InputError."""
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS, "max_pixels": str(max_pixels)}
    with errors_heard() as errors:
        try:
            # An absolute path is never taken for a protocol, whatever colons the file's name has.
            container = av.open(str(path.resolve()), options=options, metadata_errors="ignore")
        except (av.FFmpegError, OSError, ValueError) as error:
            _check_told_size(path, errors, max_pixels)
            if kind := _playlist(path):
                raise InputError(f"{path}: {kind}, expected a video", "give the files that it names") from error
            raise InputError(f"{path}: not a video, or its index is missing ({reason(error)})") from error
    if any(stream.codec_context is not None and not stream.width for stream in container.streams.video):
        _check_told_size(path, errors, max_pixels)
    return container


def video_stream(label: str, container: av.container.InputContainer, max_pixels: int) -> av.VideoStream:
    """Return the stream of ``container`` to decode.

    Raises InputError, naming ``label``, where it has none, and where its frames are declared too large.
    """
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream) or stream.disposition & Disposition.attached_pic:
        raise InputError(f"{label}: has no video in it")
    tiles = [other for other in container.streams.video if other.disposition & Disposition.dependent]
    if tiles:
        raise InputError(
            f"{label}: one picture in {len(tiles)} tiles, expected a video",
            "install pillow-heif for HEIC, or convert it to PNG",
        )
    if stream.codec_context is None:
        raise InputError(f"{label}: FFmpeg has no decoder for its video")
    check_pixels(label, stream.width, stream.height, max_pixels)
    return stream


def stated_end(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """Return the seconds at which ``container`` says that it ends, None where it does not or only estimates."""
    if not set(container.format.name.split(",")) & set(STATING):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return None if container.duration is None else ((container.start_time or 0) + container.duration) / av.time_base


def pixel_aspect(stream: av.VideoStream, frame: av.VideoFrame) -> Fraction:
    """Return the width of a pixel over its height when the frame is upright, 1 where nothing is stated."""
    aspect = stream.sample_aspect_ratio
    if not aspect or aspect < 0:
        return Fraction(1)
    matrix = display_matrix(frame)
    return Fraction(1 / aspect if matrix and on_its_side(matrix) else aspect)


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """Return (a, b, c, d) of a frame's display matrix: x' = a·x + c·y, y' = b·x + d·y in 16.16 fixed point."""
    side_data: Any = frame.side_data  # PyAV's own types know of no more than motion vectors
    data = side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    matrix = np.frombuffer(bytes(data), np.int32)
    return int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])


def on_its_side(matrix: tuple[int, int, int, int]) -> bool:
    """Whether what ``matrix`` shows is turned by one or three quarters."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def turn(image: Bytes, matrix: tuple[int, int, int, int] | None) -> Bytes:
    """Return ``image`` (H, W, 3) as the matrix shows it: quarter turns and mirrors, the nearest of the eight."""
    if matrix is None:
        return image
    a, b, c, d = matrix
    if on_its_side(matrix):
        image, a, d = image.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def reason(error: Exception) -> str:
    """Return what FFmpeg says, without the address, which may hold a password."""
    return getattr(error, "strerror", None) or type(error).__name__


def _check_told_size(path: Path, errors: list[tuple[int, str, str]], max_pixels: int) -> None:
    """Raise InputError where FFmpeg reported a frame beyond ``max_pixels``: it withholds its size then."""
    for size in (OVERSIZE.search(text) for _, _, text in errors):
        if size is not None:
            check_pixels(str(path), int(size[1]), int(size[2]), max_pixels)


def _playlist(path: Path) -> str | None:
    """Return in words what kind of playlist a file is, None if none."""
    with path.open("rb") as file:
        begin = file.read(16).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((kind for mark, kind in PLAYLISTS.items() if begin.startswith(mark)), None)
