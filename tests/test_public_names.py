"""``import samotion``: light, typed, and just these names."""

import subprocess
import sys

import samotion

HEAVY = {"cv2", "onnxruntime", "numpy", "av"}
LIGHT = f"import sys, samotion; samotion.__version__; print(sorted({HEAVY} & set(sys.modules)))"


def test_the_public_names_are_there_and_few() -> None:
    assert dir(samotion) == samotion.__all__
    assert all(getattr(samotion, name).__doc__ for name in samotion.__all__ if name != "__version__")
    assert len(samotion.__all__) <= 8


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    answer = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
