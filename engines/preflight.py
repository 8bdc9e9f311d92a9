"""Will this bundle run here? Reported before anything is loaded, each problem with its remedy."""

import importlib.util
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from samotion.engines.bundle_files import hash_of, verify
from samotion.engines.errors import BundleError, EngineError
from samotion.engines.machine import Machine, this_machine
from samotion.engines.manifest import EMBEDDED, Manifest, PlanEntry
from samotion.engines.trt.flavours import BACKENDS, OTHERWISE, TensorRT

DRIVER = "install NVIDIA's driver, https://www.nvidia.com/drivers"
ONNX = "onnxruntime"
Problem = tuple[str, str]  # what is wrong, and its remedy


@dataclass(frozen=True)
class Finding:
    """What was found of one graph on one backend. problem: None where it fits. remedy: the command, or what to do."""

    backend: str
    graph: str
    detail: str
    problem: str | None = None
    remedy: str = ""


def check(
    folder: Path, manifest: Manifest, backend: str, machine: Machine | None = None, installed: str | None = None
) -> list[Finding]:
    """Return a finding for each graph of the bundle in ``folder`` on ``backend``; loads no plan.

    backend: "onnxruntime", "tensorrt" or "tensorrt-rtx". machine: this one if None. installed: the backend's version;
    None asks the backend, and where it can tell, what it says to each plan.
    """
    if backend == ONNX:
        return [_graph(folder, manifest, name) for name in manifest.graphs]
    chosen, machine = BACKENDS[backend], machine or this_machine()
    lacking = obstacle(chosen, machine) if installed is None else _missing(chosen, machine)
    version = installed or ("" if lacking else str(chosen.load().__version__))
    plans = manifest.plans.get(backend, {})
    room = _room(plans.values(), machine)
    found = []
    for name in manifest.graphs:
        plan = plans.get(name)
        problem = lacking or _misfit(folder, manifest, name, chosen, version, machine) or room
        if problem is None and plan is not None and installed is None:
            problem = _refused(folder, plan, chosen)
        detail = "no plan" if plan is None else _detail(plan)
        found.append(Finding(backend, name, detail, *problem) if problem else Finding(backend, name, detail))
    return found


def require(
    folder: Path, manifest: Manifest, backend: str, machine: Machine | None = None, installed: str | None = None
) -> None:
    """Raise EngineError, with its remedy, unless every plan of the bundle in ``folder`` fits this machine."""
    findings = check(folder, manifest, backend, machine, installed)
    bad = [finding for finding in findings if finding.problem]
    if bad:
        first = bad[0]
        alike = f" ({len(bad)} of {len(findings)} graphs do not)" if len(bad) > 1 else ""
        raise EngineError(f"{first.graph} does not run on {backend}: {first.problem}{alike}", first.remedy)


def obstacle(backend: TensorRT, machine: Machine) -> Problem | None:
    """Return why no plan at all of ``backend`` runs on ``machine``, and the remedy."""
    try:
        unknown = backend.unknown(backend.load(), machine)
    except EngineError as error:
        return error.message, error.remedy
    return (unknown, OTHERWISE) if unknown else _missing(backend, machine)


def without_gpu(machine: Machine) -> Problem | None:
    """Return why ``machine`` has no GPU to use, and the remedy; None where it has one."""
    if machine.driver is None:
        return f"no NVIDIA driver here ({machine.platform})", DRIVER
    if machine.gpu is None:
        return f"no GPU answers here ({machine})", "nvidia-smi must list a GPU, and CUDA_VISIBLE_DEVICES not hide it"
    return None


def table(findings: Sequence[Finding]) -> str:
    """Return the findings as lines, and their remedies, each once."""
    width = max(len(finding.graph) for finding in findings)
    sides = max(len(finding.detail) for finding in findings)
    lines = [
        f"{finding.backend:12}  {finding.graph:{width}}  {finding.detail:{sides}}  {finding.problem or 'fits'}"
        for finding in findings
    ]
    remedies = dict.fromkeys(finding.remedy for finding in findings if finding.problem)
    return "\n".join([*lines, *(f"remedy: {remedy}" for remedy in remedies)])


def rebuild(folder: Path, backend: str, capabilities: Sequence[str] = ()) -> str:
    """Return the command that builds the plans of the bundle in ``folder`` for ``backend``."""
    aim = f" --compute-capability {' '.join(capabilities)}" if capabilities else ""
    if folder.resolve() == EMBEDDED.resolve():  # what is installed stays as it is
        return (
            f"samotion-export --preset nano --backend {backend}{aim} -o nano-{backend}, then --engines nano-{backend}"
        )
    return f"samotion-export --from {shlex.quote(str(folder))} --backend {backend}{aim}"


def _graph(folder: Path, manifest: Manifest, name: str) -> Finding:
    """Return what is found of one ONNX graph."""
    entry = manifest.graphs[name]
    if importlib.util.find_spec("onnxruntime") is None:
        return Finding(ONNX, name, entry.precision, "ONNX Runtime is not installed", "pip install 'samotion[cpu]'")
    try:
        verify(folder, entry)
    except BundleError as error:
        return Finding(ONNX, name, entry.precision, error.message, error.remedy)
    return Finding(ONNX, name, entry.precision)


def _missing(backend: TensorRT, machine: Machine) -> Problem | None:
    """Return what this machine lacks for any plan of ``backend``, and the remedy."""
    if problem := without_gpu(machine):
        return problem
    for package, module in backend.needs.items():
        if not _installed(module):
            return f"{package} is not installed here", backend.install
    return None


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _misfit(
    folder: Path, manifest: Manifest, name: str, backend: TensorRT, version: str, machine: Machine
) -> Problem | None:
    """Return why one plan cannot run, and the remedy."""
    plan = manifest.plans.get(backend.name, {}).get(name)
    capabilities: Sequence[str] = ()
    if plan is not None and plan.compute_capabilities and machine.gpu and backend.name == "tensorrt-rtx":
        capabilities = (machine.gpu.compute_capability,)
    remedy = rebuild(folder, backend.name, capabilities)
    tests: Sequence[Callable[[PlanEntry], str | None]] = (
        lambda plan: _damage(folder / plan.file, plan),
        lambda plan: None if plan.graph == manifest.graphs[name].digest else "built from another graph than is here",
        lambda plan: backend.misfit(plan, version, machine),
    )
    if plan is None:
        return "no plan is built", remedy
    for test in tests:
        if problem := test(plan):
            return problem, remedy
    return None


def _refused(folder: Path, plan: PlanEntry, backend: TensorRT) -> Problem | None:
    """Return what the backend itself says against a plan."""
    verdict = backend.verdict(folder / plan.file)
    return (verdict, rebuild(folder, backend.name)) if verdict else None


def _damage(path: Path, plan: PlanEntry) -> str | None:
    """Return what is wrong with the plan's file."""
    if not path.is_file():
        return f"{path.name} is missing"
    if (found := hash_of(path)) != plan.sha256:
        return f"{path.name} is damaged (sha256 {found[:12]}…, expected {plan.sha256[:12]}…)"
    return None


def _room(plans: Iterable[PlanEntry], machine: Machine) -> Problem | None:
    """Return whether the GPU's free memory is less than the plans alone take, weights before any activation."""
    need = sum(plan.bytes for plan in plans)
    if machine.gpu is None or machine.gpu.free is None or need <= machine.gpu.free:
        return None
    return (
        f"the plans take {need / 2**30:.2f} GiB of GPU memory, {machine.gpu.free / 2**30:.2f} GiB are free",
        "free some (nvidia-smi lists what holds it), or take a smaller bundle with --engines",
    )


def _detail(plan: PlanEntry) -> str:
    """Return what a plan is, in short."""
    aim = (
        "8.0 and later"
        if plan.hardware_compatible or not plan.compute_capabilities
        else " ".join(plan.compute_capabilities)
    )
    return f"{plan.precision}, {plan.bytes / 1e6:.1f} MB, {plan.version} for {aim}"
