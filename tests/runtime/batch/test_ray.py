"""Jobs on a Ray cluster of two nodes on this machine: killed workers, an input that crashes, one that hangs."""

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.paths import ROOT

from samotion.engines.errors import EngineError
from samotion.runtime.batch import ray_pool
from samotion.runtime.batch.dispatch import TRIES
from samotion.runtime.batch.inputs import Input
from samotion.runtime.batch.job_list import Plan, run_job
from samotion.runtime.batch.ledger import Outcome
from samotion.runtime.batch.stretch import Stretch
from samotion.runtime.batch.worker import IsolatedWorker, Request
from samotion.runtime.cli import main
from samotion.runtime.output.formats.catalogue import DEFAULT

ray = pytest.importorskip("ray", reason="Ray is not installed")
CLIPS, SIDE, FRAMES = 40, 48, 6


class WorkerUnderTest(IsolatedWorker):
    """The real worker, but for two inputs that no worker survives; it leaves a note of what it is at."""

    def run(self, item: Input | Stretch) -> Outcome:
        assert isinstance(item, Input)
        if item.name == "crashes":
            os._exit(1)
        if item.name == "hangs":
            time.sleep(3600)
        at = Path(item.path).parents[1] / "at" / str(os.getpid())
        at.write_text(item.name)
        try:
            return super().run(item)
        finally:
            at.unlink()


def clip(folder: Path, seed: int, frames: int = FRAMES) -> None:
    """A few frames of a texture with a square that moves over it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    ground = rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    for t in range(frames):
        image = ground.copy()
        image[10:26, 4 * t : 4 * t + 16] = seed * 5 % 255
        Image.fromarray(image).save(folder / f"{t}.png")


def request(out: Path) -> Request:
    return Request(
        engines=None,
        provider="cpu",
        threads=1,
        published=False,
        settings={"max_tracks": 40},
        out=out,
        fps=Fraction(24),
        memory=None,
        formats=DEFAULT,
        dilate=0,
        report=False,
        overlay=False,
        audio=False,
        hashed=False,
        quiet=True,
    )


def masks(out: Path) -> dict[str, list[bytes]]:
    """Every result's masks, as bytes."""
    return {
        folder.name: [path.read_bytes() for path in sorted((folder / "masks").iterdir())]
        for folder in sorted(out.iterdir())
        if folder.is_dir()
    }


def statuses(out: Path) -> dict[str, str]:
    with (out / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: row["status"] for row in rows}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import what this process imports."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / ".dev"), str(ROOT)]))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


@pytest.mark.usefixtures("environment")
def test_a_cluster_that_is_started_here_gives_the_plain_run_s_masks(tmp_path: Path) -> None:
    for number in range(2):
        clip(tmp_path / "in" / str(number), number)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video")
    options = ["--max-tracks", "40", "--no-overlay", "--quiet", "--threads", "1"]
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "plain"), *options]) == 2
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "ray"), *options, "--ray", "local"]) == 2
    assert masks(tmp_path / "ray") == masks(tmp_path / "plain")
    assert statuses(tmp_path / "ray") == {"0": "done", "1": "done", "broken": "failed"}


def test_no_cluster_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip(tmp_path / "in" / "a", 0, 1)
    assert main([str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--quiet", "--ray", "127.0.0.1:1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_ray_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(EngineError, match=r"pip install 'samotion\[ray\]'"):
        ray_pool.RayPool("local", request(tmp_path))


@pytest.fixture
def cluster() -> Iterator[str]:
    """Two nodes of one core each."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    ray.shutdown()
    nodes.shutdown()  # type: ignore[no-untyped-call]


def kill_some(at: Path, ended: threading.Event, killed: Counter[str]) -> None:
    """Kill the worker at some input every few seconds; three times at the same one would be that input's failure."""
    rng = random.Random(0)
    while not ended.wait(4):
        busy = [(int(path.name), path.read_text()) for path in at.iterdir()]
        if victims := [(process, name) for process, name in busy if name and killed[name] < TRIES - 1]:
            process, name = rng.choice(victims)
            killed[name] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            (at / str(process)).unlink(missing_ok=True)


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_killed_crashing_and_hanging_workers_cost_only_their_own_input(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(CLIPS - 2):
        clip(tmp_path / "in" / f"{number:02d}", number)
    plain, out = tmp_path / "plain", tmp_path / "out"
    assert run_job([str(tmp_path / "in")], request(plain), Plan()) == 0
    clip(tmp_path / "in" / "crashes", 1)
    clip(tmp_path / "in" / "hangs", 2)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(ray_pool, "IsolatedWorker", WorkerUnderTest)
    (tmp_path / "at").mkdir()
    ended, killed = threading.Event(), Counter[str]()
    killer = threading.Thread(target=kill_some, args=(tmp_path / "at", ended, killed))
    killer.start()
    try:
        assert run_job([str(tmp_path / "in")], request(out), Plan(ray=cluster, limit=60)) == 2
    finally:
        ended.set()
        killer.join()
    assert killed.total() > 2
    assert masks(out) == masks(plain)
    assert {name for name, status in statuses(out).items() if status == "failed"} == {"crashes", "hangs"}
    assert len(statuses(out)) == CLIPS
    failures = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    assert {failure["name"]: failure["message"] for failure in failures} == {
        "crashes": "the worker that was at it died, 3 times",
        "hangs": "not done within 60 s",
    }
    assert not list(out.glob(".*"))


@pytest.mark.slow
@pytest.mark.usefixtures("environment")
def test_a_killed_job_goes_on_where_it_was(tmp_path: Path, cluster: str) -> None:
    for number in range(12):
        clip(tmp_path / "in" / f"{number:02d}", number)
    out = tmp_path / "out"
    options = ["--max-tracks", "40", "--no-overlay", "--quiet", "--ray", cluster, "--threads", "1"]
    command = [sys.executable, "-m", "samotion.runtime.cli", str(tmp_path / "in"), "-o", str(out), *options]
    driver = subprocess.Popen(command)
    while len(list(out.glob("*/result.json"))) < 4:
        time.sleep(0.1)
        assert driver.poll() is None
    driver.kill()
    driver.wait()
    time.sleep(5)  # the cluster ends the workers of a driver that is gone
    before = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    subprocess.run([*command, "--resume"], check=True)
    after = {path.parent.name: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    assert len(after) == 12
    assert {name: after[name] for name in before} == before
    assert set(statuses(out).values()) == {"done"}
    assert not list(out.glob(".*.partial*"))
