"""The same networks in PyTorch, as they are and compiled, against the bundle's engines on the same inputs."""

import importlib.util
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from samotion.benchmarks.report.environment import usable_cores
from samotion.benchmarks.report.measurement import Timing
from samotion.benchmarks.speed.engine_inputs import BATCHED, batch_size
from samotion.calibration.comparison.paired_timing import Effort, in_turns
from samotion.calibration.recording.activations import Inputs
from samotion.engines.bundle import Bundle
from samotion.engines.errors import EngineError

if TYPE_CHECKING:
    from samotion.export.networks.spec import GraphSpec

SAME = 1e-3  # relative error up to which both sides count as the same network


def check_torch() -> None:
    """Raise EngineError where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnx") is None:
        raise EngineError(
            "comparing with PyTorch needs PyTorch and ONNX: pip install 'samotion[export]', or leave 'torch' out"
        )


def against_torch(bundle: Bundle, recorded: Mapping[str, Inputs], threads: int, effort: Effort) -> list[Timing]:
    """Return timings of every graph on the inputs that the pipeline fed it: "onnx", "eager" and "compiled".

    PyTorch runs on the CPU with as many threads as the engines. Where a graph cannot be compiled, its "eager"
    timing says why and there is no "compiled" one. Raises EngineError where PyTorch is missing, answers otherwise
    than the engine, or where the bundle runs elsewhere than on the CPU.
    """
    check_torch()
    if bundle.provider != "cpu":
        raise EngineError(f"PyTorch is compared on the CPU alone, and the bundle runs on {bundle.provider}")
    import torch

    torch.set_num_threads(threads or usable_cores())
    found = []
    with torch.inference_mode():
        for spec in _specs(bundle):
            found += _graph(spec, bundle, recorded[spec.name], effort)
    return found


def _specs(bundle: Bundle) -> "list[GraphSpec]":
    """Return the graphs of the bundle's preset in PyTorch, with its weights; never downloads any."""
    from samotion.export.presets import choose
    from samotion.export.weights.sources import sources

    found = sources(choose(bundle.name), None, True, print)
    return [spec for source in found.values() for spec in source.network.graphs(source.filled())]


def _graph(spec: "GraphSpec", bundle: Bundle, inputs: Inputs, effort: Effort) -> list[Timing]:
    """Return the timings of one graph."""
    import torch

    engine, module = bundle.engine(spec.name), spec.module.eval()
    tensors = [torch.from_numpy(inputs[name]) for name in spec.inputs]
    eager = partial(module, *tensors)
    answer = engine(**inputs)
    _check_same(spec, answer, eager())
    calls: dict[str, Callable[[], object]] = {"onnx": partial(engine, **inputs), "eager": eager}
    facts: dict[str, dict[str, Any]] = {name: {} for name in ("onnx", "eager", "compiled")}
    begun = time.perf_counter()
    try:
        compiled = partial(torch.compile(module, dynamic=False), *tensors)
        _check_same(spec, answer, compiled())
        calls["compiled"], facts["compiled"] = compiled, {"compile_seconds": time.perf_counter() - begun}
    except EngineError:
        raise
    except Exception as error:  # whatever the compiler meets: no compiler here, an operator it cannot lower
        facts["eager"] = {"not_compiled": f"{type(error).__name__}: {error}".splitlines()[0]}
    rounds = in_turns(calls, effort)
    size, unit = batch_size(spec.name, inputs, engine.inputs), BATCHED[spec.name][1]
    torch.compiler.reset()
    return [Timing("torch", spec.name, rounds[side], side, size, unit, facts[side]) for side in calls]


def _check_same(spec: "GraphSpec", answer: Mapping[str, Any], tensors: Any) -> None:
    """Raise EngineError unless PyTorch's answer is that of the engine."""
    for name, tensor in zip(spec.outputs, tensors if isinstance(tensors, tuple) else (tensors,), strict=True):
        wanted = tensor.numpy()
        error = float(np.linalg.norm(answer[name] - wanted) / max(float(np.linalg.norm(wanted)), 1e-12))
        if not error <= SAME:
            raise EngineError(
                f"{spec.name}: the engine's {name} is off PyTorch's by {error:.1e}, so these are not the same "
                "networks: export the bundle again from the shipped weights"
            )
