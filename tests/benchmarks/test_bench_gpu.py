"""samotion-bench gpu: every engine and kernel by events on its own stream, its tables and goals.

Without a GPU it runs on stand-ins (gpu_stand_in), whose streams note when they reach an event.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.gpu import fake_cuda
from tests.support.gpu.fake_cuda import FakeLogicError, Memory
from tests.support.gpu.gpu_real import shipped_for
from tests.support.gpu.gpu_stand_in import install, load_stand_ins, stand_in_onnx_runtime
from tests.support.gpu.kernels_host import kernels_of
from tests.support.paths import GOLDEN, ROOT

from samotion.benchmarks import bench
from samotion.benchmarks.report import environment, markdown
from samotion.benchmarks.report.compare import differences, lines
from samotion.benchmarks.report.goals import goals, gpu_goals
from samotion.benchmarks.report.measurement import Timing, timings
from samotion.benchmarks.report.record import read, write
from samotion.benchmarks.speed import latency, suite
from samotion.benchmarks.speed.clips import made_clip
from samotion.benchmarks.speed.engine_inputs import BATCHED
from samotion.benchmarks.speed.gpu import stopwatch
from samotion.benchmarks.speed.gpu.gpu_kernels import CASES, Case
from samotion.calibration.comparison.paired_timing import Effort
from samotion.engines.bundle import Bundle
from samotion.engines.errors import EngineError
from samotion.engines.machine import Gpu, Machine, this_machine
from samotion.engines.trt.flavours import BACKENDS
from samotion.runtime.kernels.compile import SOURCES
from samotion.runtime.pipeline import segment

PAGE = ROOT / "docs" / "results" / "speed.md"
RESULT = GOLDEN / "bench.json"
H100 = Machine("linux-x86_64", "13.0", Gpu("NVIDIA H100 80GB HBM3", "9.0", 80 << 30, 79 << 30))
TRIAL = suite.Plan(12, 240, 428, 2, 1, Effort(rounds=1, seconds=0, fewest=2, warm_up=0))
SIZES = (1, 2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with Bundle.load() as bundle:
        folder = tmp_path_factory.mktemp("clips")
        return made_clip(folder, lambda clip: int(len(segment(clip, bundle).masks.values) > 0), 1, 12, 240, 428)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Memory:
    """That of a GPU that is not there, and a small plan."""
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path))
    monkeypatch.setattr(stopwatch, "AHEAD", 1024)
    monkeypatch.setattr(environment, "this_machine", lambda: H100)
    monkeypatch.setattr(latency, "SIZES", dict.fromkeys(latency.SIZES, SIZES))
    monkeypatch.setattr(bench, "QUICK", TRIAL)
    return install(monkeypatch)


@pytest.fixture
def timed(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any, int]]:  # noqa: ARG001
    """By sample: the streams of its two events and how many commands lie between."""
    found: list[tuple[Any, Any, int]] = []
    time_till = fake_cuda.Event.time_till

    def noted(begin: fake_cuda.Event, end: fake_cuda.Event) -> float:
        found.append((begin.on, end.on, end.place - begin.place - 1))
        return time_till(begin, end)

    monkeypatch.setattr(fake_cuda.Event, "time_till", noted)
    return found


@pytest.fixture
def started(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The kernels that were started for their own sake."""
    found: set[str] = set()
    start = Case.start

    def noted(case: Case, queue: Any) -> None:
        before = len(memory.log)
        start(case, queue)
        found.update(entry[1] for entry in memory.log[before:] if entry[0] == "kernel")

    monkeypatch.setattr(Case, "start", noted)
    return found


def measured(provider: str, clip: Path, out: Path) -> dict[str, Any]:
    """Return what the one command for a GPU writes."""
    arguments = ["gpu", "stages", "--quick", "--provider", provider, "--clip", str(clip), "-o", str(out)]
    assert bench.main(arguments) == 0
    return read(out, suite.PROGRAM)


def test_every_engine_and_kernel_is_timed_on_its_own_stream(
    memory: Memory,
    timed: list[tuple[Any, Any, int]],
    started: set[str],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load_stand_ins(monkeypatch)
    result = measured("tensorrt", clip, tmp_path / "gpu.json")
    engines, kernels = timings(result, "gpu engines"), timings(result, "gpu kernels")
    assert {one.name for one in engines} == BATCHED.keys()
    assert {(one.name, one.size) for one in engines} >= {(graph, size) for graph in BATCHED for size in SIZES}
    assert {one.size for one in engines if one.name == "track_head"} == {*SIZES, 16}  # the pipeline's own
    assert [(one.name, one.variant) for one in kernels] == list(CASES)
    assert started == {kernel for source in SOURCES for kernel in kernels_of(source)}
    assert all(len(part) == 2 and min(part) > 0 for one in (*engines, *kernels) for part in one.rounds)
    # Three calls to warm up and two to be timed of each, all between events on the stream that the work was on.
    assert len(timed) == 5 * (len(engines) + len(kernels))
    assert all(begin == end and between > 0 for begin, end, between in timed)
    of_engines, of_kernels = timed[: 5 * len(engines)], timed[5 * len(engines) :]
    assert len({stream for stream, _, _ in of_engines}) == len(BATCHED)
    assert {stream for stream, _, _ in of_engines} <= {entry[1] for entry in memory.log if entry[0] == "run"}
    assert len({stream for stream, _, _ in of_kernels}) == 1
    assert {one.name for one in timings(result, "stages")} > {"tracks", "clip to masks"}
    about = {"name": H100.gpu.name, "compute_capability": "9.0", "memory": 80 << 30} if H100.gpu else {}
    assert result["environment"]["gpu"] == {**about, "driver": "13.0"}
    printed = capsys.readouterr().out
    assert "NVIDIA H100 80GB HBM3 (9.0), 80.0 GiB, driver for CUDA 13.0, " in printed
    assert "not measured" not in printed
    for one in (*engines, *kernels):
        assert f"| {one.name} {one.variant}".rstrip() + f" | {one.amount} | " in printed
    assert (
        lines(result, result)[-1] == f"of {len(result['timings'])}: 0 faster, 0 slower, {len(result['timings'])} "
        "no difference shown"
    )


def test_onnx_runtime_s_engines_are_timed_too(
    memory: Memory,
    timed: list[tuple[Any, Any, int]],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in_onnx_runtime(monkeypatch, memory)
    found = timings(measured("cuda", clip, tmp_path / "gpu.json"))
    assert {one.name for one in found if one.group == "gpu engines"} == BATCHED.keys()
    assert sum(one.group == "gpu kernels" for one in found) == len(CASES)
    assert all(begin == end for begin, end, _ in timed)


def test_every_call_of_the_kernels_table_is_a_case() -> None:
    rows = re.findall(
        r"^\| .*?\(`(\w+\.\w+)`\)", (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert list(dict.fromkeys(name for name, _ in CASES)) == rows


def test_batch_sizes_are_those_that_plans_take(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(latency, "SIZES", {"frames": (1, 9), "points": (8, 256), "tracks": (7,), "objects": (1, 64)})
    load_stand_ins(monkeypatch)
    with Bundle.load(provider="tensorrt") as bundle, Bundle.load() as host:
        assert [latency.sizes(bundle, graph) for graph in ("depth", "track_head", "motion")] == [[1], [8], [7]]
        assert latency.sizes(bundle, "memory_attention") == [1]
        assert latency.sizes(host, "memory_attention") == [1, 64]


def test_without_a_gpu_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["gpu", "stages"]) == 2
    assert capsys.readouterr().err == (
        "samotion-bench: error: 'gpu' is measured on a GPU, and the provider is cpu, expected cuda, tensorrt or "
        "tensorrt-rtx; add --provider tensorrt-rtx --engines DIR, or leave 'gpu' out\n"
    )


@pytest.mark.parametrize(("provider", "left_out"), [("cpu", {"gpu"}), ("tensorrt", {"torch", "roofline"})])
def test_everything_is_what_the_provider_allows(
    provider: str,
    left_out: set[str],
    clip: Path,
    memory: Memory,  # noqa: ARG001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def noting(name: str) -> Callable[[Any], list[Timing]]:
        return lambda _: seen.append(name) or []  # type: ignore[func-returns-value]

    known = {name: noting(name) for name in suite.MEASUREMENTS}
    monkeypatch.setattr(suite, "MEASUREMENTS", known)
    load_stand_ins(monkeypatch)
    suite.measure([], suite.Target(provider=provider, clip=clip), TRIAL)
    assert seen == [name for name in known if name not in left_out]


def test_a_gpu_that_fails_is_one_line(memory: Memory, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_stand_ins(monkeypatch)
    monkeypatch.setattr(stopwatch, "AHEAD", memory.limit + 1)
    with pytest.raises(EngineError, match="out of memory"):
        suite.measure(["gpu"], suite.Target(provider="tensorrt", clip=clip), TRIAL)


def result_on(gpu: str, bundle: str, objects: int = 3, slow: float = 1.0) -> dict[str, Any]:
    """Return a result whose 60 frames take two seconds, and whose graphs take 3 ms, times ``slow``."""
    whole = Timing("stages", "clip to masks", [[2.0 * slow]] * 3, "", 60, "frames",
                   {"width": 854, "height": 480, "objects": objects})  # fmt: skip
    graphs = [
        Timing("gpu engines", graph, [[0.003 * slow * size] * 2] * 3, "", size, unit)
        for graph, (_, unit) in BATCHED.items()
        for size in (1, 4)
    ]
    made = read(RESULT, suite.PROGRAM)
    made["environment"]["gpu"] = {"name": gpu, "compute_capability": "9.0", "memory": 2**36, "driver": "13.0"}
    made["bundle"] |= {"name": bundle, "provider": "tensorrt-rtx"}
    return {**made, "timings": [one.record() for one in (whole, *graphs)]}


def judged(*results: dict[str, Any]) -> list[tuple[str, bool | None]]:
    return [(goal.measured, goal.met) for goal in gpu_goals(results)]


def test_the_aims_are_judged_on_an_h100_alone() -> None:
    nothing = [("*not measured*", None)] * 2
    assert judged() == nothing
    assert judged(result_on("NVIDIA GeForce RTX 4090", "paper")) == nothing
    assert judged(result_on("NVIDIA H100 PCIe", "nano")) == nothing
    assert judged(read(RESULT, suite.PROGRAM)) == nothing
    assert judged(result_on("NVIDIA H100 PCIe", "paper")) == [("30.0", True), ("12 ms", True)]
    assert judged(result_on("NVIDIA H100 PCIe", "paper", slow=1.3)) == [("23.1", False), ("15.6 ms", False)]
    assert judged(result_on("NVIDIA H100 PCIe", "paper", objects=2)) == [nothing[0], ("12 ms", True)]
    both = result_on("NVIDIA H100 PCIe", "paper"), result_on("NVIDIA H100 PCIe", "nano", slow=0.1)
    assert judged(*both) == judged(both[0])


def test_a_cpu_s_bar_is_not_a_gpu_s() -> None:
    found = {goal.name: (goal.wanted, goal.met) for goal in goals(result_on("NVIDIA H100 PCIe", "nano", slow=9))}
    assert found == {"frames a second, clip to masks, 854×480": ("stated", None)}
    assert len(goals(result_on("NVIDIA H100 PCIe", "paper"))) == 3


def test_a_comparison_names_both_gpus() -> None:
    now, then = result_on("NVIDIA H100 PCIe", "nano"), result_on("NVIDIA L4", "nano")
    assert differences(now, then) == ["note: GPUs differ: name NVIDIA H100 PCIe (was NVIDIA L4)"]


def test_a_readme_says_what_was_measured_on_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme, gpu = tmp_path / "README.md", tmp_path / "gpu.json"
    markers = markdown.BEGIN, markdown.END, markdown.GPU_BEGIN, markdown.GPU_END
    readme.write_text("\n".join(markers))
    write(gpu, result_on("NVIDIA H100 PCIe", "paper"))
    arguments = ["--from", str(RESULT), "--readme", str(readme)]
    assert bench.main([*arguments, "--gpu", str(gpu)]) == 0
    text = readme.read_text().partition(markdown.GPU_BEGIN)[2]
    assert "NVIDIA H100 PCIe (9.0), 64.0 GiB, driver for CUDA 13.0, 2 cores of Example CPU" in text
    assert "| at least 25 | 30.0 | met |" in text
    assert "| mask_encoder | 4 frames | 12 ms | 12 ms | 12 ms | 333 | 6 |" in text
    assert "### Stage by stage" in text
    readme.write_text("\n".join(markers[:2]))  # a README need not say anything of a GPU
    assert bench.main(arguments) == 0
    assert bench.main([*arguments, "--gpu", str(gpu)]) == 2
    assert "expected the lines <!-- gpu: begin -->" in capsys.readouterr().err
    assert bench.main([*arguments, "--gpu", str(RESULT)]) == 2
    assert "bench.json: measured on cpu, expected a result from a GPU" in capsys.readouterr().err


def test_the_page_of_speed_is_what_the_command_writes(tmp_path: Path) -> None:
    copy, results = tmp_path / "speed.md", ROOT / "benchmarks" / "results"
    text = PAGE.read_text(encoding="utf-8")
    copy.write_text(text, encoding="utf-8")
    arguments = ["--from", str(results / "bench.json"), "--readme", str(copy)]
    for path in sorted(results.glob("gpu-*.json")):
        arguments += ["--gpu", str(path)]
    assert bench.main(arguments) == 0
    assert copy.read_text(encoding="utf-8").partition(markdown.GPU_BEGIN)[2] == text.partition(markdown.GPU_BEGIN)[2]


def test_events_tell_the_time_between_them_once_they_are_reached() -> None:
    stream, begin, end = fake_cuda.Stream(Memory()), fake_cuda.Event(), fake_cuda.Event()
    with pytest.raises(FakeLogicError, match="invalid resource handle"):
        begin.time_till(end)
    begin.record(stream)
    end.record(stream)
    with pytest.raises(FakeLogicError, match="not ready"):
        end.time_since(begin)
    stream.synchronize()
    assert begin.time_till(end) == end.time_since(begin) > 0


@pytest.mark.gpu
@pytest.mark.skipif(this_machine().gpu is None, reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("provider", ["cuda", *BACKENDS])
def test_on_a_real_gpu(provider: str, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    arguments = ["gpu", "stages", "--quick", "--provider", provider, "--clip", str(clip), "-o", str(out)]
    assert bench.main([*arguments, "--engines", str(shipped_for(provider, tmp_path))]) == 0
    result = read(out, suite.PROGRAM)
    here = this_machine().gpu
    assert here is not None
    assert result["environment"]["gpu"]["name"] == here.name
    assert {one.name for one in timings(result, "gpu engines")} == BATCHED.keys()
    assert [(one.name, one.variant) for one in timings(result, "gpu kernels")] == list(CASES)
