"""A plan's runs as CUDA graphs: one call starts all of a run's kernels, where starting takes longer than running.

TensorRT-RTX does so by itself. For TensorRT it is done here, with NVIDIA's own bindings of the driver, for pycuda
knows nothing of capture.
"""

import importlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from samotion.engines.device import Buffer, Stream
from samotion.engines.errors import EngineError
from samotion.engines.trt.context import Context, Place, Places, Shapes

LOG = logging.getLogger(__name__)
MOST = 16  # graphs of one plan, the latest; each has a context of its own
# Bytes up to which an input is copied to where its graph reads. A larger one is read where it lies, and the graph is
# for that place: a window's feature grids, read for each part of its points, take longer to copy than a graph saves.
COPIED = 2**25


class CaptureError(Exception):
    """A driver call about graphs that failed, and how."""


class CudaGraph:
    """What was put on a stream while it was recorded, to be launched again as it was."""

    def __init__(self, driver: Any, stream: Stream, work: Callable[[], None]) -> None:
        """Record what ``work`` puts on ``stream``, none of which runs by that; raises CaptureError."""
        self._driver, self._stream = driver, stream.cuda.handle
        # What this thread may do meanwhile; others may allocate.
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _answer(driver.cuStreamBeginCapture(self._stream, mode))
        try:
            work()
        finally:  # the stream must work again, whatever happened
            ended = driver.cuStreamEndCapture(self._stream)
        recorded = _answer(ended)
        try:
            self._graph = _answer(driver.cuGraphInstantiate(recorded, 0))
        finally:
            driver.cuGraphDestroy(recorded)

    def launch(self) -> None:
        """Put the work on the stream once more; raises CaptureError."""
        _answer(self._driver.cuGraphLaunch(self._graph, self._stream))

    def free(self) -> None:
        """Give back what the driver keeps; the stream must be done with it."""
        self._driver.cuGraphExecDestroy(self._graph)


class Replay:
    """Runs of one shape between ``places``: the first by a context of its own, the others by its graph."""

    def __init__(self, context: Context, places: Places, graphs: "Graphs") -> None:
        self.answers = context.answers
        self._context, self._places, self._graphs = context, places, graphs
        self._graph: CudaGraph | None = None

    def run(self, inputs: Places, outputs: Places) -> None:
        """Enqueue a run from and to the caller's places; raises EngineError or CaptureError."""
        for name, place in inputs.items():
            self._graphs.copy(place, self._places[name])
        if self._graph is None:
            self._first(inputs, outputs)
        else:
            self._graph.launch()
        for name, place in outputs.items():
            self._graphs.copy(self._places[name]._replace(size=place.size), place)

    def free(self) -> None:
        """Give back the graph; the stream must be done with it."""
        if self._graph is not None:
            self._graph.free()

    def _first(self, inputs: Places, outputs: Places) -> None:
        """Run as usual, as TensorRT wants it before a capture, and record the same."""
        own = self._places
        self._context.run({name: own[name] for name in inputs}, {name: own[name] for name in outputs})
        self._graph = self._graphs.record(self._context.again)


class Graphs:
    """The graphs of one plan: a shape that comes again is recorded, and from then on launched.

    A graph reads and writes where it did when it was recorded: inputs are copied to ``buffers``, by tensor, and
    answers from there. Each has a context of its own (``new_context``), for what a context is given later changes
    what its graph does. name: the plan's. scratch: what these contexts work in. A plan that cannot be recorded, for
    itself or for want of memory, runs without, by the same kernels, with a warning. Raises EngineError where NVIDIA's
    bindings are missing.
    """

    def __init__(
        self,
        name: str,
        cuda: Any,
        stream: Stream,
        buffers: Mapping[str, Buffer],
        scratch: Buffer,
        new_context: Callable[[], Context],
    ) -> None:
        self._name = name
        self._cuda, self._stream, self._buffers, self._scratch = cuda, stream, buffers, scratch
        self._new_context = new_context
        self._driver = _driver()
        self._known: OrderedDict[Any, Replay | None] = OrderedDict()
        self._where: list[int] = []
        self._possible = True

    def of(self, shapes: Shapes, inputs: Places, sizes: Callable[[Shapes], Mapping[str, int]]) -> Replay | None:
        """Return what runs inputs of these shapes at these places, None if they are new.

        sizes: tells those of answers, in bytes.
        """
        if not self._possible:
            return None
        self._look_around()
        large = [(name, place) for name, place in inputs.items() if place.size > COPIED]
        key = (*sorted(shapes.items()), *sorted(large))
        if key not in self._known:
            self._known[key] = None  # it may come again
        elif self._known[key] is None:
            self._known[key] = self._try(shapes, inputs, sizes)
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._free(self._known.popitem(last=False)[1])
        return self._known[key]

    def copy(self, source: Place, to: Place) -> None:
        """Copy on the stream, unless it is there already."""
        if source.address != to.address:
            self._cuda.memcpy_dtod_async(to.address, source.address, source.size, self._stream.cuda)

    def record(self, work: Callable[[], None]) -> CudaGraph | None:
        """Return a graph of ``work``, None where it cannot be one; then no other is tried."""
        try:
            return CudaGraph(self._driver, self._stream, work)
        except (CaptureError, EngineError) as error:
            self._give_up(error)
            return None

    def close(self) -> None:
        """Give back all graphs; the stream must be done with them."""
        for replay in self._known.values():
            self._free(replay)
        self._known.clear()

    def _try(self, shapes: Shapes, inputs: Places, sizes: Callable[[Shapes], Mapping[str, int]]) -> Replay | None:
        """Return what will record these shapes; None where there is no memory for it, and then for no other."""
        try:
            return self._made(shapes, inputs, sizes)
        except (self._cuda.MemoryError, EngineError) as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        """Try no other graph of this plan, and say so: its runs give the same answers and take longer to start."""
        self._possible = False
        LOG.warning("%s runs without CUDA graphs, more slowly: %s", self._name, error)

    def _made(self, shapes: Shapes, inputs: Places, sizes: Callable[[Shapes], Mapping[str, int]]) -> Replay:
        """Return what will record these shapes, with memory for them."""
        context = self._new_context()
        context.fit(shapes)
        places = dict(inputs)
        wanted = {name: place.size for name, place in inputs.items() if place.size <= COPIED}
        for name, size in (*wanted.items(), *sizes(context.answers).items()):
            places[name] = Place(self._stream.room(self._buffers[name], size), size)
        self._look_around()
        return Replay(context, places, self)

    def _look_around(self) -> None:
        """Forget all graphs where memory that they read or write has grown, hence moved."""
        where = [buffer.where for buffer in (*self._buffers.values(), self._scratch)]
        if where != self._where:
            for key, replay in self._known.items():
                self._free(replay)
                self._known[key] = None
            self._where = where

    def _free(self, replay: Replay | None) -> None:
        if replay is not None:
            self._stream.cuda.synchronize()
            replay.free()


def _answer(result: tuple[Any, ...]) -> Any:
    """Return what a driver call gives; raises CaptureError where it failed."""
    error, *found = result
    if int(error):
        raise CaptureError(f"CUDA's graphs failed: {getattr(error, 'name', error)}")
    return found[0] if found else None


def _driver() -> Any:
    try:
        return importlib.import_module("cuda.bindings.driver")
    except ImportError as error:
        raise EngineError(f"cuda-bindings is not installed here ({error}); pip install 'samotion[gpu]'") from error
