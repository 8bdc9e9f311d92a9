"""samotion-export: one line for a user's mistake; the whole of nano where slow tests are run."""

import dataclasses
import threading
from pathlib import Path

import pytest
from tests.support.tiny_bundle import tiny_bundle

from samotion.engines.bundle import Bundle
from samotion.engines.errors import SamotionError
from samotion.engines.manifest import Manifest, read, save
from samotion.export import cli
from samotion.export.cli import main


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--preset", "huge"), "preset 'huge' is unknown; known are nano, fast, paper"),
        (("--preset", "fast", "--masks", "sam2.1-xl"), "--masks 'sam2.1-xl' is unknown; known are sam2.1-t"),
        (("--preset", "fast", "--depth", "xl"), "--depth 'xl' is unknown; known are s, b, l"),
        (("--preset", "fast", "--weights", "random:x"), "expected random:SEED with a whole number"),
        (
            ("--preset", "fast", "--weights", "nowhere"),
            "bootstapir_checkpoint_v2.pt: no such checkpoint; it can be had",
        ),
        (("--preset", "fast", "--offline"), "bootstapir_checkpoint_v2.pt: not in"),
    ],
)
def test_what_a_user_can_mend_ends_in_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path / "cache"))
    assert main([*options, "-o", str(tmp_path / "bundle")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("samotion-export: error: ")
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_licences_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMOTION_CACHE", str(tmp_path / "cache"))
    main(["--preset", "paper", "--masks", "sam2.1-s", "--offline", "-o", str(tmp_path / "bundle")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert "depth: depth_anything_v2_vitl.pth, licence of the weights: CC-BY-NC-4.0, non-commercial use only" in lines
    assert "masks: sam2.1_hiera_small.pt, licence of the weights: Apache-2.0" in lines


def test_another_folder_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.tex").touch()
    assert main(["--weights", "random:0", "-o", str(tmp_path)]) == 2
    assert "holds other files than an engine bundle" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
def test_nano_is_exported_whole(tmp_path: Path) -> None:
    assert main(["--weights", "random:0", "-o", str(tmp_path / "bundle")]) == 0
    with Bundle.load(tmp_path / "bundle") as bundle:
        assert all(error < 1e-3 for entry in bundle.manifest.graphs.values() for error in entry.parity.values())


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a tiny bundle in the place of the preset's graphs."""

    def graphs(_: object, folder: Path, __: object) -> Manifest:
        return read(tiny_bundle(folder))

    monkeypatch.setattr(cli, "_graphs", graphs)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An older bundle, to be told by its name."""
    folder = tiny_bundle(tmp_path / "bundle")
    save(folder, dataclasses.replace(read(folder), name="old"))
    return folder


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("way", [".", "../bundle", "sub/..", "../link", "missing/.."])
def test_a_bundle_is_replaced_by_every_way_to_it(old: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (old.parent / "link").symlink_to("bundle")
    monkeypatch.chdir(old)
    assert main(["-o", way]) == 0
    monkeypatch.chdir(old.parent)
    Bundle.load(old).close()
    assert read(old).name == "tiny"
    assert sorted(path.name for path in old.parent.iterdir()) == ["bundle", "link"]
    assert (old.parent / "link").is_symlink()


@pytest.mark.parametrize("foreign", ["notes.txt", "sub", ".hidden"])
def test_a_users_file_in_a_bundle_is_named_before_the_work(
    old: Path, foreign: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_graphs", lambda *_: pytest.fail("nothing may be computed"))
    (old / foreign).mkdir()
    assert main(["-o", str(old)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"holds other files than an engine bundle ({foreign})" in line
    assert read(old).name == "old"
    assert (old / foreign).exists()


def test_a_dangling_link_is_named_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_graphs", lambda *_: pytest.fail("nothing may be computed"))
    (tmp_path / "link").symlink_to("nowhere")
    assert main(["-o", str(tmp_path / "link")]) == 2
    assert "is a link to nowhere, which is not there; make that folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.usefixtures("toy")
def test_a_reader_finds_a_whole_bundle_at_any_time(old: Path) -> None:
    stop, faults = threading.Event(), []

    def reading() -> None:
        while not stop.is_set():
            try:
                Bundle.load(old, threads=1).close()
            except SamotionError as error:
                faults.append(error)

    reader = threading.Thread(target=reading)
    reader.start()
    for _ in range(8):
        assert main(["-o", str(old)]) == 0
    stop.set()
    reader.join()
    assert faults == []
