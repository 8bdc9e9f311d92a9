"""Sources without an end: cameras, network streams, and a pipe on standard input."""

import logging
import os
import re
import select
import sys
import time
from typing import BinaryIO
from urllib.parse import SplitResult, urlsplit

import av
import av.container

from samotion.engines.errors import InputError
from samotion.runtime.settings import Settings
from samotion.runtime.sources.files import DEMUXERS, DecodedSource, reason

log = logging.getLogger(__name__)

PIPE = "-"
CAMERA = re.compile(r"camera:(\d+)")
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# Over these frames come at their own pace; over the others a reader that is slow holds the sender up.
REAL_TIME = ("rtsp", "rtsps", "rtmp", "rtp", "srt", "udp")
WAITING = ("http", "https", "tcp")
ALLOWED = "rtsp,rtsps,rtmp,rtp,srtp,srt,udp,tcp,tls,http,https,httpproxy,crypto,data"  # never a file
SILENCE = 30.0  # seconds without a byte after which a stream or a pipe counts as ended
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
        raise InputError(f"{label}: max_frames needs a length, and a live source has none; omit it")
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
    """Frames that come until the source ends or is stopped."""

    endless = True


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
    """A video on standard input, in any format that can be read from its beginning; it ends where nothing comes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(PIPE, live_name(PIPE), None, settings)

    def _open(self) -> av.container.InputContainer:
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError(f"{PIPE}: nothing is piped into standard input")
        pipe = _Pipe(sys.stdin.buffer, self)
        # What is piped in names no other files: no protocol is open to it.
        options = {"protocol_whitelist": "data", "format_whitelist": DEMUXERS, "max_pixels": str(self._max_pixels)}
        try:
            return av.open(pipe, "r", options=options, metadata_errors="ignore")
        except (av.FFmpegError, OSError, ValueError) as error:
            if pipe.silent:
                raise InputError(f"{PIPE}: nothing came for {SILENCE:.0f} s") from error
            raise InputError(
                f"{PIPE}: not a video that can be read from a pipe ({_why(error)})", "send Matroska, MPEG-TS or y4m"
            ) from error


def options(scheme: str) -> dict[str, str]:
    """Return FFmpeg's options for one kind of address."""
    allowed = {"protocol_whitelist": ALLOWED}
    # Over UDP, FFmpeg's first choice, lost packets smear whole groups of frames.
    return allowed | {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else allowed


class _Pipe:
    """A pipe whose reading ends when its source is stopped or nothing comes for SILENCE; then ``silent`` is set."""

    def __init__(self, pipe: BinaryIO, source: LiveSource) -> None:
        self._descriptor = pipe.fileno()
        self._source = source
        self.silent = False

    def read(self, size: int) -> bytes:
        """Return what is there, at most ``size`` bytes; nothing at the end, once stopped, and after a silence."""
        until = time.monotonic() + SILENCE
        while not self._source.stopped:
            if sys.platform == "win32" or select.select([self._descriptor], [], [], LOOK)[0]:
                return os.read(self._descriptor, size)
            if time.monotonic() > until:
                self.silent = True
                if self._source.count:  # else it is an error
                    log.warning("%s: nothing came for %.0f s, so this is its end", PIPE, SILENCE)
                break
        return b""


def _parts(given: str) -> SplitResult:
    try:
        return urlsplit(given)
    except ValueError as error:
        raise InputError(f"{given.partition('://')[0]}://: no address can be made out ({error})") from error


def _why(error: Exception) -> str:
    """Return what FFmpeg says, without the address, which may hold a password."""
    return f"nothing came for {SILENCE:.0f} s" if isinstance(error, av.error.ExitError) else reason(error)
