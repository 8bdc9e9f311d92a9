"""NVIDIA's run-time compiler, through ctypes: CUDA sources into machine code, without a GPU or a driver."""

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from samotion.engines.errors import EngineError

# From 12.8 on it knows every generation from Turing (7.5) to Blackwell (12.0); from 13 on Turing is the oldest.
PACKAGE = "nvidia-cuda-nvrtc-cu12>=12.8"
REMEDY = f"pip install '{PACKAGE}' (samotion[gpu] brings it)"
# Where NVIDIA's packages keep it under site-packages/nvidia, and what the loader finds where CUDA is installed.
PACKAGED = ("*/lib/libnvrtc.so.1[0-9]", "*/bin/nvrtc64_1[0-9][0-9]_0.dll", "*/bin/x86_64/nvrtc64_1[0-9][0-9]_0.dll")
INSTALLED = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")


class Nvrtc:
    """NVRTC as it is installed here; raises EngineError, with what to install, where it is not."""

    def __init__(self) -> None:
        self._library = _library()

    @cached_property
    def version(self) -> str:
        """Its version, such as 12.9."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return f"{major.value}.{minor.value}"

    @cached_property
    def architectures(self) -> tuple[int, ...]:
        """What it compiles for: 75 is compute capability 7.5."""
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        found = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", found)
        return tuple(found)

    def compile(self, name: str, source: str, headers: Mapping[str, str], options: tuple[str, ...]) -> bytes:
        """Return the cubin of ``source``; raises EngineError with the first line of the log that tells an error.

        name: in messages. headers: by the name they are included by. options: NVRTC's, a real architecture
        (sm_XY) among them.
        """
        program = ctypes.c_void_p()
        texts = _strings(headers.values())
        self._call(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            source.encode(),
            name.encode(),
            len(headers),
            texts,
            _strings(headers),
        )
        try:
            given = _strings(options)
            if self._library.nvrtcCompileProgram(program, len(options), given):
                log = self._text(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog").decode(errors="replace")
                raise EngineError(f"{name} does not compile (NVRTC {self.version}): {_first_error(log)}")
            return self._text(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _text(self, program: ctypes.c_void_p, size_of: str, text_of: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(size_of, program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(text_of, program, text)
        return text.raw

    def _call(self, function: str, *arguments: Any) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            raise EngineError(f"{function} failed: {self._library.nvrtcGetErrorString(code).decode()}; {REMEDY}")


def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    packaged = [str(file) for folder in folders for pattern in PACKAGED for file in sorted(folder.glob(pattern))]
    found = ctypes.util.find_library("nvrtc")
    for file in (*packaged, *INSTALLED, *([found] if found else ())):
        try:
            library = ctypes.CDLL(file)
        except OSError:
            continue
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        return library
    raise EngineError(f"NVRTC, which compiles the GPU's kernels, is not installed: {REMEDY}")


def _strings(texts: Any) -> Any:
    encoded = [text.encode() for text in texts]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def _first_error(log: str) -> str:
    lines = [line.strip("\0 ") for line in log.splitlines() if line.strip("\0 ")]
    return next((line for line in lines if "error" in line), lines[0] if lines else "it says nothing of why")
