"""Results as JSON, tables, plots and comparisons, on small results whose figures are known."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.paths import GOLDEN

from samotion.benchmarks import bench
from samotion.benchmarks.report import markdown, plots
from samotion.benchmarks.report.compare import compare, differences, lines
from samotion.benchmarks.report.goals import goals
from samotion.benchmarks.report.measurement import Timing, timings
from samotion.benchmarks.report.record import read, write
from samotion.engines.errors import InputError, OutputError

RESULT, ORCHESTRATION = GOLDEN / "bench.json", GOLDEN / "orchestration.json"

names = st.text(min_size=1, max_size=8)
a_timing = st.builds(
    Timing,
    group=names,
    name=names,
    rounds=st.lists(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=4), min_size=1, max_size=3),
    variant=st.text(max_size=8),
    size=st.integers(1, 5000),
    unit=st.text(max_size=8),
    facts=st.dictionaries(names, st.lists(st.integers()) | st.text(max_size=5)),
)


@pytest.fixture
def result() -> dict[str, Any]:
    return read(RESULT, "samotion-bench")


@pytest.fixture
def other() -> dict[str, Any]:
    return read(ORCHESTRATION, "samotion.benchmarks.orchestration")


@given(a_timing)
def test_a_timing_survives_json(timing: Timing) -> None:
    again = Timing.of(json.loads(json.dumps(timing.record(), allow_nan=False)))
    assert again.key == timing.key
    assert (again.unit, again.facts) == (timing.unit, timing.facts)
    for now, then in zip(again.rounds, timing.rounds, strict=True):
        assert now == pytest.approx(then, abs=1e-7)


@pytest.mark.parametrize(
    "damage",
    [{"rounds": []}, {"rounds": [[]]}, {"rounds": [[0.0]]}, {"rounds": [[-1.0]]}, {"size": 0}, {"name": None}],
)
def test_a_damaged_timing_is_told(result: dict[str, Any], damage: dict[str, Any]) -> None:
    entry = {**result["timings"][0], **damage}
    if damage == {"name": None}:
        del entry["name"]
    with pytest.raises(InputError):
        timings({"timings": [entry]})


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path, result: dict[str, Any]) -> None:
    path = tmp_path / "now.json"
    write(path, result)
    assert read(path, "samotion-bench") == result
    with pytest.raises(OutputError):
        write(tmp_path / "nowhere" / "now.json", result)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(path, {"ratio": float("nan")})
    assert read(path, "samotion-bench") == result
    assert [p.name for p in tmp_path.iterdir()] == ["now.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"program": "samotion-bench", "format": 0}'])
def test_other_files_are_no_results(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"file\.json"):
        read(path, "samotion-bench")


def test_goals_are_judged_by_their_bars(result: dict[str, Any], other: dict[str, Any]) -> None:
    found = {goal.name: (goal.measured, goal.met) for goal in goals(result, other)}
    assert found["published orchestration / samotion, end to end"] == ("80.0 (95 %: 78.8 to 82.0)", True)
    assert found["mean IoU of both sides' masks"] == ("0.9990", True)
    assert found["PyTorch eager / engine, geometric mean of 2"] == ("1.73", True)
    assert found["PyTorch eager / engine, least"] == ("1.50 (depth)", True)
    assert found["PyTorch compiled / engine, least"] == ("0.90 (depth)", None)
    assert found["frames a second, clip to masks, 854×480"] == ("12.0", True)
    assert found["peak memory, 3000 / 300 frames"] == ("1.10", True)
    assert found["seconds a frame, 3000 / 300 frames"] == ("0.99", True)
    assert found["16 objects / 1, end to end, 60 frames"] == ("1.37", True)
    assert found["cold start to first masks, beyond computing them"] == ("1.20 s", True)
    assert len(found) == 12


def test_goals_can_be_missed(result: dict[str, Any], other: dict[str, Any]) -> None:
    for entry in result["timings"]:
        slow = 30 if entry["group"] in ("stages", "cold") or (entry["variant"], entry["size"]) == ("onnx", 2) else 1
        slow = 5 if entry["size"] in (16, 3000) else slow
        entry["rounds"] = [[slow * sample for sample in part] for part in entry["rounds"]]
        if entry["size"] == 3000:
            entry["facts"]["peak_memory"] = [2**32]
    missed = [goal.name for goal in goals(result, {**other, "ratio": 9.9, "mean_iou": 0.97}) if goal.met is False]
    assert len(missed) == 9


def test_the_report_holds_every_measurement(result: dict[str, Any], other: dict[str, Any]) -> None:
    text = markdown.markdown(result, other)
    assert "2 cores of Example CPU" in text
    assert "bundle nano 0123456789ab on cpu, 2 threads" in text
    assert "Minutes of measuring: engines 1.5, cold 1.2." in text
    for row in (
        "| depth | 4 frames | 40 ms | 43.4 ms | 43.9 ms | 100 | 4 |",
        "| depth | 2 frames | 20 ms | 30 ms |",
        "| motion | 700 tracks | 50 ms | 100 ms |",
        "RuntimeError: no compiler",
        "| tracks | 398 s | 3.70 s |",
        "| tracks | 2.00 s | 33.3 ms | 30.0 |",
        "| 60 frames | clip to masks | 16 | 5.60 s | 1.37 | 100 ms |",
        "| 3000 | 300 s | 100 ms | 1100 MiB | 1 |",
        "| beyond computing | 1.20 s | 3 |",
    ):
        assert row in text
    assert all(line.count("|") >= 4 for line in text.splitlines() if line.startswith("|"))


def test_a_report_of_little_holds_little(result: dict[str, Any]) -> None:
    few = {**result, "timings": [entry for entry in result["timings"] if entry["group"] == "cold"]}
    text = markdown.markdown(few)
    assert "### Cold start" in text
    assert text.count("###") == 1


def test_tables_go_between_the_markers(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{markdown.BEGIN}\nyesterday\n{markdown.END}\n\nafter\n")
    arguments = ["--from", str(RESULT), "--orchestration", str(ORCHESTRATION), "--readme", str(readme)]
    arguments += ["--plots", str(tmp_path / "pictures")]
    assert bench.main(arguments) == 0
    text = readme.read_text()
    assert text.startswith(f"before\n\n{markdown.BEGIN}\n")
    assert text.endswith(f"{markdown.END}\n\nafter\n")
    assert "yesterday" not in text
    assert "### Cold start" in text
    for address in re.findall(r"!\[.*\]\((.*)\)", text):
        assert (tmp_path / address).is_file()
    assert text.count("![") == 6
    assert bench.main(arguments) == 0
    assert readme.read_text() == text


def test_a_readme_without_markers_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{markdown.END}{markdown.BEGIN}")
    assert bench.main(["--from", str(RESULT), "--readme", str(readme)]) == 2
    assert "expected the lines" in capsys.readouterr().err
    assert readme.read_text() == f"{markdown.END}{markdown.BEGIN}"


def test_plots_are_the_same_bytes_every_time(tmp_path: Path, result: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = (plots.draw(result, other, tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == [
        f"{name}.svg" for name in ("engines", "torch", "stages", "objects", "length", "orchestration")
    ]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
        assert one.read_text().rstrip().endswith("</svg>")


def faster(record: dict[str, Any], by: float) -> dict[str, Any]:
    entries = [
        {**entry, "rounds": [[x / by for x in part] for part in entry["rounds"]]} for entry in record["timings"]
    ]
    return {**record, "timings": entries}


def test_a_comparison_tells_real_differences_from_none(result: dict[str, Any]) -> None:
    same = [item.ratio.verdict for item in compare(result, result)]
    assert set(same) == {"no difference shown"}
    assert len(same) == len(result["timings"])
    # Two rounds or one say little of noise: only what was measured in three or more can be sure.
    verdicts = {item.new.group: item.ratio.verdict for item in compare(faster(result, 3), result)}
    assert verdicts["stages"] == verdicts["objects"] == verdicts["cold"] == "faster"
    assert "slower" in {item.ratio.verdict for item in compare(result, faster(result, 3))}
    last = lines(faster(result, 3), result)[-1]
    assert last.startswith(f"of {len(same)}: ")
    assert last.endswith("no difference shown")


def test_a_comparison_says_what_else_differs(result: dict[str, Any]) -> None:
    assert differences(result, result) == []
    changed = json.loads(json.dumps(result))
    changed["environment"]["versions"]["onnxruntime"] = "1.21.0"
    changed["environment"]["cores"] = 4
    changed["bundle"]["digest"] = "ffff"
    assert differences(changed, result) == [
        "note: cores differ: 4 (was 2)",
        "note: versions differ: onnxruntime 1.21.0 (was 1.20.0)",
        "note: engines differ: ffff (was 0123456789ab)",
    ]


def test_nothing_in_common_is_told(result: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="in common"):
        compare({**result, "timings": result["timings"][:1]}, {**result, "timings": result["timings"][2:]})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--provider", "cuda"], "provider 'cuda' is not in this"),
        (["stages", "--provider", "abacus"], "provider 'abacus' is unknown"),
        (["lunch"], "'lunch' is nothing to measure"),
        (["--runs", "0"], "0 runs"),
        (["--from", str(RESULT), "engines"], "--from measures nothing"),
        (["--from", str(ORCHESTRATION)], "no result of samotion-bench"),
        (["--from", str(RESULT), "--compare", "none.json"], "none.json: cannot be read"),
        (["-o", "nowhere/now.json"], "its folder does not exist"),
    ],
)
def test_what_cannot_be_done_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_verdicts_are_printed(result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--from", str(RESULT), "--compare", str(RESULT)]) == 0
    assert f"0 faster, 0 slower, {len(result['timings'])} no difference shown" in capsys.readouterr().out
