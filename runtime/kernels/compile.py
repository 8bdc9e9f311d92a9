"""From the CUDA sources beside this file to cubins, for one compute capability, kept on disk once made."""

import hashlib
from pathlib import Path

from samotion.engines.cache import cache_folder, keep
from samotion.engines.errors import EngineError
from samotion.runtime.kernels.launching import FOLDER
from samotion.runtime.kernels.nvrtc import PACKAGE, Nvrtc

SOURCES = ("filtering", "masks", "features", "resizing", "depth", "memory")
HEADERS = ("common.h",)
# Products and sums round by themselves, as in the twins: contracted ones would differ in the last bit.
OPTIONS = ("--std=c++17", "--fmad=false")


def cubin(source: str, capability: int, nvrtc: Nvrtc, cache: Path | None = None) -> bytes:
    """Return the machine code of ``source``.cu.

    capability: 89 for 8.9. cache: a folder (default: kernels/ in ``cache_folder``); one that cannot
    be written to is done without. Raises EngineError where NVRTC does not know the capability or the source does
    not compile.
    """
    if capability not in nvrtc.architectures:
        known = ", ".join(_written(found) for found in nvrtc.architectures)
        raise EngineError(
            f"NVRTC {nvrtc.version} compiles for compute capabilities {known}, not for {_written(capability)}: "
            f"pip install '{PACKAGE}' covers 7.5 to 12.0"
        )
    text = (FOLDER / f"{source}.cu").read_text(encoding="utf-8")
    headers = {name: (FOLDER / name).read_text(encoding="utf-8") for name in HEADERS}
    options = (f"--gpu-architecture=sm_{capability}", *OPTIONS)
    parts = (nvrtc.version, *options, source, text, *headers, *headers.values())
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    file = (cache or cache_folder() / "kernels") / f"{source}-sm{capability}-{digest}.cubin"
    try:
        return file.read_bytes()
    except OSError:
        made = nvrtc.compile(f"{source}.cu", text, headers, options)
        keep(file, made)
        return made


def _written(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"
