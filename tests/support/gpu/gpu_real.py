"""The shipped bundle for a GPU that is really there."""

from pathlib import Path

import onnxruntime
import pytest

from samotion.engines.bundle import EMBEDDED
from samotion.engines.machine import this_machine
from samotion.engines.trt.flavours import BACKENDS, Target


def shipped_for(provider: str, folder: Path) -> Path:
    """Return where the shipped bundle is for ``provider``, its plans built in ``folder``; skips what is not there."""
    pytest.importorskip("pycuda")
    if provider in BACKENDS:
        trt = pytest.importorskip(BACKENDS[provider].module)
        if unknown := BACKENDS[provider].unknown(trt, this_machine()):
            pytest.skip(unknown)
        from samotion.export.plans.add import add_plans

        add_plans(EMBEDDED, folder / "bundle", provider, Target(), lambda _: None)
        return folder / "bundle"
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs ORT with CUDA")
    return EMBEDDED
