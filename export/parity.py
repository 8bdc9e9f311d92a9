"""python -m samotion.export.parity: hold our networks, in PyTorch and as ONNX graphs, against published answers."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from samotion.engines.errors import CheckpointError, InputError, SamotionError
from samotion.engines.manifest import GraphEntry
from samotion.engines.onnx_runtime import OnnxEngine
from samotion.export.graph import GraphSpec
from samotion.export.onnx_graph import export, relative_error
from samotion.export.parity_cases import Array, Arrays, Part, network, parts
from samotion.export.parity_logic import LOGIC
from samotion.export.weights import check, load, random_state

RELATIVE = 1e-4  # features and logits, in float32
PIXELS = 0.02
PROBABILITY = 1e-4
FURTHEST = {"tracks": PIXELS, "unrefined_tracks": PIXELS, "probability": PROBABILITY}
INPUTS = ("queries", "traj", "hidden", "depth", "visibility", "confidence", "dino")


@dataclass(frozen=True)
class Row:
    """One array of one case: its error in PyTorch and on ONNX Runtime (None: not compared), and the bound."""

    case: str
    array: str
    pytorch: float | None
    onnx: float | None
    bound: float | None
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether every error is within the bound; NaN is not."""
        errors = [error for error in (self.pytorch, self.onnx) if error is not None]
        return self.bound is None or all(error <= self.bound for error in errors)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns 0, 1 if an array is past its bound, 2 for cases that cannot be used."""
    options = _parser().parse_args(argv)
    status = 0
    try:
        files = _files(options.cases)
        manifests = options.manifests or options.cases / "manifests"
        print(f"{'case':24} {'array':20} {'PyTorch':>9} {'ONNX':>9} {'bound':>7}")
    except SamotionError as error:
        return _fail(error)
    for file in files:
        try:
            for row in compare(file, options.seed, manifests):
                print(_line(row), flush=True)
                status = status if row.good else 1
        except SamotionError as error:
            refused = _fail(error)
            status = status or refused
    print("every array within its bound" if status == 0 else "NOT every array could be shown within its bound")
    return status


def compare(file: Path, seed: int, manifests: Path) -> Iterator[Row]:
    """Yield a row for each array of a case file; raises InputError for a file that is no known case."""
    name, case = file.stem, _arrays(file)
    stem = network(name)
    try:
        if name in LOGIC:
            yield from [Row(name, array, float(wrong), None, 0.0, note) for array, wrong, note in LOGIC[name](case)]
            return
        found = parts(name, case)
    except KeyError as error:
        raise InputError(f"{file}: array {error} is missing, which a case of {stem or name} must have") from error
    if stem is None or not found:
        raise InputError(f"{file}: no known network or kind of case; names are as those of the manifests")
    seen: set[str] = set(INPUTS)
    for part in found:
        _check_layout(part, manifests / f"{stem}.json")
        for row in _compare(name, case, part, seed):
            seen.add(row.array)
            yield row
    yield from (Row(name, array, None, None, None, "not known, not compared") for array in case if array not in seen)


def _compare(name: str, case: Arrays, part: Part, seed: int) -> Iterator[Row]:
    """Yield a row for each array that one network answers."""
    with torch.device("meta"):
        model = part.build().eval()
    load(model, random_state(model, seed), f"random weights {seed}")
    specs = part.graphs(model)
    if not part.sizes:
        raise InputError(f"{name}: its arrays fit no image whose sides are multiples of 14")
    # Inputs may be of the weights' seed or of 0, and the arrays may leave a size open: what fits is meant.
    tries = [(s, size) for s in dict.fromkeys((seed, 0)) for size in part.sizes]
    best: tuple[float, dict[str, float], tuple[int, object]] | None = None
    for chosen in tries:
        errors = _errors(case, part.answer(_pytorch(specs), *chosen))
        worst = max((error / _bound(array) for array, error in errors.items()), default=np.inf)
        if best is None or worst < best[0]:
            best = worst, errors, chosen
        if worst <= 1:
            break
    assert best is not None
    _, errors, chosen = best
    with tempfile.TemporaryDirectory(prefix="samotion-parity.") as folder:
        onnx = _errors(case, part.answer(_onnx(specs, Path(folder)), *chosen))
    note = "" if chosen[0] == seed else "inputs of seed 0"
    for array, error in errors.items():
        yield Row(name, array, error, onnx[array], _bound(array), note)


def _bound(array: str) -> float:
    return FURTHEST.get(array, RELATIVE)


def _errors(case: Arrays, found: Arrays) -> dict[str, float]:
    """Return the error of each array that the case has: the furthest for positions and probabilities."""
    errors = {}
    for array, value in found.items():
        if array not in case:
            continue
        wanted = case[array]
        if value.shape != wanted.shape:
            errors[array] = float("inf")
        elif array in FURTHEST:
            errors[array] = float(np.abs(value - wanted).max(initial=0))
        else:
            errors[array] = relative_error(value, wanted)
    return errors


def _pytorch(specs: list[GraphSpec]) -> Callable[..., Arrays]:
    """Return a function that runs a graph's module by name."""
    by_name = {spec.name: spec for spec in specs}

    def run(graph: str, **inputs: Array) -> Arrays:
        spec = by_name[graph]
        with torch.inference_mode():
            found = spec.module.eval()(*(torch.from_numpy(np.ascontiguousarray(inputs[key])) for key in spec.inputs))
        tensors = (found,) if isinstance(found, Tensor) else found
        return {key: tensor.numpy() for key, tensor in zip(spec.outputs, tensors, strict=True)}

    return run


def _onnx(specs: list[GraphSpec], folder: Path) -> Callable[..., Arrays]:
    """Return a function that exports a graph when it is first asked for, and runs it on ONNX Runtime."""
    by_name = {spec.name: spec for spec in specs}
    ready: dict[str, tuple[OnnxEngine, GraphEntry]] = {}

    def run(graph: str, **inputs: Array) -> Arrays:
        if graph not in ready:
            entry = export(by_name[graph], folder, compare=False)
            threads = torch.get_num_threads()
            ready[graph] = OnnxEngine(folder / entry.file, entry.inputs, entry.outputs, threads=threads), entry
        engine, entry = ready[graph]
        # A graph may leave an input out that its network ignores.
        return engine(**{tensor.name: inputs[tensor.name] for tensor in entry.inputs})

    return run


def _check_layout(part: Part, manifest: Path) -> None:
    """Raise CheckpointError unless the network has the keys and shapes that the manifest lists, if there is one."""
    if not manifest.is_file():
        return
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))
        state = {key: torch.empty(shape, device="meta") for key, (shape, _) in entries.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{manifest}: no list of keys with shape and type ({error})") from error
    with torch.device("meta"):
        model: nn.Module = part.build()
    check(model, state, str(manifest))


def _files(cases: Path) -> list[Path]:
    folder = cases / "golden"
    if not (found := sorted(folder.glob("*.npz"))):
        raise InputError(f"{folder}: no case files (*.npz) found; name the folder that holds golden/ with --cases")
    return found


def _arrays(file: Path) -> Arrays:
    try:
        with np.load(file) as data:  # never unpickles: allow_pickle is off
            return {name: data[name] for name in data.files}
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError) as error:
        raise InputError(f"{file}: damaged, or no file of arrays ({error})") from error


def _line(row: Row) -> str:
    cells = ["-" if value is None else f"{value:.1e}" for value in (row.pytorch, row.onnx, row.bound)]
    line = f"{row.case:24} {row.array:20} {cells[0]:>9} {cells[1]:>9} {cells[2]:>7}"
    return f"{line}  {'' if row.good else 'PAST ITS BOUND '}{row.note}".rstrip()


def _fail(error: SamotionError) -> int:
    print(f"parity: error: {error}", file=sys.stderr, flush=True)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m samotion.export.parity",
        description="Compare every case file in DIR/golden with our networks on weights drawn by the same rule, in "
        "PyTorch and exported to ONNX Runtime. Errors are relative, but furthest distances for tracks (pixels) and "
        "probabilities.",
    )
    add = parser.add_argument
    add("--cases", metavar="DIR", type=Path, required=True, help="folder with golden/*.npz")
    add("--seed", metavar="N", type=int, default=0, help="seed of the cases' weights and images (default: 0)")
    add("--manifests", metavar="DIR", type=Path, help="checkpoint layouts NAME.json (default: CASES/manifests)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
