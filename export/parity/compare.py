"""One parity case after the other: our networks, in PyTorch and as ONNX graphs, against published answers."""

import json
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from samotion.engines.errors import CheckpointError, InputError
from samotion.engines.manifest import GraphEntry
from samotion.engines.ort.session import OnnxEngine
from samotion.export.graph.export import export, relative_error
from samotion.export.networks.spec import GraphSpec
from samotion.export.parity.cases import KINDS, kind
from samotion.export.parity.logic import LOGIC
from samotion.export.parity.parts import Array, Arrays, Part
from samotion.export.weights.load import check, load, random_state

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


def compare(file: Path, seed: int, manifests: Path) -> Iterator[Row]:
    """Yield a row for each array of a case file; raises InputError for a file that is no case, or not a whole one."""
    name, case = file.stem, _arrays(file)
    try:
        if logic := kind(name, LOGIC):
            for array, wrong, note in LOGIC[logic](case):
                yield Row(name, array, wrong, None, None if wrong is None else 0.0, note)
        elif stem := kind(name, KINDS):
            yield from _network(name, case, KINDS[stem](case), seed, manifests / f"{stem}.json")
        else:
            raise InputError(f"no case is called {name}; names begin with one of {', '.join([*KINDS, *LOGIC])}")
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _network(name: str, case: Arrays, parts: list[Part], seed: int, manifest: Path) -> Iterator[Row]:
    """Yield a row for each array of a network's case."""
    seen: set[str] = set(INPUTS)
    for part in parts:
        _check_layout(part, manifest)
        for row in _compare(name, case, part, seed):
            seen.add(row.array)
            yield row
    if not manifest.is_file():
        yield Row(name, "(layout)", None, None, None, f"not compared: no {manifest}")
    yield from (Row(name, array, None, None, None, "not known, not compared") for array in case if array not in seen)


def _compare(name: str, case: Arrays, part: Part, seed: int) -> Iterator[Row]:
    """Yield a row for each array that one network answers; raises InputError after them if any is missing."""
    with torch.device("meta"):
        model = part.build().eval()
    load(model, random_state(model, seed), f"random weights {seed}")
    specs = part.graphs(model)
    found, chosen = _likeliest(case, part, specs, seed)
    errors = _errors(case, found)
    with tempfile.TemporaryDirectory(prefix="samotion-parity.") as folder:
        onnx = _errors(case, part.answer(_onnx(specs, Path(folder)), *chosen))
    note = "" if chosen[0] == seed else "inputs of seed 0"
    for array, error in errors.items():
        yield Row(name, array, error, onnx[array], _bound(array), note)
    if missing := [array for array in found if array not in case]:
        raise InputError(f"array {', '.join(missing)} is missing, which a case of {name} must have")


def _likeliest(case: Arrays, part: Part, specs: list[GraphSpec], seed: int) -> tuple[Arrays, tuple[int, object]]:
    """Return what PyTorch answers and the seed and size of the inputs that it was asked with.

    Inputs may be of the weights' seed or of 0, and the arrays may leave a size open: what fits best is meant.
    """
    best = None
    for chosen in [(s, size) for s in dict.fromkeys((seed, 0)) for size in part.sizes]:
        found = part.answer(_pytorch(specs), *chosen)
        worst = max((error / _bound(array) for array, error in _errors(case, found).items()), default=np.inf)
        if best is None or worst < best[0]:
            best = worst, found, chosen
        if worst <= 1:
            break
    if best is None:
        raise InputError("its arrays fit no image whose sides are multiples of 14")
    return best[1], best[2]


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


def _arrays(file: Path) -> Arrays:
    try:
        with np.load(file) as data:  # never unpickles: allow_pickle is off
            case = {name: data[name] for name in data.files}
    # Each of these comes from some damage; NotImplementedError from a compression that zipfile does not read.
    except (OSError, ValueError, EOFError, BadZipFile, AttributeError, NotImplementedError, zlib.error) as error:
        raise InputError(f"{file}: damaged, or no file of arrays ({error})") from error
    if strange := [name for name, array in case.items() if array.dtype.kind not in "biuf"]:
        raise InputError(f"{file}: array {strange[0]} is {case[strange[0]].dtype}, expected numbers")
    return case
