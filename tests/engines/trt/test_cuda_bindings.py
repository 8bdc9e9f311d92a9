"""CUDA graphs by NVIDIA's real bindings on the host's driver: names, types and order of the calls."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.gpu.host_driver import build
from tests.support.gpu.kernels_host import COMPILER

PROGRAM = """
import ctypes
from types import SimpleNamespace
from samotion.engines.trt import cuda_graphs

cuda = ctypes.CDLL("libcuda.so.1")
context, stream, memory = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
cuda.cuCtxPushCurrent_v2(context)
cuda.cuStreamCreate(ctypes.byref(stream), 0)
cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(4))
held = ctypes.c_uint32.from_address(memory.value)
own = SimpleNamespace(cuda=SimpleNamespace(handle=stream.value))
def fill():
    assert cuda.cuMemsetD32Async(memory, 7, ctypes.c_size_t(1), stream) == 0
graph = cuda_graphs.CudaGraph(cuda_graphs._driver(), own, fill)
print(held.value)  # recorded, not done
for _ in range(2):
    held.value = 0
    graph.launch()
    print(held.value)
graph.free()
def nested():
    cuda_graphs.CudaGraph(cuda_graphs._driver(), own, fill)
try:
    cuda_graphs.CudaGraph(cuda_graphs._driver(), own, nested)
except cuda_graphs.CaptureError as error:
    print(error)
graph = cuda_graphs.CudaGraph(cuda_graphs._driver(), own, fill)  # the stream works again
graph.launch()
print(held.value)
"""


def installed() -> bool:
    return importlib.util.find_spec("cuda") is not None and importlib.util.find_spec("cuda.bindings") is not None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the driver's library is named as on Linux")
@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
@pytest.mark.skipif(not installed(), reason="cuda-bindings is not installed")
def test_the_bindings_record_and_launch(tmp_path: Path) -> None:
    build(tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"LD_LIBRARY_PATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    refused = "CUDA's graphs failed: CUDA_ERROR_ILLEGAL_STATE"
    assert ran.stdout.splitlines() == [str(2**32 - 1), "7", "7", refused, "7"]
