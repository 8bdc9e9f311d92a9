"""samotion-export's plans: TensorRT plans for a bundle that is there, and whether a bundle runs here. No PyTorch."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

from samotion.engines.bundle_files import verify
from samotion.engines.machine import this_machine
from samotion.engines.manifest import Manifest, PlanEntry, read, save
from samotion.engines.preflight import ONNX, check, table
from samotion.engines.trt.flavours import BACKENDS, Target
from samotion.export.plans.build import build

Tell = Callable[[str], None]


def possible(backend: str, target: Target) -> None:
    """Raise EngineError where ``backend`` is not installed here or cannot build for ``target``."""
    BACKENDS[backend].load()
    BACKENDS[backend].aim(target, this_machine())


def add_plans(bundle: Path, out: Path, backend: str, target: Target, tell: Tell) -> Manifest:
    """Build ``backend``'s plans of the bundle in ``bundle`` and return its manifest with them.

    out: a folder, empty or not there, for the bundle with its plans; ``bundle`` itself gets them added.
    tell: is called for each plan. Raises as samotion.export.plans.build.build does.
    """
    sizes: list[PlanEntry] = []

    def done(name: str, plan: PlanEntry) -> None:
        sizes.append(plan)
        tell(f"{backend}: {name} {plan.precision}, {plan.bytes / 1e6:.1f} MB, {plan.seconds:.1f} s")

    if out != bundle:
        out.mkdir(parents=True, exist_ok=True)
        _copy(bundle, out)
    manifest = build(out, backend, target, done)
    total, seconds = sum(plan.bytes for plan in sizes), sum(plan.seconds for plan in sizes)
    tell(f"{backend} {sizes[0].version}: {len(sizes)} plans, {total / 1e6:.1f} MB, {seconds:.1f} s")
    return manifest


def tell_whether_it_fits(bundle: Path, backend: str | None, tell: Tell) -> bool:
    """Tell of each graph whether it runs on this machine, and what to do where it does not; return whether all do.

    backend: None asks for ONNX Runtime and every backend that the bundle has plans of. Raises BundleError.
    """
    manifest = read(bundle)
    asked = [ONNX, *(name for name in BACKENDS if name in manifest.plans)] if backend is None else [backend]
    machine = this_machine()
    findings = [finding for name in asked for finding in check(bundle, manifest, name, machine)]
    tell(f"{bundle}: {manifest.name} {manifest.digest}, {manifest.precision}, on {machine}")
    tell(table(findings))
    return not any(finding.problem for finding in findings)


def _copy(bundle: Path, folder: Path) -> None:
    """Copy a bundle's graphs, without plans, into the empty ``folder``; raises BundleError for a damaged one."""
    manifest = read(bundle)
    for entry in manifest.graphs.values():
        verify(bundle, entry)
        for name in entry.sha256:
            shutil.copyfile(bundle / name, folder / name)
    save(folder, dataclasses.replace(manifest, plans={}))
