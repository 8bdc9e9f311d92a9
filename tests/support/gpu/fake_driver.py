"""NVIDIA's bindings of the driver on fake_cuda's streams: the calls that record CUDA graphs.

What is put on a stream while it is recorded does not happen until the graph is launched, and then at each launch.
Meanwhile nobody may allocate, wait, or end what was not begun.
"""

from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

from tests.support.gpu.fake_cuda import Memory, Work


class Result(IntEnum):
    CUDA_SUCCESS = 0
    CUDA_ERROR_ILLEGAL_STATE = 401
    CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900


class Graph:
    def __init__(self, work: list[Work]) -> None:
        self.work: list[Work] | None = work


def cuda_driver(memory: Memory, captures: bool = True) -> ModuleType:
    """Return what stands in for cuda.bindings.driver; captures: whether what is recorded may be."""

    def begin(stream: int, mode: str) -> tuple[Any, ...]:
        assert mode == "this thread"
        one = memory.streams[stream]
        if one.recorded is not None:
            return (Result.CUDA_ERROR_ILLEGAL_STATE,)
        one.recorded = []
        return (Result.CUDA_SUCCESS,)

    def end(stream: int) -> tuple[Any, ...]:
        one = memory.streams[stream]
        work, one.recorded = one.recorded, None
        if work is None or not captures:
            return Result.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, None
        memory.log.append(("captured", stream))
        return Result.CUDA_SUCCESS, Graph(work)

    def instantiate(graph: Graph, flags: int) -> tuple[Any, ...]:
        assert graph.work
        assert not flags
        memory.graphs += 1
        return Result.CUDA_SUCCESS, Graph(graph.work)

    def launch(graph: Graph, stream: int) -> tuple[Any, ...]:
        assert graph.work is not None, "launched after it was destroyed"
        memory.log.append(("run", stream))
        memory.log.append(("launched", stream))
        for work in graph.work:
            memory.streams[stream].put(work)
        return (Result.CUDA_SUCCESS,)

    def destroy(graph: Graph) -> tuple[Any, ...]:
        assert graph.work is not None
        graph.work = None
        return (Result.CUDA_SUCCESS,)

    def destroy_executable(graph: Graph) -> tuple[Any, ...]:
        memory.graphs -= 1
        return destroy(graph)

    driver = ModuleType("cuda.bindings.driver")
    driver.__dict__.update(
        CUstreamCaptureMode=SimpleNamespace(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL="this thread"),
        cuStreamBeginCapture=begin,
        cuStreamEndCapture=end,
        cuGraphInstantiate=instantiate,
        cuGraphLaunch=launch,
        cuGraphDestroy=destroy,
        cuGraphExecDestroy=destroy_executable,
    )
    return driver
