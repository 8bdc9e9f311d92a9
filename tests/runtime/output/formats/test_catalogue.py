import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.made_results import made_result

from samotion.engines.errors import OutputError, SettingsError
from samotion.runtime.cli import DEMO, main
from samotion.runtime.output.formats.catalogue import FORMATS, chosen_formats, is_format_file

LABELS = np.zeros((4, 20, 30), np.uint16)
LABELS[1:, 5:9, 5:9] = 1


def test_an_unknown_format_is_one_line_that_lists_the_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(DEMO), "-o", str(tmp_path / "out"), "--format", "davis,coco"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'coco'" in said
    assert all(name in said for name in FORMATS)
    assert not (tmp_path / "out").exists()


def test_masks_grow_only_where_a_format_has_them() -> None:
    with pytest.raises(SettingsError, match=r"dilate is 5 with davis,npz.*binary, colmap"):
        chosen_formats(["davis", "npz"], 5)
    with pytest.raises(SettingsError, match="dilate is -1"):
        chosen_formats(["binary"], -1)
    assert list(chosen_formats(["davis", "binary"], 5)) == ["davis", "binary"]


@pytest.mark.parametrize("name", [name for name, entry in FORMATS.items() if entry.package])
def test_a_missing_package_is_one_line_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, FORMATS[name].package, None)
    with pytest.raises(SettingsError, match=rf"pip install 'samotion\[{FORMATS[name].extra}\]'"):
        chosen_formats([name])


def test_every_format_at_once_replaces_its_own_files_and_no_others(tmp_path: Path) -> None:
    result = made_result(LABELS)
    folder = result.save(tmp_path, formats=tuple(FORMATS))
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    own = [name for name in files if is_format_file(name)]
    assert sorted(set(files) - set(own)) == ["overlay.mp4", "result.json", "tracks.npz"]
    assert list(json.loads((folder / "result.json").read_text())["formats"]) == list(FORMATS)
    result.save(tmp_path, formats=("davis",))
    assert [path.name for path in sorted((folder / "masks").iterdir())] == [f"{n:05d}.png" for n in range(4)]
    assert len(list(folder.iterdir())) == 4
    (folder / "masks" / "mine.txt").write_text("")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        result.save(tmp_path)


def test_every_entry_has_its_module() -> None:
    for name in FORMATS:
        assert importlib.import_module(f"samotion.runtime.output.formats.{name}").__doc__
