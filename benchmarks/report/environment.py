"""Where a figure was measured."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from samotion.engines.machine import this_machine

PACKAGES = (
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-rtx",
    "pycuda",
    "cuda-bindings",
    "nvidia-cuda-nvrtc-cu12",
    "torch",
    "opencv-python",
    "opencv-python-headless",
    "av",
)


def environment(on_gpu: bool) -> dict[str, Any]:
    """Return the machine and the versions that run: a package that is not installed is left out.

    on_gpu: whether the engines run on a GPU, which is then named.
    """
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        **(_gpu() if on_gpu else {}),
    }


def usable_cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _gpu() -> dict[str, Any]:
    """Return the entry of the first visible GPU: memory in bytes, driver as the newest CUDA that it runs."""
    machine = this_machine()
    gpu = machine.gpu
    if gpu is None:  # the driver does not say
        return {}
    about = {"name": gpu.name, "compute_capability": gpu.compute_capability, "memory": gpu.total}
    return {"gpu": {**about, "driver": machine.driver}}


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
