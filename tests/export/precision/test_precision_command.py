"""The precision command and its benchmark: options, errors, the manifest's map, bounds, whole bundles."""

import dataclasses
import json
import shutil
from pathlib import Path

import onnx
import onnxruntime
import pytest
from tests.support.datasets.labelled import truth_of, write_clip

from samotion.benchmarks import precision as benchmark
from samotion.calibration.comparison.end_to_end import Agreement, Bounds
from samotion.calibration.recording.activations import folder_clips
from samotion.engines.errors import BundleError, InputError
from samotion.engines.manifest import EMBEDDED, GraphEntry, read, save
from samotion.export import cli
from samotion.export.graph.file import entry_of
from samotion.export.graph.fp16 import to_half
from samotion.export.graph.index import load
from samotion.export.precision import convert


def test_folders_without_clips_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clips"):
        folder_clips(tmp_path, 2)


def test_the_map_stands_in_the_manifest(tmp_path: Path) -> None:
    manifest = read(EMBEDDED)
    assert "precision_map" not in manifest.dumps()
    told = {"float32": {"phases": {"a": ["b"]}}, "gate": {}}
    entry: GraphEntry = dataclasses.replace(manifest.graphs["depth"], precision="float16", precision_map=told)
    save(tmp_path, dataclasses.replace(manifest, graphs={**manifest.graphs, "depth": entry}))
    again = read(tmp_path)
    assert again.graphs["depth"].precision_map == told
    assert again.graphs["motion"].precision_map == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "x", "--precision", "fp16"], "name a folder"),
        (["--from", "x", "--precision", "int8"], "name a folder"),
        (["--preset", "nano", "--calibrate", "x", "-o", "y"], "--calibrate names clips"),
        (["--from", "x", "--precision", "int8", "-o", "y", "--provider", "cuda"], "--provider says what runs"),
        (["--check", "x", "--precision", "fp16"], "--check looks at a bundle"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


def test_errors_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main(["--bundle", str(tmp_path / "none"), "-o", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        for command in (convert.main, cli.main):
            words = ["--precision", "fp16", "--preset", "nano"] if command is cli.main else []
            assert command([*words, "-o", str(tmp_path / "new"), "--provider", "cuda"]) == 2
            assert "error: provider 'cuda' is not in this ONNX Runtime" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_comparison_has_a_verdict() -> None:
    clip = dataclasses.asdict(Agreement("a", 10, 0.99, 995, 1000, (1, 1), 0.5, 0.502))
    assert benchmark.overall([clip])["within"]
    assert not benchmark.overall([{**clip, "j": 0.49}])["within"]


@pytest.mark.slow
def test_the_shipped_bundle_becomes_half(tmp_path: Path) -> None:
    manifest, report = convert.convert(EMBEDDED, tmp_path / "half", None, print)
    assert read(tmp_path / "half").digest == manifest.digest
    assert "float16" in {entry.precision for entry in manifest.graphs.values()}
    rows = [Agreement(**row) for row in report["end_to_end"]["rounds"][-1]["clips"]]
    assert all(Bounds().hold([row]) for row in rows)
    assert report["tracking"]["mean_iou"] >= 0.98
    for graph in report["graphs"].values():
        assert all(figures["cosine"] >= 0.999 for figures in graph["gate"]["held"].values())


def test_the_same_bundle_is_within_the_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "square" / "frames", tmp_path / "square" / "masks", truth_of(frames=2))
    report = tmp_path / "report.json"
    arguments = ["--data", str(tmp_path), "--engines", str(EMBEDDED), "--threads", "1", "-o", str(report)]
    assert benchmark.main(arguments) == 0
    found = json.loads(report.read_text(encoding="utf-8"))
    assert (found["difference"], found["mean_iou"], found["labels"], found["within"]) == (0, 1, 1, True)
    assert found["clips"][0]["tracks"] > 0
    assert "within the bounds" in capsys.readouterr().out
    assert benchmark.main([*arguments, "--against", str(tmp_path)]) == 2


def test_half_graphs_run_rounded_on_a_cpu(tmp_path: Path) -> None:
    manifest, bundle = read(EMBEDDED), tmp_path / "half"
    bundle.mkdir()
    for file in (entry.file for entry in manifest.graphs.values()):
        shutil.copyfile(EMBEDDED / file, bundle / file)
    path = bundle / "memory_encoder.onnx"
    onnx.save(to_half(load(path), ()), path)
    entry = dataclasses.replace(entry_of(path), precision="float16")
    save(bundle, dataclasses.replace(manifest, graphs={**manifest.graphs, "memory_encoder": entry}))
    (tmp_path / "rounded").mkdir()
    convert.rounded_bundle(bundle, tmp_path / "rounded")
    again = read(tmp_path / "rounded").graphs
    assert again["memory_encoder"].sha256 != entry.sha256
    operators = [node.name for node in load(tmp_path / "rounded" / "memory_encoder.onnx").graph.node]
    assert any(name.startswith("Round_") for name in operators)
    assert not any(node.name.startswith("Round_") for node in load(tmp_path / "rounded" / "motion.onnx").graph.node)
    with pytest.raises(BundleError, match="float16 already"):
        convert.convert(bundle, tmp_path / "new", None, print)
