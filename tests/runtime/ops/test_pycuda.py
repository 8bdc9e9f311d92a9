"""The whole pipeline by real pycuda and NVIDIA's real bindings, on a driver that runs on the host: see .ci/pycuda.

What tests/test_on_gpu.py shows on a stand-in for pycuda, this shows of pycuda itself: names and types of calls, the
context that each needs, what may not be done while a stream is recorded. TensorRT is the stand-in here, too.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.benchmarks.test_bench_gpu import TRIAL, measured
from tests.runtime.ops.test_cuda_ops import FRAMES, WAYS, Found, found_in, same
from tests.support.gpu import host_driver
from tests.support.gpu.fake_tensorrt import tensorrt
from tests.support.gpu.gpu_stand_in import VERSION, load_stand_ins, stand_in_bundle
from tests.support.opencv_code import own_code

from samotion.benchmarks import bench
from samotion.benchmarks.report.measurement import timings
from samotion.benchmarks.speed import latency
from samotion.benchmarks.speed.clips import made_clip
from samotion.benchmarks.speed.engine_inputs import BATCHED
from samotion.benchmarks.speed.gpu import stopwatch
from samotion.benchmarks.speed.gpu.gpu_kernels import CASES
from samotion.engines.bundle import Bundle
from samotion.runtime import cli
from samotion.runtime.cli import DEMO
from samotion.runtime.ops.cuda_ops import arrays_for
from samotion.runtime.ops.numpy_ops import HOST
from samotion.runtime.pipeline import segment
from samotion.runtime.sources.open import read_clip
from samotion.runtime.values import Clip

pytestmark = pytest.mark.skipif(
    host_driver.driver is None, reason="needs pycuda on a driver of the host's: run .ci/pycuda"
)
CALLS = (
    *("cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemcpyHtoDAsync_v2", "up, not pinned"),
    *("cuLaunchKernel", "cuGraphLaunch", "cuStreamBeginCapture_v2"),
)


@pytest.fixture(scope="module", autouse=True)
def opencv_s_own() -> Iterator[None]:
    with own_code():
        yield


@pytest.fixture(scope="module")
def clip() -> Clip:
    return read_clip(DEMO).part(slice(0, FRAMES))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small clip in which nano finds an object."""
    with Bundle.load() as bundle:
        folder = tmp_path_factory.mktemp("clips")
        return made_clip(folder, lambda clip: int(len(segment(clip, bundle).masks.values) > 0), 1, 12, 240, 428)


@pytest.fixture(scope="module")
def wanted(clip: Clip) -> dict[str, Found]:
    with Bundle.load(threads=1) as host:
        return {way: found_in(clip, host, way, HOST) for way in WAYS}


@pytest.mark.parametrize(("way", "most_objects"), [("as shipped", 16), ("as published", 1)])
def test_pycuda_gives_the_cpu_s_answers(
    way: str, most_objects: int, clip: Clip, wanted: dict[str, Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = host_driver.Memory()
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(memory, VERSION))  # type: ignore[arg-type]
    seen = []
    before = {call: memory.count(call) for call in CALLS}
    with stand_in_bundle(most_objects) as bundle:
        for _ in range(3):
            same(found_in(clip.part(slice(None)), bundle, way, arrays_for(bundle)), wanted[way])
            seen.append({call: memory.count(call) for call in CALLS})
    first, last = ({call: b[call] - a[call] for call in CALLS} for a, b in ((before, seen[0]), (seen[1], seen[2])))
    assert first["cuMemAlloc_v2"]
    assert first["cuStreamBeginCapture_v2"] > 5
    assert last["cuGraphLaunch"] > first["cuGraphLaunch"] > 50
    assert last["cuLaunchKernel"] == first["cuLaunchKernel"] > 50
    assert last["cuMemcpyHtoDAsync_v2"]
    for call in ("cuMemAlloc_v2", "cuMemHostAlloc", "cuStreamBeginCapture_v2", "up, not pinned"):
        assert not last[call], call
    left = {call: memory.count(call) - before[call] for call in CALLS}
    assert left["cuMemAlloc_v2"] == left["cuMemFree_v2"], "all is given back"


def test_engines_and_kernels_are_timed_by_pycuda_s_events(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(host_driver.Memory(), VERSION))  # type: ignore[arg-type]
    monkeypatch.setattr(stopwatch, "AHEAD", 1024)
    monkeypatch.setattr(latency, "SIZES", dict.fromkeys(latency.SIZES, (1,)))
    monkeypatch.setattr(bench, "QUICK", TRIAL)
    load_stand_ins(monkeypatch)
    result = measured("tensorrt", made, tmp_path / "gpu.json")
    engines, kernels = timings(result, "gpu engines"), timings(result, "gpu kernels")
    assert {one.name for one in engines} == BATCHED.keys()
    assert [(one.name, one.variant) for one in kernels] == list(CASES)
    assert all(min(part) > 0 for one in (*engines, *kernels) for part in one.rounds)
    assert result["environment"]["gpu"]["name"] == "host"


def test_the_command_gives_the_cpu_s_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clips in windows, objects carried from one to the next, written while the next is worked on."""
    clips = [shutil.copy(DEMO, tmp_path / f"{name}.mp4") for name in ("one", "two")]
    command = [*map(str, clips), "--window", "24", "--overlap", "6", "--quiet", "--threads", "1", "-o"]
    assert cli.main([*command, str(tmp_path / "cpu")]) == 0
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(host_driver.Memory(), VERSION))  # type: ignore[arg-type]
    load_stand_ins(monkeypatch)
    assert cli.main([*command, str(tmp_path / "gpu"), "--provider", "tensorrt"]) == 0
    wanted = sorted((tmp_path / "cpu").glob("*/masks/*.png"))
    assert len(wanted) == 96
    for mask in wanted:
        assert mask.read_bytes() == (tmp_path / "gpu" / mask.relative_to(tmp_path / "cpu")).read_bytes(), mask
