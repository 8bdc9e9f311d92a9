"""Runs recorded as CUDA graphs, on a stand-in for GPU, driver and TensorRT."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.fake_driver import cuda_driver
from tests.support.gpu.gpu_stand_in import install
from tests.support.toy_engine import made, rows, shift

from samotion.engines.device import Device, DeviceArray
from samotion.engines.errors import EngineError
from samotion.engines.trt import cuda_graphs
from samotion.engines.trt.plan import TensorRtEngine


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return install(monkeypatch)


@pytest.fixture
def engine(tmp_path: Path, memory: Memory) -> Iterator[TensorRtEngine]:  # noqa: ARG001
    with made(tmp_path) as found:
        yield found


def answered(engine: TensorRtEngine, count: int, first: float = 0.0) -> None:
    """The engine's answer to host arrays is right."""
    np.testing.assert_array_equal(
        engine(x=rows(count, first), shift=shift(first))["y"], 2 * rows(count, first) + np.float32(first)
    )


def test_a_shape_that_comes_again_is_recorded_and_then_launched(engine: TensorRtEngine, memory: Memory) -> None:
    for first in range(5):
        answered(engine, 2, first)
    assert memory.count("captured") == 1
    assert memory.count("launched") == 3  # the first by the context of all shapes, the second by the graph's own
    answered(engine, 1)
    assert memory.count("launched") == 3


def test_arrays_on_the_gpu_are_copied_to_and_from_where_the_graph_is(engine: TensorRtEngine, memory: Memory) -> None:
    given, found = [], []
    for first in range(4):
        given.append(engine.on_device(x=rows(2, first), shift=shift())["y"])
        found.append(engine.on_device(x=given[-1], shift=shift())["y"])
    assert memory.count("launched") == 6
    for first, array in enumerate(found):  # kept arrays are whole
        np.testing.assert_array_equal(array.numpy(), 2 * (2 * rows(2, first) + 1) + 1)


def test_graphs_end_where_their_memory_grows(engine: TensorRtEngine, memory: Memory) -> None:
    for count in (2, 2, 2, 8, 8, 8, 2, 2):
        answered(engine, count)
    assert memory.count("captured") == 3  # 2 rows, 8 rows in more memory, 2 rows there
    assert memory.graphs == 2


def test_the_latest_are_kept(engine: TensorRtEngine, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST", 2)
    answered(engine, 8)  # all the memory there will be
    for count in (1, 1, 2, 2, 3, 3, 1, 1):
        answered(engine, count)
    assert memory.count("captured") == 4
    assert memory.graphs == 2


def test_a_large_input_is_read_where_it_lies(
    engine: TensorRtEngine, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_graphs, "COPIED", 8)
    there = [engine.on_device(x=rows(2, first), shift=shift())["y"] for first in (0, 9)]
    memory.log.clear()
    for first in (0, 9, 0, 9, 0, 9):
        found = engine.on_device(x=there[first // 9], shift=shift())
        np.testing.assert_array_equal(found["y"].numpy(), 2 * (2 * rows(2, first) + 1) + 1)
    assert memory.count("captured") == 2  # one for each place
    answers = [rows(2).nbytes, rows(2)[:, 0].nbytes]
    assert [entry[1] for entry in memory.log if entry[0] == "copy"] == 4 * answers


def test_what_cannot_be_recorded_runs_without(
    tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", cuda_driver(memory, captures=False))
    with made(tmp_path) as engine:
        for first in range(5):
            answered(engine, 2, first)
        answered(engine, 3)
        answered(engine, 3)
    assert memory.count("run") == 7
    assert not memory.count("launched")
    (said,) = caplog.messages  # once
    assert said.startswith("double runs without CUDA graphs, more slowly: CUDA's graphs failed: CUDA_ERROR_STREAM_")


def test_without_memory_for_a_graph_it_runs_without(
    engine: TensorRtEngine, memory: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    kept = [engine.on_device(x=rows(count), shift=shift()) for count in (8, 6)]  # the pool's memory, not a graph's
    del kept
    memory.limit = sum(map(len, memory.blocks.values()))
    for _ in range(3):
        found = engine.on_device(x=rows(7), shift=shift())
    np.testing.assert_array_equal(found["y"].numpy(), 2 * rows(7) + 1)
    assert "double runs without CUDA graphs, more slowly: cuMemAlloc failed" in caplog.text


def test_all_is_given_back(tmp_path: Path, memory: Memory) -> None:
    with made(tmp_path) as engine:
        for count in (2, 2, 1, 1):
            answered(engine, count)
        assert memory.graphs == 2
    assert not memory.graphs
    assert not memory.blocks


def test_rtx_records_by_itself(tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", sys.modules["tensorrt"])
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)  # nor is it asked for
    with made(tmp_path, backend="tensorrt-rtx") as engine:
        for _ in range(3):
            answered(engine, 2)
    assert not memory.count("captured")


def test_without_the_bindings_the_extra_is_named(
    tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", None)
    with pytest.raises(EngineError, match=r"cuda-bindings is not installed here .*; pip install 'samotion\[gpu\]'"):
        made(tmp_path)
    assert not memory.blocks


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 99),
    st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["host", "there", "kept"])), max_size=30),
)
def test_any_sequence_of_runs_is_answered(
    tmp_path_factory: pytest.TempPathFactory, seed: int, runs: list[tuple[int, str]]
) -> None:
    """Streams get on by chance; arrays come from the host, or from another engine, and answers may be kept."""
    with pytest.MonkeyPatch.context() as patch:
        install(patch, seed)
        device = Device()
        folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
        kept: list[tuple[DeviceArray, np.ndarray]] = []
        with made(folders[0], device=device) as first, made(folders[1], device=device) as second:
            for number, (count, way) in enumerate(runs):
                if way == "host":
                    answered(second, count, number)
                    continue
                between = first.on_device(x=rows(count, number), shift=shift())["y"]
                found = second.on_device(x=between, shift=shift(number))["y"]
                wanted = 2 * (2 * rows(count, number) + 1) + np.float32(number)
                if way == "kept":
                    kept.append((found, wanted))
                else:
                    np.testing.assert_array_equal(found.numpy(), wanted)
            for found, wanted in kept:
                np.testing.assert_array_equal(found.numpy(), wanted)
