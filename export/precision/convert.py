"""``python -m samotion.export.precision``: the FP16 bundle of an FP32 one, held to it on real inputs."""

import argparse
import dataclasses
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from samotion.engines.atomic import atomic_folder
from samotion.engines.bundle_files import must_be_bundle, verify
from samotion.engines.errors import BundleError, OutputError, SamotionError
from samotion.engines.manifest import EMBEDDED, GraphEntry, Manifest, read, save
from samotion.engines.ort.session import CPU, PROVIDERS, Execution, require
from samotion.export.graph.file import LARGEST_INSIDE, entry_of
from samotion.export.graph.fp16_emulation import rounded
from samotion.export.graph.index import load
from samotion.export.graph.index import save as save_model
from samotion.export.precision.gate import COLUMNS, COSINE, HEADROOM, LARGEST_ERROR
from samotion.export.precision.samples import gather
from samotion.export.precision.search import Search, Trial
from samotion.export.precision.tracking import GRAPHS, MEAN_IOU, follow
from samotion.export.precision.whole import BOUNDS, Whole, repair, samples

Tell = Callable[[str], None]
PROGRAM = "samotion.export.precision"


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 after one line on standard error for a mistake of the user."""
    options = _parser().parse_args(argv)
    begun = time.perf_counter()
    try:
        with atomic_folder(options.out, must_be_bundle) as folder:
            manifest, report = convert(
                options.bundle,
                folder,
                options.data,
                functools.partial(print, flush=True),
                Execution(options.provider, options.threads),
            )
        if options.report is not None:
            _write(options.report, report)
    except SamotionError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return 2
    print(f"{options.out}: {manifest.digest}, {time.perf_counter() - begun:.0f} s")
    return 0


def convert(
    bundle: Path, folder: Path, data: Path | None, tell: Tell, execution: Execution = CPU
) -> tuple[Manifest, dict[str, Any]]:
    """Write ``bundle`` (float32) in float16 with float32 islands into ``folder``; return its manifest and the report.

    Each graph's islands are searched for until its answers hold on inputs that did not choose them, then those of the
    graphs that change most end to end until the pipeline's answers hold, then SAM2's until its masks hold over 100
    propagated frames. A graph of which nothing is left in float16 stays float32. data: a folder of clips (not of
    those that anything is scored on) for more inputs. execution: of all that is run meanwhile. Raises
    BundleError, InputError, OutputError, and EngineError for a graph that FP16 does not suit, or a provider that is
    not there.
    """
    require(execution.provider)  # reported now, not after the first graph
    manifest = read(bundle)
    for name, entry in manifest.graphs.items():
        verify(bundle, entry)
        if entry.precision != "float32":
            raise BundleError(f"{bundle}: {name} is {entry.precision} already; name a bundle of float32 graphs")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tell("collecting activations")
        inputs = gather(bundle, manifest, data, execution)
        searches: dict[str, Search] = {}
        trials: dict[str, Trial] = {}
        for name, entry in manifest.graphs.items():
            searches[name] = Search(
                load(bundle / entry.file), entry, inputs.choosing[name], inputs.held[name], Path(scratch), execution
            )
            trials[name] = searches[name].satisfied()
            tell(_line(name, trials[name]))
        whole = Whole(bundle, manifest, samples(data, manifest), Path(scratch), execution)
        rounds = repair(whole, searches, trials, tell)
        tracking = _followed(bundle, manifest, searches, trials, Path(scratch), tell, execution)
        graphs = {name: _written(trial, manifest.graphs[name], folder) for name, trial in trials.items()}
        changed = dataclasses.replace(manifest, graphs=graphs, plans={})
        save(folder, changed)
    return changed, {
        "program": PROGRAM,
        "format": 1,
        "bundle": {"name": changed.name, "digest": changed.digest, "of": manifest.digest},
        "bounds": {"cosine": COSINE, "largest": LARGEST_ERROR, "headroom": HEADROOM, "mean_iou": MEAN_IOU},
        "sources": inputs.sources,
        "end_to_end": {"bounds": dataclasses.asdict(BOUNDS), "rounds": rounds},
        "tracking": tracking,
        "tensor_columns": COLUMNS,
        "graphs": {
            name: {
                **graphs[name].precision_map,
                "rounds": searches[name].rounds,
                "tensors": {key: str(tensor) for key, tensor in trial.tensors.items()},
            }
            for name, trial in trials.items()
        },
    }


def rounded_bundle(bundle: Path, folder: Path) -> None:
    """Write ``bundle`` into ``folder`` with float16 graphs as a CPU must run them to show what FP16 does."""
    manifest = read(bundle)
    graphs = {}
    for name, entry in manifest.graphs.items():
        verify(bundle, entry)
        path = folder / f"{name}.onnx"
        save_model(rounded(load(bundle / entry.file)), path, LARGEST_INSIDE)
        graphs[name] = dataclasses.replace(entry_of(path), precision=entry.precision)
    save(folder, dataclasses.replace(manifest, graphs=graphs, plans={}))


def _followed(
    bundle: Path,
    manifest: Manifest,
    searches: Mapping[str, Search],
    trials: dict[str, Trial],
    scratch: Path,
    tell: Tell,
    execution: Execution,
) -> dict[str, Any]:
    """Add islands to SAM2's graphs, the worst first, until its masks hold over many frames; return how they do."""
    while True:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            graphs = {name: _written(trials[name], manifest.graphs[name], Path(folder)) for name in trials}
            save(Path(folder), dataclasses.replace(manifest, graphs=graphs, plans={}))
            with tempfile.TemporaryDirectory(dir=scratch) as other:
                rounded_bundle(Path(folder), Path(other))
                found = follow(bundle, Path(other), execution)
        tell(f"tracking: mean IoU {found['mean_iou']:.4f} over {found['frames']} frames, {found['objects']} objects")
        if found["passed"]:
            return found
        worst = max(GRAPHS, key=lambda name: trials[name].worst)
        searches[worst].further(trials[worst])
        trials[worst] = searches[worst].satisfied()
        tell(_line(worst, trials[worst]))


def _written(trial: Trial, entry: GraphEntry, folder: Path) -> GraphEntry:
    """Write the chosen graph under the name it had and return its entry."""
    path = folder / entry.file
    save_model(trial.half, path, LARGEST_INSIDE)
    precision = "float16" if trial.is_half else "float32"
    return dataclasses.replace(entry_of(path), precision=precision, parity=entry.parity, precision_map=trial.record())


def _line(name: str, trial: Trial) -> str:
    """Return what is reported of one graph."""
    figures = trial.record()["gate"]["held"].values()
    kept = {reason: sum(map(len, modules.values())) for reason, modules in trial.islands.items()}
    islands = ", ".join(f"{count} {reason}" for reason, count in kept.items()) or "none"
    cosine, largest = min(f["cosine"] for f in figures), max(f["largest"] for f in figures)
    return f"{name}: cosine {cosine:.6f}, largest error {largest:.4f}, {trial.nodes} nodes, float32: {islands}"


def _write(path: Path, report: dict[str, Any]) -> None:
    """Write the report; raises OutputError."""
    try:
        path.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def _parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    parser = argparse.ArgumentParser(
        f"python -m {PROGRAM}",
        description="Write the float16 bundle of a float32 one. What FP16 would harm stays float32: islands are "
        "added until every graph's answers hold on inputs that did not choose them.",
    )
    add = parser.add_argument
    add(
        "--bundle",
        type=Path,
        default=EMBEDDED,
        metavar="B",
        help="bundle of float32 graphs (default: the shipped nano)",
    )
    add("--data", type=Path, metavar="DIR", help="clips for further inputs: <clip>/frames, or DAVIS's own layout")
    add("-o", "--out", type=Path, required=True, metavar="NEW", help="folder of the new bundle")
    add("--report", type=Path, metavar="FILE", help="write every tensor's range and error there as JSON")
    add(
        "--provider",
        choices=tuple(PROVIDERS),
        default="cpu",
        help="what runs the graphs meanwhile (default: cpu; cuda for published sizes, which take days on a CPU)",
    )
    add("--threads", type=int, default=0, metavar="N", help="CPU threads (default: all cores)")
    return parser
