"""TensorRT 10.x and 11.x, and TensorRT-RTX, behind one face: all that differs between them is said here.

From 11.0 every network is strongly typed; 10.x and RTX are asked for it, so that the precision in the graph is what
runs. TensorRT builds for the GPU of its machine; RTX compiles ahead of time without a GPU, for a list of compute
capabilities or for all that it knows from 8.0 on, and ends on the GPU.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from samotion.engines.errors import EngineError
from samotion.engines.machine import Machine
from samotion.engines.manifest import PlanEntry
from samotion.engines.trt.kernel_cache import KeptKernels

OLDEST = {"tensorrt": (10, 1), "tensorrt_rtx": (1, 1)}  # set_device_memory; get_engine_validity


@dataclass(frozen=True)
class Target:
    """What plans are built for. compute_capabilities: such as ("8.9",); none: what the backend does by itself.

    hardware_compatible: for every GPU from 8.0 on. version_compatible: also for later TensorRT. timing_cache: a file
    of measured kernels, read and added to.
    """

    compute_capabilities: tuple[str, ...] = ()
    hardware_compatible: bool = False
    version_compatible: bool = False
    timing_cache: Path | None = None


class TensorRT:
    """TensorRT 10.1 and later."""

    name = "tensorrt"
    module = "tensorrt"
    install = "pip install 'samotion[gpu]'"
    needs: Mapping[str, str] = {"pycuda": "pycuda", "cuda-bindings": "cuda.bindings"}  # packages, and their modules
    just_in_time = False  # whether it compiles kernels, and makes CUDA graphs of its runs, on the GPU by itself

    def load(self) -> ModuleType:
        """Return the Python module; raises EngineError where it is missing, broken or too old."""
        try:
            trt = importlib.import_module(self.module)
        except ImportError as error:
            broken = "" if isinstance(error, ModuleNotFoundError) and error.name == self.module else f" ({error})"
            raise EngineError(f"{self.name} is not installed here{broken}", self.install) from error
        oldest = OLDEST[self.module]
        if numbers(trt.__version__) < oldest:
            wanted = ".".join(map(str, oldest))
            raise EngineError(f"{self.name} {trt.__version__} is too old, expected {wanted} or later", self.install)
        return trt

    def network(self, trt: Any, builder: Any) -> Any:
        """Return an empty, strongly typed network."""
        return builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))

    def aim(self, target: Target, machine: Machine) -> tuple[str, ...]:
        """Return the compute capabilities that plans will be for; raises EngineError for what cannot be had."""
        if machine.gpu is None:
            raise EngineError(
                f"{self.name} builds plans on the GPU that they are for, and here is none ({machine}); build there, "
                f"or with --backend {RTX.name}, which needs no GPU"
            )
        here = machine.gpu.compute_capability
        if set(target.compute_capabilities) - {here}:
            raise EngineError(
                f"{self.name} builds for the GPU at hand alone, compute capability {here}, not for "
                f"{', '.join(target.compute_capabilities)}; build on such a GPU, or with --backend {RTX.name}"
            )
        if target.hardware_compatible and numbers(here) < (8, 0):
            raise EngineError(f"--hardware-compatible needs a GPU of compute capability 8.0 or later, here is {here}")
        return (here,)

    def configure(self, trt: Any, config: Any, target: Target) -> None:
        """Set on the builder's ``config`` what ``target`` asks for."""
        if target.version_compatible:
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        if target.hardware_compatible:
            config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        # Memory follows the shapes that come (RTX does so by itself); before 10.10 it is what the largest need.
        if resize := _members(trt.PreviewFeature).get("RUNTIME_ACTIVATION_RESIZE_10_10"):
            config.set_preview_feature(resize, True)

    def misfit(self, plan: PlanEntry, version: str, machine: Machine) -> str | None:
        """Return why ``plan`` cannot run with this ``version`` on this ``machine`` with a GPU, None if it can."""
        newer = plan.version_compatible and numbers(version) >= numbers(plan.version)
        if version != plan.version and not newer:
            return f"built by {self.name} {plan.version}, here is {version}"
        if plan.platform != machine.platform:
            return f"built on {plan.platform}, here is {machine.platform}"
        return self._wrong_gpu(plan, machine)

    def context(self, trt: Any, engine: Any, kernels: KeptKernels) -> Any:  # noqa: ARG002
        """Return what runs ``engine`` in memory of ours, None where it cannot be had. kernels: if just in time.

        Sized by the shapes that come, ours is less than the backend's own, which is for the largest allowed.
        """
        return engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)

    def unknown(self, trt: Any, machine: Machine) -> str | None:  # noqa: ARG002
        """Return why the release ``trt`` has no kernels for the GPU of ``machine``, None if it has or cannot tell."""
        return None

    def verdict(self, plan: Path) -> str | None:  # noqa: ARG002
        """Return what the backend itself says against ``plan``; TensorRT cannot be asked without loading it."""
        return None

    def _wrong_gpu(self, plan: PlanEntry, machine: Machine) -> str | None:
        here = machine.gpu.compute_capability if machine.gpu else "none"
        if here in plan.compute_capabilities or (plan.hardware_compatible and numbers(here) >= (8, 0)):
            return None
        return f"built for compute capability {', '.join(plan.compute_capabilities)}, this GPU has {here}"


class TensorRTRTX(TensorRT):
    """TensorRT-RTX 1.1 and later."""

    name = "tensorrt-rtx"
    module = "tensorrt_rtx"
    install = "pip install 'samotion[rtx]'"
    needs: Mapping[str, str] = {"pycuda": "pycuda"}
    just_in_time = True

    def aim(self, target: Target, machine: Machine) -> tuple[str, ...]:  # noqa: ARG002
        """Return the compute capabilities that plans will be for; raises EngineError for what cannot be had."""
        if target.hardware_compatible:
            raise EngineError(
                f"--hardware-compatible is for tensorrt; {self.name} plans fit every GPU that it knows from 8.0 on "
                "as they are, or those of --compute-capability"
            )
        if target.version_compatible:
            raise EngineError(
                f"{self.name} plans fit the release that built them alone; leave out --version-compatible"
            )
        if target.timing_cache:
            raise EngineError(f"{self.name} builds without timing anything; leave out --timing-cache")
        return target.compute_capabilities

    def configure(self, trt: Any, config: Any, target: Target) -> None:
        """Set the compute capabilities; raises EngineError for one that this release does not know."""
        if not target.compute_capabilities:
            return
        known = _capabilities(trt)
        config.num_compute_capabilities = len(target.compute_capabilities)
        for index, wanted in enumerate(target.compute_capabilities):
            if wanted not in known:
                raise EngineError(self._no_kernels(trt, wanted), OTHERWISE)
            config.set_compute_capability(known[wanted], index)

    def unknown(self, trt: Any, machine: Machine) -> str | None:
        """Return why the release ``trt`` has no kernels for the GPU of ``machine``: 9.0 for one, as far as 1.7."""
        here = machine.gpu.compute_capability if machine.gpu else None
        return self._no_kernels(trt, here) if here and here not in _capabilities(trt) else None

    def _no_kernels(self, trt: Any, capability: str) -> str:
        known = ", ".join(_capabilities(trt))
        return f"{self.name} {trt.__version__} has no kernels for compute capability {capability}, only for {known}"

    def misfit(self, plan: PlanEntry, version: str, machine: Machine) -> str | None:
        """Return why ``plan`` cannot run here: RTX plans fit one release, one processor and any system."""
        if version != plan.version:
            return f"built by {self.name} {plan.version}, here is {version}"
        if plan.platform.split("-")[-1] != machine.platform.split("-")[-1]:
            return f"built on {plan.platform}, here is {machine.platform}"
        return self._wrong_gpu(plan, machine)

    def context(self, trt: Any, engine: Any, kernels: KeptKernels) -> Any:
        """Return what runs ``engine`` in memory of ours, as a CUDA graph where a shape comes again.

        Kernels for a shape are compiled before it first runs. By default RTX compiles them meanwhile and changes to
        them when they are ready: the same clip would give other last bits from run to run, as time has it.
        """
        config = engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        config.dynamic_shapes_kernel_specialization_strategy = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        kernels.give(config)
        if hasattr(trt, "CudaGraphStrategy"):  # from 1.3 on
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        return engine.create_execution_context(config)

    def verdict(self, plan: Path) -> str | None:
        """Return what RTX reads in the plan's own header against it."""
        trt: Any = self.load()
        runtime = trt.Runtime(trt.Logger(trt.Logger.INTERNAL_ERROR))
        with plan.open("rb") as file:
            validity, flags = runtime.get_engine_validity(file.read(runtime.engine_header_size))
        if validity != trt.EngineValidity.INVALID:
            return None
        reasons = [name for name, flag in _members(trt.EngineInvalidityDiagnostics).items() if int(flags) & int(flag)]
        said = ", ".join(name.lower().replace("_", " ") for name in reasons)
        return f"refused by {self.name}" + (f": {said}" if said else "")

    def _wrong_gpu(self, plan: PlanEntry, machine: Machine) -> str | None:
        here = machine.gpu.compute_capability if machine.gpu else "none"
        if plan.compute_capabilities:
            return super()._wrong_gpu(plan, machine)
        return None if numbers(here) >= (8, 0) else f"built for compute capability 8.0 and later, this GPU has {here}"


RTX = TensorRTRTX()
OTHERWISE = "use --provider cuda on such a GPU, or --provider tensorrt with plans built there"
BACKENDS: Mapping[str, TensorRT] = {"tensorrt": TensorRT(), "tensorrt-rtx": RTX}


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version or compute capability, as far as they go: "10.13.2.6" as (10, 13, 2, 6)."""
    found = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        found.append(int(part))
    return tuple(found)


def _capabilities(trt: Any) -> dict[str, Any]:
    """Return the compute capabilities that this TensorRT-RTX builds for, such as "8.9", each with its value."""
    return {f"{name[2:-1]}.{name[-1]}": value for name, value in _members(trt.ComputeCapability).items()}


def _members(enumeration: Any) -> dict[str, Any]:
    """Return a binding's enumeration by name, without what stands for no value."""
    return {name: value for name, value in enumeration.__members__.items() if name not in ("NONE", "CURRENT")}
