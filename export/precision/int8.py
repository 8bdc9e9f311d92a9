"""Image encoders in INT8, each where it is near enough to float32 and faster."""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto

from samotion.calibration.comparison.end_to_end import means
from samotion.calibration.recording.activations import Inputs
from samotion.calibration.recording.ranges import Deviation
from samotion.engines.bundle_files import verify
from samotion.engines.errors import BundleError
from samotion.engines.manifest import GraphEntry, Manifest, read, save
from samotion.engines.ort.session import CPU, Execution
from samotion.export.graph.file import LARGEST_INSIDE, entry_of
from samotion.export.graph.index import load
from samotion.export.graph.index import save as save_model
from samotion.export.precision.int8_quantiser import OPERATORS, Quantiser
from samotion.export.precision.int8_selection import FASTER, LOST, affordable, cpu_ratio
from samotion.export.precision.samples import gather
from samotion.export.precision.whole import Whole, samples

ENCODERS = ("track_features", "depth", "semantics", "mask_encoder")
COSINE = 0.99  # at least, of every output and every input: eight bits hold three less than FP16
# At most, as a part of the output's greatest magnitude. Ranges that leave outliers out are off by most of those:
# what that costs is for the masks to show.
LARGEST_ERROR = 0.25
Tell = Callable[[str], None]


@dataclass
class Trial:
    """One encoder in INT8. record: what its bundle says of it. refused: why it stays float32, if it does."""

    model: ModelProto
    record: dict[str, Any]
    refused: str = ""


def convert(
    bundle: Path,
    folder: Path,
    data: Path | None,
    tell: Tell,
    for_plans: bool = False,
    execution: Execution = CPU,
) -> tuple[Manifest, dict[str, Any]]:
    """Write ``bundle`` (float32) with image encoders in INT8 into ``folder``; return the manifest and the report.

    An encoder stays float32 if INT8 puts it past the bounds, does not make it faster on this CPU, or takes more than
    half a point of J end to end: on made scenes, and on those clips of ``data`` that have true masks. data: as for
    samotion.export.precision.convert. for_plans: quantise as TensorRT wants it, activations int8 around 0 and biases
    in float32, instead of as ONNX Runtime's CPU kernels do, activations uint8; how fast the CPU is does not matter
    then. Raises BundleError, InputError, OutputError.
    """
    manifest = read(bundle)
    for name, entry in manifest.graphs.items():
        verify(bundle, entry)
        if entry.precision != "float32":
            raise BundleError(f"{bundle}: {name} is {entry.precision} already; name a bundle of float32 graphs")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        tell("collecting activations")
        inputs = gather(bundle, manifest, data, execution)
        trials = {}
        for name in ENCODERS:
            graph = load(bundle / manifest.graphs[name].file), manifest.graphs[name]
            trials[name] = _trial(
                *graph, inputs.choosing[name], inputs.held[name], Path(scratch), for_plans, execution
            )
            tell(_line(name, trials[name]))
        whole = Whole(bundle, manifest, samples(data, manifest), Path(scratch), execution, lambda model: model)
        _weigh(whole, trials, tell)
        graphs = {name: _written(bundle, entry, trials.get(name), folder) for name, entry in manifest.graphs.items()}
        changed = dataclasses.replace(manifest, graphs=graphs, plans={})
        save(folder, changed)
    return changed, {name: dict(graphs[name].precision_map) for name in ENCODERS}


def _trial(
    model: ModelProto,
    entry: GraphEntry,
    choosing: Sequence[Inputs],
    held: Sequence[Inputs],
    scratch: Path,
    for_plans: bool,
    execution: Execution,
) -> Trial:
    """Return one encoder in INT8, held to inputs that did not choose its ranges and, for the CPU, to FP32's time."""
    quantiser = Quantiser(model, entry, choosing, scratch, execution)
    method, made = quantiser.best(for_plans)
    deviations = quantiser.deviations(made, held)
    trial = Trial(made, _record(method, made, for_plans, deviations))
    if not holds(deviations):
        trial.refused = f"past the bounds ({COSINE}, {LARGEST_ERROR})"
    elif not for_plans:
        ratio = trial.record["cpu_time"] = round(cpu_ratio((model, made), entry.inputs, held[0], scratch), 3)
        trial.refused = "" if ratio <= FASTER else f"takes {ratio:.2f} of float32's CPU time, gains from {FASTER} on"
    return trial


def _weigh(whole: Whole, trials: Mapping[str, Trial], tell: Tell) -> None:
    """Refuse what takes too much of J, and record what the rest does to it."""
    left = {name: trial.model for name, trial in trials.items() if not trial.refused}
    kept, rows = affordable(whole, left, tell) if left else ([], [])
    for name in left:
        if name not in kept:
            trials[name].refused = f"J falls by more than {LOST} with it"
    for name in kept:
        known = [row for row in rows if row.j is not None]
        difference, iou, labels = means(rows)
        trials[name].record["end_to_end"] = {
            **{"with": kept, "clips": [row.name for row in known]},
            **{"difference": difference, "mean_iou": iou, "labels": labels},
        }


def _written(bundle: Path, entry: GraphEntry, trial: Trial | None, out: Path) -> GraphEntry:
    """Write a graph, in INT8 where that was not refused, and return its entry."""
    if trial is None or trial.refused:
        refused = {"refused": {**trial.record, "reason": trial.refused}} if trial else dict(entry.precision_map)
        return dataclasses.replace(_copied(bundle, entry, out), precision_map=refused)
    path = out / entry.file
    save_model(trial.model, path, LARGEST_INSIDE)
    return dataclasses.replace(entry_of(path), precision="int8", parity=entry.parity, precision_map=trial.record)


def _line(name: str, trial: Trial) -> str:
    """Return what is reported of one encoder."""
    record, held = trial.record, trial.record["gate"]["held"].values()
    cosine, largest = min(d["cosine"] for d in held), max(d["largest"] for d in held)
    time = f", {record['cpu_time']:.2f} of float32's CPU time" if "cpu_time" in record else ""
    verdict = f"stays float32: {trial.refused}" if trial.refused else f"{record['nodes']} products in INT8{time}"
    return f"{name}: {record['ranges']}, cosine {cosine:.5f}, largest error {largest:.4f}; {verdict}"


def _copied(bundle: Path, entry: GraphEntry, out: Path) -> GraphEntry:
    """Copy a graph as it is and return its entry."""
    for name in entry.sha256:
        shutil.copyfile(bundle / name, out / name)
    return entry


def holds(deviations: dict[str, Deviation]) -> bool:
    """Return whether every output is within INT8's bounds."""
    return all(d.not_finite == 0 and d.cosine >= COSINE and d.largest <= LARGEST_ERROR for d in deviations.values())


def _record(method: str, model: ModelProto, for_plans: bool, held: dict[str, Deviation]) -> dict[str, Any]:
    """Return the manifest's precision map of an INT8 graph."""
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    quantised = [
        node
        for node in model.graph.node
        if node.op_type in OPERATORS and all(made.get(name) == "DequantizeLinear" for name in node.input[:2])
    ]
    return {
        "int8": dict(sorted({kind: sum(n.op_type == kind for n in quantised) for kind in OPERATORS}.items())),
        "activations": "int8" if for_plans else "uint8",
        "ranges": method,
        "nodes": len(quantised),
        "gate": {"held": {name: dataclasses.asdict(deviation) for name, deviation in held.items()}},
    }
