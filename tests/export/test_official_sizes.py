"""The published sizes end to end, by the two commands, on random weights: plumbing, memory, shapes.

Takes minutes and gigabytes.
"""

import dataclasses
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.seen_weights import write_seen_weights
from tests.support.video_files import picture, write_image

from samotion.engines.bundle import Bundle
from samotion.engines.manifest import read, save
from samotion.engines.trt.flavours import Target
from samotion.export.cli import main as export
from samotion.export.graph.file import LARGEST_INSIDE, entry_of
from samotion.export.graph.fp16 import to_half
from samotion.export.graph.index import View, load
from samotion.export.graph.index import save as save_model
from samotion.export.plans.add import add_plans
from samotion.export.precision.roles import roles
from samotion.runtime.cli import main as run

pytestmark = pytest.mark.slow

MEMORY = 16 * 2**30


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("bundles") / "fast"
    assert export(["--preset", "fast", "--weights", "random:0", "-o", str(folder)]) == 0
    yield folder
    shutil.rmtree(folder)  # pytest would keep its 779 MB for three more runs


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_every_graph_answers_as_pytorch_within_the_memory(fast: Path) -> None:
    assert peak() < MEMORY
    with Bundle.load(fast) as bundle:
        assert bundle.name == "fast"
        assert set(bundle.manifest.licences.values()) == {"none (random weights)"}
        for entry in bundle.manifest.graphs.values():
            assert entry.parity
            assert max(entry.parity.values()) < 1e-4


def test_every_graph_becomes_a_float16_plan(fast: Path, tmp_path: Path) -> None:
    """With the islands that no measuring is needed for: random weights show nothing of the others."""
    pytest.importorskip("tensorrt_rtx")
    manifest, graphs = read(fast), {}
    for name, entry in manifest.graphs.items():
        model = load(fast / entry.file)
        half = to_half(model, set().union(*roles(View(model)).exact.values()))
        save_model(half, tmp_path / entry.file, LARGEST_INSIDE)
        graphs[name] = dataclasses.replace(entry_of(tmp_path / entry.file), precision="float16")
    save(tmp_path, dataclasses.replace(manifest, graphs=graphs))
    plans = add_plans(tmp_path, tmp_path, "tensorrt-rtx", Target(), print).plans["tensorrt-rtx"]
    assert {name: plan.precision for name, plan in plans.items()} == dict.fromkeys(manifest.graphs, "float16")
    float32 = sum((fast / name).stat().st_size for entry in manifest.graphs.values() for name in entry.sha256)
    assert sum(plan.bytes for plan in plans.values()) < 0.65 * float32


def test_the_whole_system_runs(fast: Path, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for index in range(3):
        write_image(tmp_path / "clip" / f"{index}.png", np.roll(picture(48, 64), 2 * index, axis=1))
    options = ["--engines", str(fast), "--published", "--max-tracks", "40", "--step", "2", "--quiet"]
    assert run([str(tmp_path / "clip"), "-o", str(tmp_path / "out"), *options]) == 0
    out = tmp_path / "out" / "clip"
    record = json.loads((out / "result.json").read_text())
    assert record["bundle"]["name"] == "fast"
    # --published takes the best three tracks at least, so SAM2 has run.
    assert {"tracks", "depth", "features", "motion", "encoder", "grouping", "masks"} <= set(record["seconds"])
    masks = sorted((out / "masks").iterdir())
    assert [np.asarray(Image.open(mask)).shape for mask in masks] == [(48, 64)] * 3
    assert peak() < MEMORY


@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_a_clip_at_the_defaults_fits_the_memory(preset: str, tmp_path: Path) -> None:
    """40 frames of 854×480 with 5000 tracks, under weights with which all are seen, move and make objects."""
    write_seen_weights(preset, tmp_path / "weights")
    bundle = tmp_path / preset
    assert export(["--preset", preset, "--weights", str(tmp_path / "weights"), "-o", str(bundle)]) == 0
    (tmp_path / "clip").mkdir()
    for index in range(40):
        write_image(tmp_path / "clip" / f"{index:02}.png", np.roll(picture(480, 854), 3 * index, axis=1))
    command = [sys.executable, "-m", "samotion.runtime.cli", str(tmp_path / "clip"), "-o", str(tmp_path / "out")]
    subprocess.run([*command, "--engines", str(bundle), "--quiet"], check=True)  # a process whose peak is its own
    record = json.loads((tmp_path / "out" / "clip" / "result.json").read_text())
    print(preset, record["seconds"], record["memory"])
    assert {"motion", "masks"} <= set(record["seconds"])
    assert record["memory"]["peak"] < MEMORY
    shutil.rmtree(bundle)
