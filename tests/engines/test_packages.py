"""A missing or broken OpenCV or ONNX Runtime: one line with the command that helps, and exit status 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = "raise ImportError('libGL.so.1: cannot open shared object file')"
CASES = {
    "cv2 broken": ("cv2/__init__.py", BROKEN, "cv2 is broken (libGL.so.1", "&& pip install"),
    "cv2 half removed": (
        "cv2/__init__.py",
        "",
        "cv2 is broken (module 'cv2'",
        "pip uninstall -y",
    ),
    "cv2 missing": (
        "cv2.py",
        "raise ModuleNotFoundError(name='cv2')",
        "cv2 is not installed",
        "; pip install",
    ),
    "ONNX Runtime broken": (
        "onnxruntime.py",
        BROKEN,
        "onnxruntime is broken (libGL",
        "--force-reinstall",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_status_2(tmp_path: Path, case: str) -> None:
    file, code, problem, remedy = CASES[case]
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    there = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "samotion.runtime.cli", "--demo", "-o", str(tmp_path / "out")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": there}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert problem in done.stderr
    assert remedy in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_library_raises_the_same_line(tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise ModuleNotFoundError(name='cv2')")
    there = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = "import samotion\ntry:\n    samotion.load()\nexcept samotion.SamotionError as error:\n    print(error)"
    command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": there}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cv2 is not installed; pip install")
    assert not done.stderr
