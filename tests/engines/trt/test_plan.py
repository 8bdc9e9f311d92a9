"""The TensorRT engine on a stand-in for GPU and TensorRT, and on the real ones where they are."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.gpu_real import shipped_for
from tests.support.gpu.gpu_stand_in import install
from tests.support.toy_engine import PLAN, made, rows, shift

from samotion.engines.device import Device, DeviceArray
from samotion.engines.errors import EngineError
from samotion.engines.machine import this_machine
from samotion.engines.trt.flavours import BACKENDS
from samotion.engines.trt.plan import TensorRtEngine


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return install(monkeypatch)


@pytest.fixture
def engine(tmp_path: Path, memory: Memory) -> Iterator[TensorRtEngine]:  # noqa: ARG001
    with made(tmp_path) as found:
        yield found


def test_answers_are_the_callers_own(engine: TensorRtEngine) -> None:
    first = engine(x=rows(2), shift=shift())
    engine(x=rows(2, 100), shift=shift())
    np.testing.assert_array_equal(first["y"], 2 * rows(2) + 1)
    np.testing.assert_array_equal(first["total"], rows(2).sum(1))
    assert first["y"].dtype == np.float32


def test_nothing_is_allocated_once_the_largest_shape_was_seen(engine: TensorRtEngine, memory: Memory) -> None:
    engine(x=rows(8), shift=shift())
    before = memory.count("alloc"), memory.count("pinned")
    for count in (1, 8, 5, 8):
        np.testing.assert_array_equal(engine(x=rows(count), shift=shift())["y"], 2 * rows(count) + 1)
    assert (memory.count("alloc"), memory.count("pinned")) == before


def test_equal_shapes_are_told_once(engine: TensorRtEngine, memory: Memory) -> None:
    for first in range(2):  # once the context, once that of the graph
        engine(x=rows(2, first), shift=shift())
    told = memory.count("shape")
    engine(x=rows(2, 3), shift=shift())
    assert memory.count("shape") == told
    engine(x=rows(3), shift=shift())
    assert memory.count("shape") > told


def test_memory_is_freed(tmp_path: Path, memory: Memory) -> None:
    with made(tmp_path) as engine:
        engine(x=rows(4), shift=shift())
        assert memory.blocks
    assert not memory.blocks
    with pytest.raises(EngineError, match="closed"):
        engine(x=rows(4), shift=shift())


def test_growing_waits_for_what_still_runs(engine: TensorRtEngine, memory: Memory) -> None:
    for _ in range(2):
        engine.on_device(x=rows(1), shift=shift())
    syncs = memory.count("sync")
    engine.on_device(x=rows(1), shift=shift())
    assert memory.count("sync") == syncs
    engine.on_device(x=np.zeros((8, 3), np.float32), shift=shift())  # the scratch memory grows
    assert memory.count("sync") > syncs


def test_arrays_stay_on_the_gpu_between_engines(tmp_path: Path, memory: Memory) -> None:
    device = Device()
    with made(tmp_path, device=device) as first, made(tmp_path, device=device) as second:
        between = first.on_device(x=rows(2), shift=shift())
        assert {name: array.shape for name, array in between.items()} == {"y": (2, 3), "total": (2,)}
        memory.log.clear()
        answer = second(x=between["y"], shift=shift())
        np.testing.assert_array_equal(answer["y"], 2 * (2 * rows(2) + 1) + 1)
        np.testing.assert_array_equal(between["y"].numpy(), 2 * rows(2) + 1)
        # The second's stream waits for the first's run, and the first's for the second's before it reuses memory.
        waits = [entry[1:] for entry in memory.log if entry[0] == "wait"]
        run = next(entry[1] for entry in memory.log if entry[0] == "run")
        assert [(run, between["y"].stream.cuda.handle), (between["y"].stream.cuda.handle, run)] == waits


def test_kept_arrays_are_not_written_over_and_forgotten_ones_are_reused(
    engine: TensorRtEngine, memory: Memory
) -> None:
    kept = engine.on_device(x=rows(2), shift=shift())["y"]
    engine.on_device(x=rows(2, 50), shift=shift())
    np.testing.assert_array_equal(kept.numpy(), 2 * rows(2) + 1)
    allocated = memory.count("alloc")
    for _ in range(5):  # each answer is forgotten before the next
        engine.on_device(x=rows(2, 50), shift=shift())
    assert memory.count("alloc") == allocated


def test_any_array_with_the_cuda_array_interface_will_do(engine: TensorRtEngine, memory: Memory) -> None:
    found = engine.on_device(x=rows(2), shift=shift())["y"]

    class Stranger:
        __cuda_array_interface__ = found.__cuda_array_interface__

    memory.log.clear()
    np.testing.assert_array_equal(engine(x=Stranger(), shift=shift())["y"], 2 * (2 * rows(2) + 1) + 1)
    assert memory.count("sync all") == 1  # its stream is known by number only


def test_a_part_of_an_array_is_read_aligned(engine: TensorRtEngine, memory: Memory) -> None:
    """TensorRT wants 256-byte alignment; rows of points are 12 bytes. The stand-in refuses any other address."""
    found = engine.on_device(x=rows(8), shift=shift())["y"]
    memory.log.clear()
    for first in (3, 0, 5):
        answer = engine(x=found[first : first + 2], shift=shift())["y"]
        np.testing.assert_array_equal(answer, 2 * (2 * rows(8) + 1)[first : first + 2] + 1)
    assert memory.count("copy")


def test_an_array_on_the_gpu_must_fit(engine: TensorRtEngine) -> None:
    found = engine.on_device(x=rows(2), shift=shift())
    with pytest.raises(EngineError, match=r"input x is float32 \(2,\) on the GPU, expected float32 \('N', 3\)"):
        engine(x=found["total"], shift=shift())

    class Sideways:
        __cuda_array_interface__ = found["y"].__cuda_array_interface__ | {"strides": (4, 8)}

    with pytest.raises(EngineError, match=r"with strides on the GPU, expected .* in C order"):
        engine(x=Sideways(), shift=shift())


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"x": rows(9)}, "x is 9 long in N, plans take 1 to 8"),
        ({"x": rows(0)}, "x is 0 long in N, plans take 1 to 8"),
        ({"x": rows(2).astype(np.float64)}, "input x is float64"),
        ({}, "input x is missing"),
    ],
)
def test_what_a_plan_does_not_take_is_named(
    engine: TensorRtEngine, inputs: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        engine(**inputs, shift=shift())
    np.testing.assert_array_equal(engine(x=rows(1), shift=shift())["y"], 2 * rows(1) + 1)  # and it goes on


def test_a_full_gpu_is_told_in_one_line_and_goes_on_with_less(engine: TensorRtEngine, memory: Memory) -> None:
    engine(x=rows(1), shift=shift())
    memory.limit = sum(map(len, memory.blocks.values())) + 2048
    with pytest.raises(EngineError, match="the GPU's memory is full; use a smaller --window"):
        engine(x=rows(8), shift=shift())
    np.testing.assert_array_equal(engine(x=rows(1), shift=shift())["y"], 2 * rows(1) + 1)


def test_a_run_that_fails_is_one_line(tmp_path: Path, memory: Memory) -> None:  # noqa: ARG001
    with (
        made(tmp_path, {**PLAN, "fails": True}) as engine,
        pytest.raises(EngineError, match="double failed") as caught,
    ):
        engine(x=rows(1), shift=shift())
    assert "\n" not in str(caught.value)


def test_a_plan_that_does_not_load_names_the_command(tmp_path: Path, memory: Memory) -> None:  # noqa: ARG001
    with pytest.raises(EngineError) as caught:
        made(tmp_path, "no plan at all")
    line = str(caught.value)
    assert "tensorrt does not load it (Serialization (Serialization assertion magic failed" in line
    assert line.endswith(f"samotion-export --from {tmp_path} --backend tensorrt")
    assert "_src" not in line


def test_types_are_held_against_the_manifest(tmp_path: Path, memory: Memory) -> None:  # noqa: ARG001
    half = {**PLAN, "outputs": {"y": "float16", "total": "float32"}}
    with pytest.raises(EngineError, match="y is float16, the manifest states float32"):
        made(tmp_path, half)


def test_every_device_has_the_process_s_context(memory: Memory) -> None:  # noqa: ARG001
    first = Device()
    first.close()
    second = Device()
    assert second._context is first._context
    with second.active(), first.active():
        second.synchronise()


def test_without_pycuda_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(EngineError, match=r"pip install 'samotion\[gpu\]'"):
        Device()


@pytest.mark.gpu
@pytest.mark.skipif(this_machine().gpu is None, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("backend", BACKENDS)
def test_on_a_real_gpu_plans_answer_as_onnx_runtime(tmp_path: Path, backend: str) -> None:
    from samotion.engines.bundle import Bundle

    folder = shipped_for(backend, tmp_path)
    image = np.random.default_rng(0).standard_normal((2, 3, 126, 224)).astype(np.float32)
    with Bundle.load() as host, Bundle.load(folder, provider=backend) as gpu:
        wanted = host.engine("depth")(image=image)["disparity"]
        found = gpu.engine("depth")(image=image)["disparity"]
        assert np.linalg.norm(found - wanted) <= 1e-3 * np.linalg.norm(wanted)
        kept = gpu.engine("depth").on_device(image=image)["disparity"]  # type: ignore[attr-defined]
        assert isinstance(kept, DeviceArray)
        np.testing.assert_array_equal(kept.numpy(), found)
