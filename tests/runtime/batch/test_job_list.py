"""Whole jobs through the real command: what is done stays, what failed is listed, and only the rest is computed."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samotion.runtime.cli import main

QUICK = ["--max-tracks", "50", "--quiet", "--no-overlay"]


def still(folder: Path, name: str, shade: int = 90) -> Path:
    """A folder of one frame, in which nothing can be said to move: no network runs."""
    path = folder / name
    path.mkdir(parents=True)
    Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(path / "0.png")
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    for name in ("a", "b", "c"):
        still(root, name)
    (root / "broken.mp4").write_bytes(b"no video")
    return root


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "summary.csv").open(newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def run(inputs: Path, out: Path, *options: str) -> int:
    return main([str(inputs), "-o", str(out), *QUICK, *options])


def test_a_job_has_a_row_an_input_and_a_line_a_failure(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(inputs, out) == 2
    assert {name: row["status"] for name, row in rows(out).items()} == {
        "a": "done",
        "b": "done",
        "broken": "failed",
        "c": "done",
    }
    (failure,) = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    assert failure["input"] == str(inputs / "broken.mp4")
    assert "broken.mp4" in failure["message"]


def test_resume_computes_only_the_rest(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run(inputs, out)
    written = {name: (out / name / "result.json").stat().st_mtime_ns for name in "abc"}
    Image.fromarray(np.full((32, 32, 3), 10, np.uint8)).save(inputs / "b" / "0.png")  # another input of that name
    still(inputs, "d")
    capsys.readouterr()
    assert run(inputs, out, "--resume") == 2
    told = capsys.readouterr()
    assert "2 of 5 inputs are done already" in told.err
    assert sorted(line.split(": ")[0] for line in told.out.splitlines()) == [str(inputs / "b"), str(inputs / "d")]
    again = {name: (out / name / "result.json").stat().st_mtime_ns for name in "abc"}
    assert {name for name in "abc" if again[name] != written[name]} == {"b"}
    assert set(rows(out)) == {"a", "b", "broken", "c", "d"}


def test_another_request_is_another_result(inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run(inputs, out)
    run(inputs, out, "--resume", "--seed", "1")
    assert "0 of 4 inputs are done already" in capsys.readouterr().err


def test_a_failure_that_is_put_right_is_no_longer_listed(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(inputs, out)
    (inputs / "broken.mp4").unlink()
    still(inputs, "broken.mp4")
    assert run(inputs, out, "--resume") == 0
    assert (out / "failures.jsonl").read_text() == ""
    assert rows(out)["broken"]["status"] == "done"


def test_bytes_decide_where_hashes_are_asked_for(
    inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run(inputs, out, "--hash")
    os.utime(inputs / "a" / "0.png", (1, 1))
    run(inputs, out, "--hash", "--resume")
    assert "3 of 4 inputs are done already" in capsys.readouterr().err
    run(inputs, out, "--resume")
    assert "2 of 4 inputs are done already" in capsys.readouterr().err


def test_shards_share_out(inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert {run(inputs, out, "--shard", f"{number}/3") for number in (1, 2, 3)} == {0, 2}
    assert set(rows(out)) == {"a", "b", "broken", "c"}


def test_a_missing_bundle_is_told_before_out_is_made(inputs: Path, tmp_path: Path) -> None:
    assert run(inputs, tmp_path / "out", "--engines", str(tmp_path / "none")) == 2
    assert not (tmp_path / "out").exists()
