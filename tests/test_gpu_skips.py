"""A GPU test that is skipped where a GPU is expected fails."""

import os
import subprocess
import sys

import pytest
from tests.support.paths import ROOT


@pytest.mark.parametrize(("expected", "status"), [("0", 0), ("1", 1)])
def test_a_skip_fails_where_a_gpu_is_expected(expected: str, status: int) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/engines/ort/test_io_binding.py"]
    environment = {**os.environ, "SAMOTION_EXPECT_GPU": expected, "CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == status
    assert ("skipped though a GPU is expected here" in found.stdout) == bool(status)
