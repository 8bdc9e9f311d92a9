"""Files and folders that appear whole or not at all, whoever else writes them, and whatever ends the writer."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from samotion.engines import atomic
from samotion.engines.atomic import atomic_file, atomic_folder, locked
from samotion.engines.errors import OutputError

WRITER = """
import signal, sys, time
from pathlib import Path
from samotion.engines.atomic import atomic_folder
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with atomic_folder(Path(sys.argv[1]), lambda folder: None) as folder:
    (folder / "large").write_bytes(bytes(1000))
    print("writing", flush=True)
    time.sleep(60)
"""


def anything(_: Path) -> None:
    """Let every folder be replaced."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "old").touch()
    return folder


@pytest.fixture(params=["exchanged", "renamed"])
def swap(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "renamed":
        monkeypatch.setattr(atomic, "_exchange", lambda *_: False)


def replace(target: Path) -> None:
    with atomic_folder(target, anything) as folder:
        (folder / "new").touch()


@pytest.mark.usefixtures("swap")
def test_a_folder_is_replaced_and_nothing_is_left_beside_it(old: Path, tmp_path: Path) -> None:
    replace(old)
    assert names(old) == ["new"]
    assert names(tmp_path) == ["bundle"]


@pytest.mark.usefixtures("swap")
def test_an_error_keeps_the_old(old: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), atomic_folder(old, anything):
        raise OSError(28, "No space left on device")
    assert (names(old), names(tmp_path)) == (["old"], ["bundle"])
    with pytest.raises(KeyboardInterrupt), atomic_folder(old, anything):
        raise KeyboardInterrupt
    assert (names(old), names(tmp_path)) == (["old"], ["bundle"])


def test_a_failed_rename_puts_the_old_back(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    rename = Path.rename

    def failing(path: Path, to: Path) -> Path:
        if path.name.endswith("partial"):
            raise OSError(28, "No space left on device")
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="No space left"):
        replace(old)
    assert (names(old), names(tmp_path)) == (["old"], ["bundle"])


def test_folders_above_are_made_and_go_again(tmp_path: Path) -> None:
    with pytest.raises(OutputError), atomic_folder(tmp_path / "a/b/c"):
        raise OSError
    assert names(tmp_path) == []
    replace(tmp_path / "a/b/c")
    assert names(tmp_path / "a/b") == ["c"]


def test_what_must_not_be_replaced_is_told_before_the_work(old: Path) -> None:
    with pytest.raises(OutputError, match="already holds old"), atomic_folder(old):
        pytest.fail("nothing may be computed")


def test_what_comes_into_the_folder_meanwhile_survives(old: Path) -> None:
    def check(folder: Path) -> None:
        if "notes" in names(folder):
            raise OutputError(f"{folder}: holds notes")

    with pytest.raises(OutputError, match="holds notes"), atomic_folder(old, check):
        (old / "notes").touch()
    assert names(old) == ["notes", "old"]


@pytest.mark.parametrize("way", ["bundle/sub/..", "link", "link/", "over/../bundle", "missing/../bundle", "."])
def test_every_way_to_a_folder(old: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (old / "sub").mkdir()
    (tmp_path / "link").symlink_to("bundle")
    (tmp_path / "over").mkdir()
    monkeypatch.chdir(old if way == "." else tmp_path)
    with atomic_folder(Path(way), anything) as folder:
        (folder / "new").touch()
    monkeypatch.chdir(tmp_path)
    assert names(old) == ["new"]
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["bundle", "link", "over"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("nowhere"), "is a link to nowhere"),
        (lambda path: path.symlink_to(path.name), "is a link to target"),
        (lambda path: path.touch(), "is a file"),
    ],
)
def test_places_that_cannot_be_a_folder(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    target = tmp_path / "target"
    make(target)
    before = names(tmp_path)
    with pytest.raises(OutputError, match=words), atomic_folder(target, anything):
        pytest.fail("nothing may be computed")
    assert names(tmp_path) == before


def test_a_mount_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a mount"
    target.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 98:0 / {str(target).replace(' ', chr(92) + '040')} rw - ext4 /dev/sda rw\n")
    monkeypatch.setattr(atomic, "MOUNTS", table)
    with pytest.raises(OutputError, match="is a mount point"), atomic_folder(target, anything):
        pytest.fail("nothing may be computed")


@pytest.mark.parametrize("name", ["n" * 255, "ä" * 127, "n" * 251, os.fsdecode(b"caf\xe9")])
def test_every_name_that_the_file_system_takes(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        replace(tmp_path / name)
    assert names(tmp_path) == [name]


def test_a_second_writer_is_turned_away(old: Path) -> None:
    with atomic_folder(old, anything), pytest.raises(OutputError, match="another process is writing it"):
        replace(old)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_killed_writer_leaves_is_swept_and_a_living_one_is_let_be(old: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", WRITER, os.fspath(old)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(OutputError, match="another process is writing it"):
            replace(old)
        writer.send_signal(number)
    assert names(old) == ["old"]
    (old.parent / ".bundle.partial-123").mkdir()
    (old.parent / ".bundle.partial.txt").touch()  # not of this program
    replace(old)
    assert names(old.parent) == [".bundle.partial.txt", "bundle"]


def test_a_writer_killed_between_two_renames_loses_nothing(old: Path) -> None:
    old.rename(old.with_name(".bundle.replaced"))
    with pytest.raises(OutputError, match="already holds old"), atomic_folder(old):
        pytest.fail("the old is back")
    assert names(old) == ["old"]


def test_a_file_appears_whole(tmp_path: Path) -> None:
    file = tmp_path / "deep" / ("n" * 251)
    with pytest.raises(OutputError, match="No such file"), atomic_file(file) as partial:
        partial.rename(partial.with_name("nowhere") / "file")
    assert names(tmp_path) == []
    for content in (b"first", b"second"):
        with atomic_file(file) as partial:
            partial.write_bytes(content)
        assert file.read_bytes() == content
    assert names(file.parent) == [file.name]


def test_one_writer_of_a_file_waits_for_the_other(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "file"),
        pytest.raises(OutputError, match="another process"),
        atomic_file(tmp_path / "file", patience=0.1),
    ):
        pytest.fail("it is locked")
