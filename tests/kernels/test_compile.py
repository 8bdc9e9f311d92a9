"""The kernels' sources through NVRTC, for every generation of GPUs, without a GPU; and what goes wrong there."""

import struct
import sys
from pathlib import Path

import pytest
from tests.support.gpu.kernels_host import kernels_of

from samotion.engines.errors import EngineError
from samotion.runtime.kernels import compile as compiling
from samotion.runtime.kernels import nvrtc
from samotion.runtime.kernels.compile import SOURCES, cubin
from samotion.runtime.kernels.launching import FOLDER, MOST, checked
from samotion.runtime.kernels.nvrtc import Nvrtc

CAPABILITIES = (75, 80, 86, 89, 90, 100, 120)  # Turing to Blackwell
CUDA = 190  # ELF's number of the machine


@pytest.fixture(scope="module")
def compiler() -> Nvrtc:
    if sys.platform == "darwin":
        pytest.skip("NVIDIA makes no NVRTC for macOS")
    return Nvrtc()


def test_every_source_is_listed() -> None:
    assert sorted(SOURCES) == sorted(path.stem for path in FOLDER.glob("*.cu"))


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("source", SOURCES)
def test_compiles_to_machine_code(source: str, capability: int, compiler: Nvrtc, tmp_path: Path) -> None:
    code = cubin(source, capability, compiler, tmp_path)
    assert code[:4] == b"\x7fELF"
    assert struct.unpack_from("<H", code, 18)[0] == CUDA
    for kernel in kernels_of(source):
        assert f".text.{kernel}\0".encode() in code


def test_a_cubin_is_kept_and_read_again(compiler: Nvrtc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cubin("features", 80, compiler, tmp_path / "new")
    (kept,) = (tmp_path / "new").iterdir()
    assert kept.read_bytes() == first
    kept.write_bytes(b"kept")
    assert cubin("features", 80, compiler, tmp_path / "new") == b"kept"
    monkeypatch.setattr(compiling, "OPTIONS", (*compiling.OPTIONS, "--generate-line-info"))
    assert cubin("features", 80, compiler, tmp_path / "new") != b"kept"  # another name for other options


def test_a_cache_that_cannot_be_written_to_is_done_without(compiler: Nvrtc, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert cubin("features", 80, compiler, tmp_path / "file" / "kernels")[:4] == b"\x7fELF"


def test_an_unknown_capability_is_named(compiler: Nvrtc, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"compute capabilities 5\.0, .*12\.0.*, not for 99\.9: pip install"):
        cubin("features", 999, compiler, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_broken_source_is_told_by_its_first_error(compiler: Nvrtc) -> None:
    broken = "__global__ void f() { int unused; missing(); }"
    with pytest.raises(EngineError, match=r"x\.cu does not compile .*x\.cu\(1\): error: .*missing") as caught:
        compiler.compile("x.cu", broken, {}, ("--gpu-architecture=sm_80",))
    assert "\n" not in str(caught.value)


def test_without_nvrtc_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "PACKAGED", ())
    monkeypatch.setattr(nvrtc, "INSTALLED", ())
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    with pytest.raises(EngineError, match=r"pip install 'nvidia-cuda-nvrtc-cu12>=12\.8'"):
        Nvrtc()


def test_more_elements_than_indices_count_are_refused() -> None:
    assert checked(MOST) == MOST
    with pytest.raises(ValueError, match="found 2147482625 elements, expected at most 2147482624"):
        checked(MOST + 1)
