"""samotion-export: one line for a user's mistake; the whole of nano where slow tests are run."""

from pathlib import Path

import pytest

from samotion.engines.bundle import Bundle
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
