"""The doctor on this machine, and on ones that lack something."""

import importlib.util
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from av.codec.codec import UnknownCodecError

from samotion.engines.machine import Gpu, Machine
from samotion.engines.manifest import EMBEDDED
from samotion.runtime.doctor import ABSENT, BROKEN, OK, Fact, examine, main

NO_GPU = Machine("linux-x86_64")
WITH_GPU = Machine("linux-x86_64", "13.0", Gpu("NVIDIA L4", "8.9", 24 << 30, 20 << 30))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the cache where nothing is yet, and take this machine for one without a GPU."""
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("samotion.runtime.doctor.this_machine", lambda: NO_GPU)
    return tmp_path / "cache"


def by_name(machine: Machine = NO_GPU) -> dict[str, Fact]:
    return {fact.name: fact for fact in examine(machine)}


def test_what_is_installed_for_tests_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    assert "everything needed works" in said
    assert all(name in said for name in ("FFmpeg", "ONNX Runtime", "nano, shipped", "libx264", "tensorrt-rtx"))
    assert main(["--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["works"]
    assert {fact["section"] for fact in report["facts"]} == {
        "versions",
        "machine",
        "providers",
        "encoders",
        "bundles",
    }


@pytest.mark.parametrize("module", ["cv2", "onnxruntime", "av"])
def test_a_missing_package_fails_with_the_command(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    broken = [fact for fact in report["facts"] if fact["status"] == BROKEN]
    assert not report["works"]
    assert f"{module} is not installed" in broken[0]["found"]
    assert all(fact["remedy"].startswith("pip install") for fact in broken)
    assert main([]) == 2
    assert f"{len(broken)} of {len(report['facts'])} do not work" in capsys.readouterr().out


def test_a_gpu_that_nothing_here_can_use_is_told_with_what_helps() -> None:
    facts = by_name(WITH_GPU)
    assert "NVIDIA L4 (8.9)" in facts["GPU"].found
    for name, module in (("tensorrt", "tensorrt"), ("tensorrt-rtx", "tensorrt_rtx"), ("cuda", "")):
        if facts[name].status != OK:
            there = bool(module) and importlib.util.find_spec(module) is not None
            assert facts[name].status == (BROKEN if there else ABSENT)
            assert "samotion[" in facts[name].found + facts[name].remedy


def test_a_driver_without_an_answering_gpu_fails() -> None:
    assert by_name(Machine("linux-x86_64", "13.0"))["GPU"].status == BROKEN


def test_an_ffmpeg_without_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str, _: str) -> Any:
        raise UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", unknown)
    facts = by_name()
    assert facts["libx264"].status == BROKEN
    assert facts["prores_ks"].status == ABSENT


def test_damaged_bundles_in_the_cache_fail_with_what_renews_them(cache: Path) -> None:
    empty, torn = cache / "hub/em pty", cache / "hub/torn"
    empty.mkdir(parents=True)
    (empty / "bundle.json").write_text("{}")
    shutil.copytree(EMBEDDED, torn)
    (torn / "depth.onnx").write_bytes(b"half of it")
    facts = by_name()
    assert facts["nano, shipped"].status == OK
    for bad in (empty, torn):
        assert facts[str(bad)].status == BROKEN
        assert facts[str(bad)].remedy.startswith(f"rm -r {shlex.quote(str(bad))}")


def test_a_cache_that_is_a_file_and_a_working_folder_that_is_gone(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    facts = by_name()
    assert facts["disk here"].status == BROKEN
    assert "is no folder" in facts["disk of the cache"].found
    assert "SAMOTION_CACHE" in facts["disk of the cache"].remedy


def test_it_can_be_imported_without_what_may_be_missing() -> None:
    code = "import sys, samotion.runtime.doctor; sys.exit(str({'av', 'cv2', 'onnxruntime'} & set(sys.modules) or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.stderr.strip()
