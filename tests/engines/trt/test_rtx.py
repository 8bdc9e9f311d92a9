"""TensorRT-RTX's own ways on its stand-in: kernels compiled in time and kept, CUDA graphs, the calls that it has."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.fake_tensorrt import Runner, tensorrt
from tests.support.gpu.gpu_stand_in import install
from tests.support.toy_engine import PLAN, made, rows, shift


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return install(monkeypatch)


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """TensorRT-RTX's stand-in; where its compiled kernels are kept."""
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", sys.modules["tensorrt"])
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/tensorrt-rtx"


def rtx_ran_with(memory: Memory, folder: Path) -> bytes:
    """Return the kernels that an engine on RTX had from the start, once it has run and was closed."""
    memory.log.clear()
    with made(folder, backend="tensorrt-rtx") as engine:
        np.testing.assert_array_equal(engine(x=rows(2), shift=shift())["y"], 2 * rows(2) + 1)
    (found,) = (entry[1] for entry in memory.log if entry[0] == "kernels")
    return bytes(found)


def test_rtx_runs_as_a_cuda_graph_of_kernels_that_do_not_change(tmp_path: Path, memory: Memory, rtx: Path) -> None:
    rtx_ran_with(memory, tmp_path)
    assert ("cuda_graph_strategy", "as a graph") in memory.log
    assert ("dynamic_shapes_kernel_specialization_strategy", "before they run") in memory.log
    assert rtx.is_dir()


def test_rtx_s_kernels_are_compiled_once(tmp_path: Path, memory: Memory, rtx: Path) -> None:
    assert rtx_ran_with(memory, tmp_path) == b"made here:"
    assert rtx_ran_with(memory, tmp_path) == b"made here:+"
    (file,) = rtx.iterdir()
    assert file.name.startswith("double-sm89-10.13.2.6-")
    file.write_bytes(b"of another GPU")
    assert rtx_ran_with(memory, tmp_path) == b"made here:"
    assert file.read_bytes() == b"made here:+"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, memory: Memory, rtx: Path) -> None:
    rtx.parent.mkdir()
    rtx.write_bytes(b"a file where the folder should be")
    assert rtx_ran_with(memory, tmp_path) == b"made here:"
    assert rtx_ran_with(memory, tmp_path) == b"made here:"


def test_the_stand_in_has_no_call_that_rtx_lacks(memory: Memory) -> None:
    rtx = pytest.importorskip("tensorrt_rtx")
    fake = tensorrt(memory)
    config = fake.Runtime(None).deserialize_cuda_engine(json.dumps(PLAN).encode()).create_runtime_config()
    cache = config.create_runtime_cache()
    for own, real in (
        (Runner, rtx.IExecutionContext),
        (type(config), rtx.IRuntimeConfig),
        (type(cache), rtx.IRuntimeCache),
    ):
        for name in vars(own):
            assert name.startswith("_") or hasattr(real, name), f"{real.__name__}.{name}"
    for enumeration, member in (
        ("DynamicShapesKernelSpecializationStrategy", "EAGER"),
        ("CudaGraphStrategy", "WHOLE_GRAPH_CAPTURE"),
        ("ExecutionContextAllocationStrategy", "USER_MANAGED"),
    ):
        assert hasattr(getattr(fake, enumeration), member)
        assert hasattr(getattr(rtx, enumeration), member)
    assert {"cuda_graph_strategy", "dynamic_shapes_kernel_specialization_strategy"} <= set(dir(rtx.IRuntimeConfig))
