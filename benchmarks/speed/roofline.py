"""How near every engine comes to what this processor can do: its arithmetic against a large matrix product."""

from collections.abc import Mapping
from functools import partial

import numpy as np

from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.speed.arithmetic import flops
from samotion.benchmarks.speed.engine_inputs import batch_size
from samotion.benchmarks.speed.latency import Case
from samotion.calibration.comparison.paired_timing import Effort, in_turns
from samotion.calibration.recording.activations import Inputs
from samotion.engines.bundle import Bundle
from samotion.engines.errors import InputError

PRODUCT, COPY = "float32 product", "copy"
SIDE = 1536  # of the matrices: large enough that their product is all arithmetic
COPIED = 2**27  # bytes: more than caches hold


def roofline(bundle: Bundle, recorded: Mapping[str, Inputs], effort: Effort) -> list[Timing]:
    """Return a timing of each engine on what the pipeline gives it, and of the peaks, all by turns in one run.

    Each states the floating-point operations of a call, and the bytes of its weights, inputs and answers.
    Raises InputError on a GPU, whose peaks are not measured.
    """
    if bundle.provider != "cpu":
        raise InputError("roofline measures the peak of a CPU; leave out --provider")
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((SIDE, SIDE), dtype=np.float32) for _ in range(2))
    source = np.ones(COPIED // 4, np.float32)
    into = np.empty_like(source)
    specs = {name: entry.inputs for name, entry in bundle.manifest.graphs.items()}
    cases = [
        Case.of(bundle, recorded, name, batch_size(name, given, specs[name])) for name, given in recorded.items()
    ]
    calls = {PRODUCT: partial(np.matmul, left, right), COPY: partial(np.copyto, into, source)}
    rounds = in_turns({**calls, **{case.graph: partial(case.engine, **case.inputs) for case in cases}}, effort)
    facts = {PRODUCT: {"flops": 2 * SIDE**3, "bytes": 0}, COPY: {"flops": 0, "bytes": 2 * COPIED}}
    found = [Timing("roofline", name, rounds[name], facts=facts[name]) for name in calls]
    return found + [_timing(bundle, case, rounds[case.graph]) for case in cases]


def _timing(bundle: Bundle, case: Case, rounds: list[list[float]]) -> Timing:
    """Return what was measured of one engine, with what a call has to compute and to move."""
    entry = bundle.manifest.graphs[case.graph]
    stored = sum((bundle.folder / file).stat().st_size for file in entry.sha256)
    tensors = (*case.inputs.values(), *case.engine(**case.inputs).values())
    timing = case.timing("roofline", rounds)
    timing.facts["flops"] = flops(bundle.folder / entry.file, case.inputs)
    timing.facts["bytes"] = stored + sum(array.nbytes for array in tensors)
    return timing
