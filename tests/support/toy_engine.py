"""A TensorRT engine of a toy plan, which tests.support.gpu.fake_tensorrt reads, and what to give it."""

import json
from pathlib import Path

import numpy as np

from samotion.engines.device import Device
from samotion.engines.engine import TensorSpec
from samotion.engines.manifest import PlanEntry
from samotion.engines.trt.plan import TensorRtEngine

INPUTS = (TensorSpec("x", "float32", ("N", 3)), TensorSpec("shift", "float32", ()))
OUTPUTS = (TensorSpec("y", "float32", ("N", 3)), TensorSpec("total", "float32", ("N",)))
PLAN = {"inputs": {"x": "float32", "shift": "float32"}, "outputs": {"y": "float32", "total": "float32"}}


def made(
    folder: Path, plan: object = PLAN, device: Device | None = None, backend: str = "tensorrt"
) -> TensorRtEngine:
    """Return an engine of a plan file that the stand-in reads; x takes 1 to 8 rows."""
    path = folder / "double.tensorrt.plan"
    path.write_text(plan if isinstance(plan, str) else json.dumps(plan), encoding="utf-8")
    profile = {"x": ((1, 3), (2, 3), (8, 3)), "shift": ((), (), ())}
    entry = PlanEntry(
        path.name, "", "", backend, "10.13.2.6", ("8.9",), "linux-x86_64", False, False, profile, "float32", 1.0, 1
    )
    return TensorRtEngine(path, entry, INPUTS, OUTPUTS, device or Device())


def rows(count: int, first: float = 0.0) -> np.ndarray:
    return np.arange(3 * count, dtype=np.float32).reshape(count, 3) + np.float32(first)


def shift(by: float = 1.0) -> np.ndarray:
    return np.asarray(by, np.float32)
