"""ONNX Runtime's IO binding: arrays read and left where they are."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.gpu_stand_in import install
from tests.support.tiny_bundle import doubling_graph

from samotion.engines.device import Device, Stream
from samotion.engines.errors import EngineError
from samotion.engines.ort.io_binding import run_bound
from samotion.engines.ort.session import OnnxEngine


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    return install(monkeypatch)


class Pointed:
    """An array by its address, as arrays on a GPU come; here the address is the host's."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self._array.__array_interface__


def test_onnx_runtime_reads_and_leaves_arrays_where_they_are(tmp_path: Path, memory: Memory) -> None:
    """IO binding, run for real: ONNX Runtime's own device stands in for the GPU."""
    memory.strangers = True  # what ONNX Runtime allocates
    device = Device()
    with device.active():
        place = "cpu", device, Stream(device)
    entry = doubling_graph(tmp_path / "double.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "double.onnx", providers=["CPUExecutionProvider"])
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    first = run_bound(session, {"x": Pointed(x)}, entry.outputs, *place)["y"]
    assert first.shape == (3, 2)
    second = run_bound(session, {"x": first}, entry.outputs, *place)["y"]
    host = run_bound(session, {"x": x}, entry.outputs, *place)["y"]
    np.testing.assert_array_equal(second.numpy(), 4 * x)
    np.testing.assert_array_equal(host.numpy(), first.numpy())


def test_the_cpu_takes_nothing_from_a_gpu(tmp_path: Path) -> None:
    entry = doubling_graph(tmp_path / "double.onnx")
    with OnnxEngine(tmp_path / entry.file, entry.inputs, entry.outputs) as engine:
        x = np.zeros((3, 2), np.float32)
        with pytest.raises(EngineError, match="runs on the CPU, and its input x is on a GPU"):
            engine(x=Pointed(x))
        with pytest.raises(EngineError, match="runs on the CPU: nothing stays on a GPU"):
            engine.on_device(x=x)


@pytest.mark.gpu
@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="needs ORT with CUDA"
)
def test_on_a_real_gpu_onnx_runtimes_answers_stay_there(tmp_path: Path) -> None:
    entry = doubling_graph(tmp_path / "double.onnx")
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    with OnnxEngine(tmp_path / entry.file, entry.inputs, entry.outputs, "cuda") as engine:
        np.testing.assert_array_equal(engine(x=engine.on_device(x=x)["y"])["y"], 4 * x)
