"""CUDA graphs by NVIDIA's real bindings, on a driver that only prints: names, types and order of the calls."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("driver_stub.c")
PROGRAM = """
from types import SimpleNamespace
from samotion.engines import cuda_graphs
line = SimpleNamespace(stream=SimpleNamespace(handle=0x55))
graph = cuda_graphs.CudaGraph(cuda_graphs._driver(), line, lambda: None)
try:
    graph.launch()
except cuda_graphs.CaptureError as error:
    wrong = error
graph.free()
print(wrong)
"""


def _installed() -> bool:
    return importlib.util.find_spec("cuda") is not None and importlib.util.find_spec("cuda.bindings") is not None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the driver's library is named as on Linux")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.skipif(not _installed(), reason="cuda-bindings is not installed")
def test_the_bindings_take_what_they_are_given(tmp_path: Path) -> None:
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "libcuda.so.1", SOURCE], check=True)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"LD_LIBRARY_PATH": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0] == "CUDA's graphs failed: CUDA_ERROR_LAUNCH_FAILED"
    calls = ["begin 0x55 1", "end 0x55", "instantiate 0x77 0", "destroy 0x77", "launch 0x88 0x55", "free 0x88"]
    assert ran.stdout.splitlines()[1:] == calls  # C's output comes when the process ends
