"""Where reading of a video file can begin: the keyframes before each frame, from the packets, without decoding."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av

from samotion.runtime.sources.files import open_file, video_stream

NO_TIMES = "its packets state no times"
UNORDERED = "the times of its packets are not in order"
DAMAGED = "it is damaged"
NO_KEYFRAME = "it does not begin with a keyframe"


@dataclass(frozen=True)
class Seek:
    """A place to begin: ``timestamp`` of a keyframe, in ticks; the first frame wanted is shown at ``seconds``."""

    timestamp: int
    seconds: float


class PacketIndex:
    """The packets of a video file.

    count: how many frames are stored. trouble: why no frame can be found by its number without decoding all frames
    before it, None where it can. Raises InputError.
    """

    def __init__(self, path: Path, max_pixels: int) -> None:
        self.count = 0
        self._shown: list[int] = []
        self._keys: list[tuple[int, int]] = []  # (shown, decoded)
        decoded: list[int] = []
        reasons = []
        with open_file(path, max_pixels) as container:
            stream = video_stream(str(path), container, max_pixels)
            self._clock = stream.time_base
            try:
                for packet in container.demux(stream):
                    if not packet.size or packet.is_discard:
                        continue
                    if packet.is_corrupt:
                        reasons.append(DAMAGED)
                    if not self.count and not packet.is_keyframe:
                        reasons.append(NO_KEYFRAME)
                    self.count += 1
                    if packet.pts is None or packet.dts is None:
                        reasons.append(NO_TIMES)
                        continue
                    self._shown.append(packet.pts)
                    decoded.append(packet.dts)
                    if packet.is_keyframe:
                        self._keys.append((packet.pts, min(packet.pts, packet.dts)))
            except (av.FFmpegError, OSError):
                reasons.append(DAMAGED)
        if any(after <= before for before, after in pairwise(decoded)) or len(set(self._shown)) < len(self._shown):
            reasons.append(UNORDERED)
        if self._clock is None:
            reasons.append(NO_TIMES)
        self.trouble = reasons[0] if reasons else None
        self._shown.sort()
        self._keys.sort()

    def seek(self, frame: int) -> Seek | None:
        """Return where to begin for the frame of that number, None for the file's beginning."""
        if self.trouble or not 0 < frame < len(self._shown):
            return None
        assert self._clock is not None
        shown = self._shown[frame]
        at = bisect_right(self._keys, (shown, shown)) - 1
        return Seek(self._keys[at][1], float(shown * self._clock)) if at > 0 else None
