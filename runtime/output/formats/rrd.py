"""Rerun: a recording of frames, masks and tracks, to scrub through in its viewer."""

import errno

import numpy as np
import rerun

from samotion.runtime.output.formats.format import Format, MaskFrame, Target
from samotion.runtime.output.palette import davis_palette
from samotion.runtime.values import Bytes, Float

QUALITY = 90  # of JPEG
FLUSH_SECONDS = 60.0
APPLICATION = "samotion"


class Rrd(Format):
    """recording.rrd, at the source's size and on two timelines, frame (of the source) and time.

    video: JPEG. video/masks: ids, in DAVIS's colours. video/tracks: the visible points, from blue, which are surely
    scenery, to red, which surely move by themselves.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        name = target.clip.name
        # Neither clock nor chance goes in: the same result is the same recording.
        self._recording = rerun.RecordingStream(APPLICATION, recording_id=name, send_properties=False)
        self._recording.set_log_time_enabled(False)
        self._recording.set_log_tick_enabled(False)
        self._path = target.folder / "recording.rrd"
        self._recording.save(self._path)
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

        if frame.index == len(window.clip.frames) - 1:
            self._flush()

    def close(self) -> None:
        """Close the file."""
        self._recording.disconnect()

    def _flush(self) -> None:
        """Wait until all is written: what is on its way takes memory, and its failure is reported only here."""
        try:
            self._recording.flush(timeout_sec=FLUSH_SECONDS)
        except RuntimeError as error:  # what Rerun makes of a full disk, whose thread has logged the cause
            raise OSError(errno.EIO, str(error), str(self._path)) from error

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
