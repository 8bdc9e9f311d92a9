"""Sources without an end: cameras, network streams, and a pipe on standard input."""

import logging
import os
import re
import select
import sys
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

import av
import av.container

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.files import DecodedSource

log = logging.getLogger(__name__)

PIPE = "-"
CAMERA = re.compile(r"camera:(\d+)")
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# Over these frames come at their own pace; over the others a reader that is slow holds the sender up.
REAL_TIME = ("rtsp", "rtsps", "rtmp", "rtp", "srt", "udp")
WAITING = ("http", "https", "tcp")
ALLOWED = "rtsp,rtsps,rtmp,rtp,srtp,srt,udp,tcp,tls,http,https,httpproxy,crypto,data"  # never a file
SILENCE = 10.0  # seconds without a frame after which a stream counts as ended
LOOK = 0.2  # seconds between two looks at whether a silent pipe was stopped


def is_live(given: str) -> bool:
    """Whether ``given`` names a live source; a file of such a name is given as ``./NAME``."""
    return given == PIPE or bool(CAMERA.fullmatch(given) or ADDRESS.match(given))


def live_name(given: str) -> str:
    """Return what a live source is called in the output: stdin, camera-0, or the end of its address."""
    if given == PIPE:
        return "stdin"
    if match := CAMERA.fullmatch(given):
        return f"camera-{match[1]}"
    parts = _parts(given)
    last = parts.path.rstrip("/").rpartition("/")[2].partition(".")[0]
    name = last or f"{parts.scheme} {parts.netloc.rpartition('@')[2]}"
    return re.sub(r"[^\w.-]+", "-", name).strip("-_. ") or "live"


def public(given: str) -> str:
    """Return an address without its password, its user and its query, which may hold secrets too."""
    parts = _parts(given)
    if not parts.netloc:
        return given
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def open_live(given: str, settings: Settings) -> "LiveSource":
    """Return the live source that ``given`` names.

    Raises InputError for a kind that is not read, and where settings ask for what only an end can tell.
    """
    label = public(given)
    if settings.max_frames is not None:
        raise InputError(f"{label}: max_frames needs a length, which a live source has not; leave it away")
    if given == PIPE:
        return PipeSource(settings)
    if not settings.window:
        raise InputError(f"{label}: a live source is worked on window by window; give --window a length")
    if match := CAMERA.fullmatch(given):
        if not sys.platform.startswith("linux"):
            raise InputError(f"{label}: cameras are read through Video4Linux, which is only on Linux")
        return StreamSource(f"/dev/video{match[1]}", label, live_name(given), settings, "v4l2")
    scheme = _parts(given).scheme
    if scheme not in REAL_TIME + WAITING:
        raise InputError(
            f"{label}: {scheme} is no kind of stream read here; known are {' '.join(REAL_TIME + WAITING)}"
        )
    return StreamSource(given, label, live_name(given), settings)


class LiveSource(DecodedSource):
    """Frames that come until the source ends or is stopped; what is damaged on the way is left out and told."""

    endless = True

    def _decoded(self, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
        damaged = 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                log.warning("%s broke off after %d frames (%s)", self.label, self.count, _why(error))
                break
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame) and not frame.is_corrupt:
                    yield frame
                else:
                    damaged += 1
        if damaged:
            log.warning("%s: %d damaged frames were left out", self.label, damaged)


class StreamSource(LiveSource):
    """A camera or a network stream. address: as FFmpeg opens it; kind: the format that it has, if not its own."""

    def __init__(self, address: str, label: str, name: str, settings: Settings, kind: str | None = None) -> None:
        super().__init__(label, name, None, settings)
        self.real_time = kind is not None or _parts(address).scheme in REAL_TIME
        self._address = address
        self._kind = kind

    def _open(self) -> av.container.InputContainer:
        try:
            return av.open(
                self._address,
                format=self._kind,
                options={} if self._kind else options(_parts(self._address).scheme),
                metadata_errors="ignore",
                timeout=SILENCE,
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self.label}: cannot be opened ({_why(error)})") from error


class PipeSource(LiveSource):
    """A video on standard input, in any format that can be read from its beginning."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(PIPE, live_name(PIPE), None, settings)

    def _open(self) -> av.container.InputContainer:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError(f"{PIPE}: nothing is piped into standard input")
        try:
            return av.open(_Pipe(sys.stdin.buffer, self), "r", options=LOCAL_PIPE, metadata_errors="ignore")
        except (av.FFmpegError, OSError) as error:
            raise InputError(
                f"{PIPE}: not a video that can be read from a pipe ({_why(error)}); send Matroska, MPEG-TS or y4m"
            ) from error


LOCAL_PIPE = {"protocol_whitelist": "crypto,data"}  # what is piped in must not name other files


def options(scheme: str) -> dict[str, str]:
    """Return FFmpeg's options for one kind of address."""
    allowed = {"protocol_whitelist": ALLOWED}
    # Over UDP, FFmpeg's first choice, lost packets smear whole groups of frames.
    return allowed | {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else allowed


class _Pipe:
    """A pipe whose reading ends when its source is stopped, even while nothing comes."""

    def __init__(self, pipe: BinaryIO, source: LiveSource) -> None:
        self._descriptor = pipe.fileno()
        self._source = source

    def read(self, size: int) -> bytes:
        """Return what is there, at most ``size`` bytes; nothing at the end or once stopped."""
        while not self._source.stopped:
            if sys.platform == "win32" or select.select([self._descriptor], [], [], LOOK)[0]:
                return os.read(self._descriptor, size)
        return b""


def _parts(given: str) -> SplitResult:
    try:
        return urlsplit(given)
    except ValueError as error:
        raise InputError(f"{given.partition('://')[0]}://: no address can be made out ({error})") from error


def _why(error: Exception) -> str:
    """Return what FFmpeg says, without the address, which may hold a password."""
    if isinstance(error, av.error.ExitError):
        return f"nothing came for {SILENCE:.0f} s"
    return getattr(error, "strerror", None) or type(error).__name__
