"""The command that holds the time left against what the rest took."""

import json
from pathlib import Path

import pytest
from tests.support.video_files import picture, write_video

from samotion.benchmarks import remaining
from samotion.benchmarks.remaining import share_right


def test_a_reading_is_right_within_a_quarter_or_what_the_bar_rounds() -> None:
    assert share_right([(100, 124), (100, 76), (100, 126), (1, 1.4)]) == 0.75
    assert share_right([]) is None


def test_the_command_reads_the_bar_in_every_window(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "dog.mp4", [picture(48, 64, 5 * shade) for shade in range(24)])
    out = tmp_path / "out.json"
    assert remaining.main([str(tmp_path / "dog.mp4"), "--window", "16", "--clock", "cpu", "-o", str(out)]) == 0
    (row,) = json.loads(out.read_text())["rows"]
    assert row["readings"] > 20
    assert 0 <= row["first"] <= 1
    assert 0 <= row["later"] <= 1
    assert "dog.mp4" in capsys.readouterr().out


def test_what_cannot_be_read_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert remaining.main([str(tmp_path / "none.mp4")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
