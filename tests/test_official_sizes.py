"""The published sizes end to end on random weights: plumbing, memory, shapes. Takes minutes and gigabytes."""

import json
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.video_files import picture, write_image

from samotion.engines.bundle import Bundle
from samotion.export.bundle import write
from samotion.export.presets import choose
from samotion.runtime.cli import main

pytestmark = pytest.mark.slow

MEMORY = 16 * 2**30


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "fast"
    manifest = write(choose("fast"), "random:0", folder, print)
    assert all(error < 1e-3 for entry in manifest.graphs.values() for error in entry.parity.values())
    return folder


def test_export_keeps_within_its_memory(fast: Path) -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < MEMORY
    with Bundle.load(fast) as bundle:
        assert bundle.name == "fast"
        assert set(bundle.manifest.licences.values()) == {"none (random weights)"}


def test_the_whole_system_runs(fast: Path, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for index in range(3):
        write_image(tmp_path / "clip" / f"{index}.png", np.roll(picture(48, 64), 2 * index, axis=1))
    options = ["--engines", str(fast), "--parity", "--max-tracks", "40", "--step", "2", "--quiet"]
    assert main([str(tmp_path / "clip"), "-o", str(tmp_path / "out"), *options]) == 0
    out = tmp_path / "out" / "clip"
    record = json.loads((out / "result.json").read_text())
    assert record["bundle"]["name"] == "fast"
    # --parity takes the best three tracks at least, so SAM2 has run.
    assert {"tracks", "depth", "features", "motion", "encoder", "grouping", "masks"} <= set(record["seconds"])
    masks = sorted((out / "masks").iterdir())
    assert [np.asarray(Image.open(mask)).shape for mask in masks] == [(48, 64)] * 3
