"""The shipped bundle on a GPU that is not there: engines over ONNX Runtime, GPU memory over the host's."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from tests.support.gpu.fake_cuda import Memory
from tests.support.gpu.fake_driver import cuda_driver
from tests.support.gpu.fake_pycuda import pycuda_driver
from tests.support.gpu.fake_tensorrt import tensorrt

from samotion.engines import bundle as bundles
from samotion.engines.bundle import EMBEDDED, Bundle
from samotion.engines.manifest import Manifest, PlanEntry, read
from samotion.engines.ort import session
from samotion.export.plans.profiles import profile

VERSION = "10.13.2.6"


def install(patch: pytest.MonkeyPatch, seed: int | None = None) -> Memory:
    """Put the stand-ins where pycuda, cuda-bindings and TensorRT would be; return the GPU's memory (seed: its)."""
    memory = Memory(seed)
    driver = pycuda_driver(memory)
    patch.setitem(sys.modules, "pycuda", type(sys)("pycuda"))
    patch.setattr(sys.modules["pycuda"], "driver", driver, raising=False)
    patch.setitem(sys.modules, "pycuda.driver", driver)
    patch.setitem(sys.modules, "cuda.bindings.driver", cuda_driver(memory))
    patch.setitem(sys.modules, "tensorrt", tensorrt(memory, VERSION))
    return memory


def stand_in_bundle(most_objects: int = 16) -> Bundle:
    """Return the shipped bundle with its graphs in place of plans; see ``stand_in_manifest``."""
    return Bundle(EMBEDDED, stand_in_manifest(most_objects), "tensorrt", 1)


def load_stand_ins(patch: pytest.MonkeyPatch) -> None:
    """Let the shipped bundle load with provider "tensorrt" as if its plans were built for this machine."""
    manifest = stand_in_manifest()
    patch.setattr(bundles, "read", lambda _: manifest)
    patch.setattr(bundles, "require_plans", lambda *_: None)


def stand_in_manifest(most_objects: int = 16) -> Manifest:
    """Return the shipped bundle's manifest, graphs in place of plans in the profiles of real ones.

    most_objects: that a plan takes at once.
    """
    manifest = read(EMBEDDED)
    plans = {}
    for name, entry in manifest.graphs.items():
        shapes = profile(manifest, name)
        for spec in entry.inputs:
            least, best, most = shapes[spec.name]
            most = tuple(most_objects if axis == "K" else n for axis, n in zip(spec.shape, most, strict=True))
            shapes[spec.name] = least, best, most
        plans[name] = PlanEntry(
            entry.file, "", "", "tensorrt", VERSION, ("8.9",), "linux", False, False, shapes, "float32", 1.0, 1
        )
    return replace(manifest, plans={"tensorrt": plans})


def stand_in_onnx_runtime(patch: pytest.MonkeyPatch, memory: Memory) -> None:
    """Let ONNX Runtime's CPU pass for its CUDA provider, on the stream that a session was told to work on."""
    memory.strangers = True  # its own memory, which answers stay in

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
        def __init__(self, path: Path, options: Any, providers: list[tuple[str, dict[str, str]]]) -> None:
            options.intra_op_num_threads = 1
            super().__init__(path, options, providers=["CPUExecutionProvider"])
            ((_, settings),) = providers
            stream = settings.get("user_compute_stream")  # one that binds nothing has no device of ours
            self._stream = memory.streams[int(stream)] if stream else None

        def run_with_iobinding(self, binding: Any) -> None:
            assert self._stream is not None
            self._stream.run_to(self._stream.issued)
            super().run_with_iobinding(binding)

    patch.setattr(onnxruntime, "InferenceSession", Session)
    patch.setattr(session, "PROVIDERS", {"cuda": "CPUExecutionProvider"})
    patch.setattr(session, "PLACE", "cpu")
