"""Bundles from a repository, served on this machine; in processes of their own, as the address is read once."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.hub_server import HubServer, served
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.hub import bundle_folder
from samotion.engines.manifest import EMBEDDED

SHOW = "import samotion, sys; print(samotion.load(sys.argv[1])._bundle.name)"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HubServer]:
    with served(tiny_bundle(tmp_path / "published")) as running:
        yield running


def run(folder: Path, endpoint: str, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": endpoint, "SAMOTION_CACHE": str(folder / "cache")}
    environment |= {"HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_XET": "1"}
    paths = [os.path.abspath(path) for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_repository_is_downloaded_once_and_then_used_without_a_network(server: HubServer, tmp_path: Path) -> None:
    done = run(tmp_path, server.address, "-c", SHOW, "org/tiny")
    assert done.stdout == "tiny\n", done.stderr
    kept = tmp_path / "cache/hub/org/tiny/main"
    assert {path.name for path in kept.iterdir()} == {path.name for path in server.folder.iterdir()}
    again = run(tmp_path, "http://127.0.0.1:9", "-c", SHOW, "org/tiny")
    assert again.stdout == "tiny\n", again.stderr


def test_a_file_that_is_not_as_the_manifest_says_is_not_kept(server: HubServer, tmp_path: Path) -> None:
    (server.folder / "depth.onnx").write_bytes(b"something else")
    done = run(tmp_path, server.address, "-c", SHOW, "org/tiny")
    assert "no sound bundle" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "cache/hub/org").exists()


@pytest.mark.parametrize("case", ["no network", "no repository"])
def test_what_cannot_be_had_is_one_line(case: str, server: HubServer, tmp_path: Path) -> None:
    endpoint = "http://127.0.0.1:9" if case == "no network" else server.address
    command = ("-m", "samotion.runtime.cli", "--demo", "--engines", "org/other")
    done = run(tmp_path, endpoint, *command)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "org/other: there is no such folder, and as a Hugging Face repository it cannot be had" in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_its_package_it_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(Exception, match=r"pip install 'samotion\[hub\]'"):
        bundle_folder("org/tiny")


def test_a_folder_that_exists_wins_and_paths_are_no_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org/tiny").mkdir(parents=True)
    for named in ("org/tiny", "nano", "./a/b", "../a", "a/b/c", str(tmp_path / "none")):
        assert bundle_folder(named) == Path(named)
    assert bundle_folder(None) == EMBEDDED
