"""Two bundles timed alternately: the order, the report, and what a user can get wrong."""

import json
from pathlib import Path

import pytest
from tests.support.datasets.labelled import truth_of, write_clip

from samotion.benchmarks import precision_speed
from samotion.calibration.comparison.paired_timing import by_turns
from samotion.engines.manifest import EMBEDDED


def test_calls_take_turns_after_one_each_to_warm_up() -> None:
    seen: list[str] = []
    first, second = by_turns([lambda: seen.append("a"), lambda: seen.append("b")], 3)
    assert seen == ["a", "b"] * 4
    assert set(first) == set(second) == {"cpu", "wall"}
    assert 0 <= first["wall"]["p50"] <= first["wall"]["p95"] < 1


def test_a_bundle_against_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "square" / "frames", tmp_path / "square" / "masks", truth_of(frames=2))
    report = tmp_path / "report.json"
    arguments = ["--data", str(tmp_path), "--engines", str(EMBEDDED), "--rounds", "1", "--runs", "1"]
    assert precision_speed.main([*arguments, "-o", str(report)]) == 0
    (row,) = json.loads(report.read_text(encoding="utf-8"))["rows"]  # no graph differs
    assert (row["name"], row["precision"]) == ("end to end", "float32")
    assert row["cpu_ratio"] > 0
    assert "end to end" in capsys.readouterr().out
    assert precision_speed.main([*arguments, "--rounds", "0"]) == 2
    assert precision_speed.main([*arguments, "-o", str(tmp_path / "none" / "x.json")]) == 2
