"""How long engines and kernels take on a GPU by its own clock, on what the pipeline gives them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.speed import latency
from samotion.benchmarks.speed.engine_inputs import BATCHED, batch_size
from samotion.benchmarks.speed.gpu import gpu_kernels
from samotion.benchmarks.speed.gpu.gpu_work import Work
from samotion.benchmarks.speed.gpu.stopwatch import Stopwatch
from samotion.calibration.comparison.paired_timing import Effort, Sample, sampled_in_turns
from samotion.calibration.recording.activations import Inputs
from samotion.engines.bundle import Bundle
from samotion.engines.device import Uploads
from samotion.engines.errors import EngineError, InputError
from samotion.runtime.kernels.device import CudaModules
from samotion.runtime.kernels.kernel_stream import KernelStream
from samotion.runtime.settings import Settings
from samotion.runtime.values import Clip

CAPTURED = 3  # calls of one shape after which a plan runs as a CUDA graph


def check_gpu(provider: str) -> None:
    """Raise InputError unless engines of ``provider`` run on a GPU."""
    if provider == "cpu":
        raise InputError(
            "'gpu' is measured on a GPU, and the provider is cpu, expected cuda, tensorrt or tensorrt-rtx; add "
            "--provider tensorrt-rtx --engines DIR, or leave 'gpu' out"
        )


def on_gpu(
    clip: Clip, bundle: Bundle, settings: Settings, recorded: Mapping[str, Inputs], effort: Effort
) -> list[Timing]:
    """Return timings of every graph of ``bundle``, in several batch sizes, and of every kernel call.

    recorded: what the pipeline fed each graph over ``clip``. Raises EngineError where the GPU fails, InputError
    where the bundle runs on the CPU.
    """
    check_gpu(bundle.provider)
    device: Any = bundle.device
    effort = replace(effort, warm_up=max(CAPTURED, effort.warm_up))
    try:
        with device.active():
            watch, stream = Stopwatch(device), KernelStream(device, CudaModules(device), Uploads(device))
        work = Work.of(clip, settings, bundle, recorded, stream)
        return [*_engines(bundle, recorded, stream, watch, effort), *_kernels(work, watch, effort)]
    except device.cuda.Error as error:
        raise EngineError(f"the GPU did not go on ({error}); free some of its memory, or take --quick") from error


def _engines(
    bundle: Bundle, recorded: Mapping[str, Inputs], stream: KernelStream, watch: Stopwatch, effort: Effort
) -> list[Timing]:
    """Return the timings of every graph, in the pipeline's own batch size and those of latency.SIZES."""
    cases = []
    samples: dict[str, Sample] = {}
    for graph in BATCHED:
        own = batch_size(graph, recorded[graph], bundle.manifest.graphs[graph].inputs)
        for size in sorted({own, *latency.sizes(bundle, graph)}):
            case = latency.Case.of(bundle, recorded, graph, size)
            call = partial(case.engine.on_device, **{name: stream.sent(array) for name, array in case.inputs.items()})
            samples[case.name] = partial(watch.seconds, next(iter(call().values())).stream, call)
            cases.append(case)
    rounds = sampled_in_turns(samples, effort)
    return [case.timing("gpu engines", rounds[case.name]) for case in cases]


def _kernels(work: Work, watch: Stopwatch, effort: Effort) -> list[Timing]:
    """Return the timings of every kernel call."""
    cases = {key: make(work) for key, make in gpu_kernels.CASES.items()}
    stream = work.stream.array((1,)).stream  # every array knows its stream
    samples = {
        " ".join(key): partial(watch.seconds, stream, partial(case.start, work.stream)) for key, case in cases.items()
    }
    rounds = sampled_in_turns(samples, effort)
    return [case.timing(key, rounds[" ".join(key)]) for key, case in cases.items()]
