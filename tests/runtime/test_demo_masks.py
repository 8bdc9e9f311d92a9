"""The demo's masks stay as recorded: to the bit on the recording CPU's type, nearly so on another.

Record them again after a change that is meant to move masks, such as another shipped bundle:

    SAMOTION_DAVIS=davis2016/val python -m tests.runtime.test_demo_masks

Two DAVIS clips, whose frames are not part of the project, are held by hashes where SAMOTION_DAVIS names the folder of
``<clip>/frames``.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.paths import GOLDEN

from samotion.benchmarks.report.environment import environment
from samotion.calibration.comparison.iou import mask_ious
from samotion.engines.manifest import EMBEDDED, read
from samotion.runtime.cli import main
from samotion.runtime.values import Bytes

FILE = GOLDEN / "demo_masks.npz"
RUNS = {"whole": (), "windows": ("--window", "24")}
COMPUTE = ("numpy", "onnxruntime", "opencv-python", "av")  # the packages whose arithmetic counts
DAVIS = os.environ.get("SAMOTION_DAVIS")
CLIPS = ("dog", "car-roundabout")
LEAST_IOU = 0.98  # of each object over the clip, where floating point rounds otherwise than where it was recorded


def drawn(options: tuple[str, ...]) -> Bytes:
    """Return the ids (T, H, W) that samotion-run writes of the demo."""
    with tempfile.TemporaryDirectory() as out:
        assert main(["--demo", "--no-overlay", "--quiet", "-o", out, *options]) == 0
        files = sorted(Path(out, "demo", "masks").iterdir())
        return np.stack([np.asarray(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), np.uint8) for file in files])


def bundle() -> str:
    """Return the digest of the shipped bundle."""
    return read(EMBEDDED).digest


def rounding() -> str:
    """Return what decides how floating point rounds here: the CPU's type and the versions that compute."""
    here = environment(on_gpu=False)
    return ", ".join([here["cpu"], *(f"{name} {here['versions'].get(name)}" for name in COMPUTE)])


@pytest.mark.parametrize("name", RUNS)
def test_masks_stay(name: str) -> None:
    golden = np.load(FILE)
    assert golden["bundle"] == bundle(), "another bundle is shipped: python -m tests.runtime.test_demo_masks"
    found, wanted = drawn(RUNS[name]), golden[name]
    if golden["rounding"] == rounding():
        moved = np.flatnonzero((found != wanted).any(axis=(1, 2)))
        assert not len(moved), f"masks moved in frames {moved.tolist()}"
    for number in sorted({*np.unique(found), *np.unique(wanted)} - {0}):
        same = float(mask_ious((found == number).reshape(1, -1), (wanted == number).reshape(1, -1)))
        assert same >= LEAST_IOU, f"object {number}: IoU {same:.4f}"


def digest(clip: str) -> str:
    """Return a hash of every mask that samotion-run writes of a DAVIS clip."""
    with tempfile.TemporaryDirectory() as out:
        frames = str(Path(str(DAVIS), clip, "frames"))
        assert main([frames, "--max-frames", "40", "--no-overlay", "--quiet", "-o", out]) == 0
        files = sorted(Path(out, "frames", "masks").iterdir())
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@pytest.mark.skipif(not DAVIS, reason="SAMOTION_DAVIS names no folder of DAVIS clips")
@pytest.mark.parametrize("clip", CLIPS)
def test_masks_of_real_clips_stay(clip: str) -> None:
    golden = np.load(FILE)
    if golden["rounding"] != rounding():
        pytest.skip(f"recorded where floating point rounds otherwise: {golden['rounding']}")
    assert golden[clip] == digest(clip)


if __name__ == "__main__":
    maps: dict[str, Any] = {name: drawn(options) for name, options in RUNS.items()}
    assert DAVIS, "SAMOTION_DAVIS names the folder of DAVIS clips"
    maps |= {clip: digest(clip) for clip in CLIPS}
    np.savez_compressed(FILE, allow_pickle=False, bundle=bundle(), rounding=rounding(), **maps)
    print(f"{FILE}: {FILE.stat().st_size} bytes, {rounding()}")
