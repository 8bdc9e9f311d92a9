"""Time on a GPU, between two CUDA events on the stream of what is timed."""

from samotion.calibration.comparison.paired_timing import Call
from samotion.engines.device import Device, Stream

# Bytes that are filled ahead of a sample, so many times: meanwhile (at the 3.35 TB/s of an H100's memory 0.3 ms) the
# host gets a call's commands on their way, so that the time is the device's and not the host's. What was in the
# device's caches is gone by then.
AHEAD, FILLS = 2**28, 4


class Stopwatch:
    """Times calls on ``device``, whose context must be active to make one; for one thread at a time."""

    def __init__(self, device: Device) -> None:
        cuda = device.cuda
        self._device = device
        self._begin, self._end = cuda.Event(), cuda.Event()
        self._ahead = cuda.mem_alloc(AHEAD)

    def seconds(self, stream: Stream, call: Call) -> float:
        """Return the time from the first to the last command that ``call`` puts on ``stream``."""
        with self._device.active():
            for _ in range(FILLS):
                self._device.cuda.memset_d32_async(int(self._ahead), 0, AHEAD // 4, stream.cuda)
            self._begin.record(stream.cuda)
            call()
            self._end.record(stream.cuda)
            self._end.synchronize()
            return float(self._begin.time_till(self._end)) / 1e3
