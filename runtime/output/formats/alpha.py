"""Videos with alpha for an editor's timeline: one of all movers, and one of each object."""

from array import array
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.output.record import Record
from samotion.runtime.values import Bool, Bytes

# Alpha is without loss. A given quantiser, 2 in units of FF_QP2LAMBDA, spares the search for one: on the demo a third
# of the time, with no colour off by more than 3 of 255.
ENCODING = {"profile": "4444", "alpha_bits": "16", "global_quality": str(2 * 118)}
PIXELS = "yuva444p10le"
ALL = 0  # stands for every object


class Alpha(Format):
    """alpha/all.mov, alpha/object-1.mov and so on: ProRes 4444 at the source's size and rate, colours as they are.

    Each begins with the source, transparent until the object is seen, and ends with the last window that has it. A
    picture that was shrunk is enlarged again. Frames of ProRes stand by themselves, so one encoder serves all videos,
    and a frame that shows nothing is the same packet each time.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._folder = target.folder / "alpha"
        self._folder.mkdir()
        self._videos: dict[int, _Video] = {}
        self._numbers = array("q")  # of the source's frames so far
        self._blank = b""

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame to every video that goes on."""
        going_on = {ALL, *frame.window.identities.tolist()}
        for ended in self._videos.keys() - going_on:
            self._videos.pop(ended).finish()
        picture, seen = frame.picture(), frame.ids
        self._numbers.append(frame.source)
        for own in sorted(going_on):
            video = self._videos.get(own) or self._begun(own, picture)
            if own in seen or (own == ALL and seen):
                mask = frame.labels > 0 if own == ALL else frame.labels == own
                video.write(self._videos[ALL].encoded(picture, mask), frame.source)
            else:
                video.write(self._blank, frame.source)

    def finish(self, record: Record, names: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """End the videos."""
        for video in self._videos.values():
            video.finish()
        self._videos.clear()
        return {}

    def close(self) -> None:
        """Close what a failure left open."""
        for video in self._videos.values():
            video.close()

    def _begun(self, own: int, picture: Bytes) -> "_Video":
        """Return the new video of an object, with the frames that went before."""
        path = self._folder / ("all.mov" if own == ALL else f"object-{own}.mov")
        video = self._videos[own] = _Video(path, self.target)
        self._blank = self._blank or self._videos[ALL].encoded(
            np.zeros_like(picture), np.zeros(picture.shape[:2], np.bool_)
        )
        for number in self._numbers[:-1]:
            video.write(self._blank, number)
        return video


class _Video:
    """One MOV file."""

    def __init__(self, path: Path, target: Target) -> None:
        rate = target.clip.fps / target.stride
        self._stride = target.stride
        self._reformatter = VideoReformatter()
        self._clock = Fraction(1) / target.clip.fps
        self._container = av.open(str(path.resolve()), "w", format="mov")
        self._stream = self._container.add_stream("prores_ks", rate=rate, options=ENCODING)
        codec = self._stream.codec_context
        codec.height, codec.width = target.clip.source_size
        codec.pix_fmt, codec.time_base, codec.thread_count = PIXELS, Fraction(1) / rate, 1
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG

    def encoded(self, picture: Bytes, mask: Bool) -> bytes:
        """Return the packet of a picture (H, W, 3) with alpha where ``mask`` (H, W) is."""
        alpha = mask[..., None].astype(np.uint8) * 255
        frame = av.VideoFrame.from_ndarray(np.concatenate([picture, alpha], axis=2), format="rgba")
        # With several threads, libswscale now and then leaves a pixel of alpha as it was in memory.
        frame = self._reformatter.reformat(
            frame, format=PIXELS, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1
        )
        (packet,) = self._stream.encode(frame)
        return bytes(packet)

    def write(self, encoded: bytes, number: int) -> None:
        """Show a packet from frame ``number`` of the source on."""
        packet = av.Packet(encoded)
        packet.stream, packet.is_keyframe, packet.time_base = self._stream, True, self._clock
        packet.pts = packet.dts = number
        packet.duration = self._stride
        self._container.mux(packet)

    def finish(self) -> None:
        """End the file."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def close(self) -> None:
        """Let go of the file as it is."""
        self._container.close()
