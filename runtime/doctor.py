"""``samotion-doctor``: what is here and what works, and for each thing that does not, what to do."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from samotion.engines.bundle_files import verify
from samotion.engines.cache import cache_folder
from samotion.engines.errors import EngineError, SamotionError
from samotion.engines.machine import Machine, this_machine
from samotion.engines.manifest import EMBEDDED, FILE, read
from samotion.engines.packages import MODULES, require_package
from samotion.engines.preflight import ONNX, check, obstacle, without_gpu
from samotion.engines.program import one_line, run_program
from samotion.engines.trt.flavours import BACKENDS
from samotion.engines.worker_pool import usable_cores
from samotion.runtime.machine import machine_memory
from samotion.runtime.version import version

PROGRAM = "samotion-doctor"
OK, ABSENT, BROKEN = "ok", "absent", "broken"
MARKS = {OK: "ok", ABSENT: "-", BROKEN: "FAIL"}
TITLES = {"cv2": "OpenCV", "av": "PyAV", "onnxruntime": "ONNX Runtime", "tensorrt": "TensorRT", "tensorrt-rtx": "RTX"}
ENCODERS = {"libx264": "H.264, overlay.mp4", "libvpx-vp9": "VP9", "prores_ks": "ProRes"}
LEAST_DISK = 256 << 20  # bytes: the masks and the overlay of a few minutes
DESCRIPTION = """\
Say what of samotion works on this machine: packages, providers, GPU, memory, disk, encoders and bundles.

Each line is ok, "-" for what is not there and can be done without, or FAIL. A remedy follows what is not ok."""
EPILOG = "Exit status: 0 nothing failed, 2 something does not work, 130 interrupted."


@dataclass(frozen=True)
class Fact:
    """One line. found: what is there, or why it is not. status: "ok", "absent" (not needed) or "broken".

    remedy: the command that helps, or what to do; "" where there is nothing to do.
    """

    section: str
    name: str
    found: str
    status: str = OK
    remedy: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 nothing failed, 2 something does not work."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=formatter)
    parser.add_argument("--json", action="store_true", help="print all of it as JSON")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version()}")
    args = parser.parse_args(argv)
    facts = list(examine(this_machine()))
    broken = [fact for fact in facts if fact.status == BROKEN]
    if args.json:
        print(json.dumps({"works": not broken, "facts": [asdict(fact) for fact in facts]}, indent=1))
    else:
        print("\n".join(one_line(line) for line in lines(facts)))
    return 2 if broken else 0


def entry() -> None:
    """Run as a program."""
    run_program(main, PROGRAM)


def examine(machine: Machine) -> Iterator[Fact]:
    """Yield a fact after the other about ``machine``, this one, and what is installed on it."""
    yield from _versions()
    yield from _hardware(machine)
    yield from _providers(machine)
    yield from _encoders()
    cached = sorted(path.parent for path in cache_folder().rglob(FILE)) if cache_folder().is_dir() else []
    for folder in (EMBEDDED, *cached):
        yield from _bundle(folder, machine)


def lines(facts: Sequence[Fact]) -> Iterator[str]:
    """Yield the facts as lines for a terminal."""
    width = max(len(fact.name) for fact in facts)
    told = ""
    for section, own in groupby(facts, lambda fact: fact.section):
        yield section
        for fact in own:
            yield f"  {MARKS[fact.status]:4}  {fact.name:{width}}  {' '.join(fact.found.split())}"
            if fact.remedy and fact.remedy != told:
                told = fact.remedy
                yield f"        {'':{width}}  remedy: {fact.remedy}"
    count = sum(fact.status == BROKEN for fact in facts)
    yield "everything needed works" if not count else f"{count} of {len(facts)} do not work"


def _versions() -> Iterator[Fact]:
    yield Fact("versions", "samotion", version())
    yield Fact("versions", "Python", f"{platform.python_version()} ({platform.platform()})")
    yield Fact("versions", "NumPy", importlib.metadata.version("numpy"))
    for module in MODULES:
        try:
            found = require_package(module)
        except EngineError as error:
            yield Fact("versions", TITLES[module], error.message, BROKEN, error.remedy)
            continue
        ffmpeg = f", FFmpeg {found.ffmpeg_version_info}" if hasattr(found, "ffmpeg_version_info") else ""
        yield Fact("versions", TITLES[module], f"{found.__version__}{ffmpeg}")
    for package in ("tensorrt", "tensorrt-rtx", "pycuda"):
        try:
            yield Fact("versions", TITLES.get(package, package), importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            yield Fact("versions", TITLES.get(package, package), "not installed", ABSENT)


def _hardware(machine: Machine) -> Iterator[Fact]:
    lacking = without_gpu(machine)
    if lacking is None:
        yield Fact("machine", "GPU", str(machine))
    else:
        yield Fact("machine", "GPU", lacking[0], ABSENT if machine.driver is None else BROKEN, lacking[1])
    yield Fact("machine", "cores", f"{usable_cores()} of {os.cpu_count()} for this process")
    memory = machine_memory()
    yield Fact("machine", "memory", f"{memory / 2**30:.1f} GiB" if memory else "unknown")
    try:
        yield _disk("disk here", Path.cwd(), "run where there is room, or free some")
    except FileNotFoundError:
        yield Fact("machine", "disk here", "the folder it was started in is gone", BROKEN, "cd to one that is there")
    yield _disk("disk of the cache", cache_folder(), "set SAMOTION_CACHE to a folder that can be written")


def _disk(name: str, folder: Path, remedy: str) -> Fact:
    """Return how much room ``folder``, or where it would be made, has."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        return Fact("machine", name, f"{there} is no folder", ABSENT, remedy)
    room = shutil.disk_usage(there)
    found = f"{room.free / 2**30:.1f} of {room.total / 2**30:.1f} GiB free in {folder}"
    if not os.access(there, os.W_OK):
        return Fact("machine", name, f"{folder} cannot be written", ABSENT, remedy)
    return Fact("machine", name, found) if room.free > LEAST_DISK else Fact("machine", name, found, BROKEN, remedy)


def _providers(machine: Machine) -> Iterator[Fact]:
    """Yield whether each provider can be asked for: one that is installed for a GPU that is here must work."""
    try:
        require_package("onnxruntime")
    except EngineError as error:
        yield Fact("providers", "cpu", error.message, BROKEN, error.remedy)
    else:
        yield Fact("providers", "cpu", "runs every bundle")
        yield _cuda(without_gpu(machine))
    for name, backend in BACKENDS.items():
        problem = without_gpu(machine) or obstacle(backend, machine)
        wanted = machine.gpu is not None and importlib.util.find_spec(backend.module) is not None
        if problem is None:
            yield Fact("providers", name, "runs bundles with plans for it")
        else:
            yield Fact("providers", name, problem[0], BROKEN if wanted else ABSENT, problem[1])


def _cuda(lacking: tuple[str, str] | None) -> Fact:
    """Return whether ONNX Runtime, which is here, can be asked for CUDA. lacking: why there is no GPU."""
    from samotion.engines.ort.session import require

    if lacking is not None:
        return Fact("providers", "cuda", lacking[0], ABSENT, lacking[1])
    try:
        return Fact("providers", "cuda", f"{require('cuda')} of ONNX Runtime")
    except EngineError as error:
        return Fact("providers", "cuda", error.message, ABSENT, error.remedy)


def _encoders() -> Iterator[Fact]:
    """Yield which encoders FFmpeg has; the overlay needs H.264."""
    try:
        from av import Codec
        from av.codec.codec import UnknownCodecError
    except ImportError:  # the versions report it, with what to do
        return
    for name, use in ENCODERS.items():
        try:
            Codec(name, "w")
        except UnknownCodecError:
            status = BROKEN if name == "libx264" else ABSENT
            yield Fact("encoders", name, f"not in this FFmpeg ({use})", status, MODULES["av"][2])
        else:
            yield Fact("encoders", name, use)


def _bundle(folder: Path, machine: Machine) -> Iterator[Fact]:
    """Yield whether the bundle in ``folder`` runs on ONNX Runtime, and on each backend that it has plans for."""
    name = "nano, shipped" if folder == EMBEDDED else str(folder)
    renewal = f"rm -r {shlex.quote(str(folder))}; it is downloaded again when it is next asked for"
    if folder == EMBEDDED:
        renewal = "pip install --force-reinstall --no-deps samotion"
    try:
        manifest = read(folder)
        for entry in manifest.graphs.values():
            verify(folder, entry)
    except SamotionError as error:
        yield Fact("bundles", name, error.message, BROKEN, renewal)
        return
    for backend in (ONNX, *manifest.plans):
        findings = check(folder, manifest, backend, machine)
        bad = next((finding for finding in findings if finding.problem), None)
        about = f"{manifest.name} {manifest.digest}, {manifest.precision}"
        if bad is None:
            yield Fact("bundles", name, f"{about}: fits {backend}")
        else:
            needless = backend != ONNX and machine.gpu is None
            found = f"{about}: {bad.graph} does not run on {backend}: {bad.problem}"
            yield Fact("bundles", name, found, ABSENT if needless else BROKEN, bad.remedy)


if __name__ == "__main__":
    entry()
