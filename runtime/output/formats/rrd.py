"""Rerun: a recording of frames, depth, masks and tracks, to scrub through in its viewer."""

import errno
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rerun
from rerun.chunk import Chunk, LazyChunkStream, RrdReader

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.output.palette import davis_palette
from samotion.runtime.output.record import Record
from samotion.runtime.values import Bytes, Float

QUALITY = 90  # of JPEG
PART = 32  # frames that are held in memory
APPLICATION = "samotion"


class Rrd(Format):
    """recording.rrd, at the source's size and on two timelines, frame (of the source) and time.

    video: JPEG. video/masks: ids, in DAVIS's colours. video/tracks: the visible points, from blue, which are surely
    scenery, to red, which surely move by themselves. depth: small maps from 0, the farthest of a frame, to 255.

    Rerun's own writer of files waits minutes on a full disk. So parts are encoded in memory, put by in files, and
    joined to the recording at the end.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        # Neither clock nor chance goes in: the same result is the same recording.
        self._recording = rerun.RecordingStream(APPLICATION, recording_id=target.clip.name, send_properties=False)
        self._recording.set_log_time_enabled(False)
        self._recording.set_log_tick_enabled(False)
        self._encoded = rerun.binary_stream(self._recording)
        self._folder = target.folder / ".recording"
        self._folder.mkdir()
        self._parts = 0
        self._named = 0

    def add(self, frame: MaskFrame) -> None:
        """Write the next frame."""
        window, log = frame.window, self._recording.log
        self._name_objects(int(window.identities.max(initial=0)))
        self._recording.set_time("frame", sequence=frame.source)
        self._recording.set_time("time", duration=float(window.clip.times[frame.index]))
        log("video", rerun.Image(frame.picture()).compress(QUALITY))
        log("video/masks", rerun.SegmentationImage(frame.labels))
        at = frame.number - window.start
        shown = window.tracks.visible[:, at]
        scale = np.divide(window.clip.source_size[::-1], window.clip.size[::-1])
        points = (window.tracks.xy[shown, at] + 0.5) * scale  # Rerun's pixels have their centre at 0.5
        log("video/tracks", rerun.Points2D(points, colors=_colours(window.labels.probability[shown]), radii=1.5))
        if frame.depth is not None:
            log("depth", rerun.DepthImage(frame.depth, colormap="turbo"))
        if frame.number % PART == PART - 1:
            self._put_by()

    def finish(self, record: Record, names: Sequence[str]) -> dict[str, Any]:  # noqa: ARG002
        """Join the parts."""
        self._put_by()
        path = self.target.folder / "recording.rrd"
        try:
            LazyChunkStream.from_iter(self._chunks()).write_rrd(
                path, application_id=APPLICATION, recording_id=self.target.clip.name
            )
        except RuntimeError as error:  # what Rerun makes of a full disk
            raise OSError(errno.EIO, str(error), str(path)) from error
        shutil.rmtree(self._folder)
        return {}

    def close(self) -> None:
        """Let go of the recording."""
        self._recording.disconnect()

    def _put_by(self) -> None:
        """Write what was logged since the last part."""
        if encoded := self._encoded.read():
            (self._folder / f"{self._parts}.rrd").write_bytes(encoded)
            self._parts += 1

    def _chunks(self) -> Iterator[Chunk]:
        for number in range(self._parts):
            yield from RrdReader(self._folder / f"{number}.rrd").stream()

    def _name_objects(self, last: int) -> None:
        """Give the ids up to ``last`` their names and colours."""
        if last <= self._named:
            return
        colours = davis_palette()
        infos = [
            rerun.AnnotationInfo(own, f"object {own}", colours[(own - 1) % 255 + 1]) for own in range(1, last + 1)
        ]
        self._recording.log("video", rerun.AnnotationContext(infos), static=True)
        self._named = last


def _colours(probability: Float) -> Bytes:
    """Return (N, 3) uint8 RGB from blue at 0 to red at 1."""
    return np.stack([255 * probability, 0 * probability, 255 * (1 - probability)], axis=1).astype(np.uint8)
