"""bundle.json: what a bundle of engines holds, how its networks want their inputs, and its files' hashes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from samotion.engines.atomic import atomic_file
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import BundleError
from samotion.engines.strict_json import Fault, UnknownField, convert, parse

FILE = "bundle.json"
EMBEDDED = Path(__file__).parent / "nano"  # the bundle that comes with the package
FORMAT = 1
LARGEST = 8 << 20  # bytes of bundle.json; with precision maps of all graphs it has under one
DTYPES = ("bool", "float16", "float32", "float64", "int8", "int32", "int64", "uint8")
BARE = re.compile(r"(?!\.{1,2}$)[^/\\:]{1,255}")
GRAPHS = (
    "track_features",
    "track_queries",
    "track_head",
    "depth",
    "semantics",
    "motion",
    "mask_encoder",
    "mask_decoder",
    "memory_encoder",
    "memory_attention",
)
REMEDY = "export it again with samotion-export, or leave --engines out for the shipped bundle"


Count = Annotated[int, Meta(ge=1, le=65536)]
Size = Annotated[int, Meta(ge=0, le=2**62)]


@dataclass(frozen=True)
class TrackerInput:
    """BootsTAPIR: frames are resized to size × size pixels."""

    size: Count


@dataclass(frozen=True)
class DepthInput:
    """Depth-Anything-V2: one side becomes ``size`` pixels, both are rounded to multiples of ``multiple``."""

    size: Count
    multiple: Count


@dataclass(frozen=True)
class SemanticsInput:
    """DINOv2: frames are resized up to multiples of ``multiple``, after a shrink to ``longest_side`` if given."""

    multiple: Count
    longest_side: Count | None


@dataclass(frozen=True)
class MasksInput:
    """SAM2: frames are resized to size × size pixels; the rest is its memory bank.

    memory_frames: slots of the bank, the clicked frames' not counted among the recent ones (published: 7 with
    one clicked). pointers: most object pointers. max_clicked: most clicked frames read at once, the nearest
    (None, published: all).
    """

    size: Count
    memory_frames: Count
    pointers: Count
    max_clicked: Count | None = None


@dataclass(frozen=True)
class GraphEntry:
    """One graph: its file and the file's further parts by sha256, tensors, precision and parity figures.

    precision: "float32", or what the graph computes in where it is not said otherwise node by node; precision_map
    then has which nodes are not ("float32": reason → module → nodes), of "int8" how many products of which kind are
    and how, and how far its answers are off ("gate").
    """

    file: str
    sha256: Mapping[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: Count
    precision: str
    parity: Mapping[str, float] = field(default_factory=dict)
    precision_map: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of all the graph's files, by which a plan knows what it was built from."""
        return hashlib.sha256(json.dumps(dict(self.sha256), sort_keys=True).encode()).hexdigest()


Shape = tuple[Size, ...]


@dataclass(frozen=True)
class PlanEntry:
    """One graph's TensorRT plan, and what a machine must be to run it.

    graph: GraphEntry.digest of the graph that it was built from. backend, version: "tensorrt" or "tensorrt-rtx" and
    its version. compute_capabilities: of the GPUs that it is for, such as "8.9"; empty: all that the backend builds
    for by itself. platform: where it was built, such as "linux-x86_64". profile: each input's least, best and largest
    shape. precision: the graph's. seconds: that building took. bytes: of the file.
    """

    file: str
    sha256: str
    graph: str
    backend: str
    version: str
    compute_capabilities: tuple[str, ...]
    platform: str
    hardware_compatible: bool
    version_compatible: bool
    profile: Mapping[str, tuple[Shape, Shape, Shape]]
    precision: str
    seconds: float
    bytes: Size


@dataclass(frozen=True)
class Manifest:
    """All of bundle.json. settings: pipeline constants (samotion.runtime.settings) that this bundle states.

    plans: by backend and graph; none in a bundle of ONNX graphs alone.
    """

    name: str
    version: str
    licences: Mapping[str, str]
    settings: Mapping[str, Any]
    tracker: TrackerInput
    depth: DepthInput
    semantics: SemanticsInput
    masks: MasksInput
    graphs: Mapping[str, GraphEntry]
    format: int = FORMAT
    plans: Mapping[str, Mapping[str, PlanEntry]] = field(default_factory=dict)

    def dumps(self) -> str:
        """Return the manifest as JSON text; plans and precision maps only where there are any."""
        data = asdict(self)
        if not self.plans:
            del data["plans"]
        for entry in data["graphs"].values():
            if not entry["precision_map"]:
                del entry["precision_map"]
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    @property
    def precision(self) -> str:
        """What the graphs compute in, in words: "float32", or "float32, but int8 in depth, mask_encoder"."""
        kinds: dict[str, list[str]] = {}
        for name, entry in self.graphs.items():
            kinds.setdefault(entry.precision, []).append(name)
        most = max(kinds, key=lambda kind: len(kinds[kind]))
        others = [f"{kind} in {', '.join(names)}" for kind, names in kinds.items() if kind != most]
        return ", but ".join([most, *([" and ".join(others)] if others else [])])

    @property
    def digest(self) -> str:
        """Short name of exactly these graphs and settings, whatever plans were built from them."""
        return hashlib.sha256(replace(self, plans={}).dumps().encode()).hexdigest()[:12]

    def digest_for(self, provider: str) -> str:
        """Short name of exactly what ``provider`` runs: these graphs and settings, or the plans built from them."""
        plans = self.plans.get(provider)
        if plans is None:
            return self.digest
        parts = [self.digest, *(plans[name].sha256 for name in sorted(plans))]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:12]


def read(folder: Path) -> Manifest:
    """Return the manifest of the bundle in ``folder``; raises BundleError, naming the field, if it is not sound."""
    path = folder / FILE
    try:
        if not path.is_file():
            raise BundleError(f"{folder}: no {FILE} found, so this is no engine bundle", REMEDY)
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise Fault(f"larger than {LARGEST >> 20} MiB")
        return _manifest(parse(text))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})", REMEDY) from error
    except UnknownField as error:
        raise BundleError(
            f"{path}: {error}, so damaged or of a newer version", f"update samotion, or {REMEDY}"
        ) from error
    except Fault as error:
        raise BundleError(f"{path}: damaged: {error}", REMEDY) from error


def _manifest(data: dict[str, Any]) -> Manifest:
    """Return ``data`` as a Manifest; raises Fault."""
    version = data.get("format")
    if type(version) is int and version > FORMAT:
        raise UnknownField(f"format {version}: this version reads {FORMAT}")
    graphs = _table(data, "graphs")
    if unknown := sorted(set(graphs) - set(GRAPHS)):
        raise UnknownField(f"graphs.{unknown[0]:.60}: unknown graph")
    if missing := [name for name in GRAPHS if name not in graphs]:
        raise Fault(f"graphs.{missing[0]}: missing")
    parts = {
        "graphs": {name: convert(graphs[name], GraphEntry, f"graphs.{name}") for name in GRAPHS},
        "plans": {
            backend: {name: convert(plan, PlanEntry, f"plans.{backend}.{name}") for name, plan in table.items()}
            for backend in _table(data, "plans")
            if (table := _table(data["plans"], backend, "plans."))
        },
    }
    for name, value in _table(data, "settings").items():
        if not isinstance(value, int | float | None):
            raise Fault(f"settings.{name}: expected a number, true, false or null, got {value!r:.60}")
    manifest = convert({**data, **parts}, Manifest)
    if version != FORMAT:
        raise Fault(f"format: {version!r:.20}, expected {FORMAT}")
    for name, entry in manifest.graphs.items():
        _check_graph(entry, f"graphs.{name}")
    for backend, plans in manifest.plans.items():
        for name, plan in plans.items():
            _check_plan(plan, manifest.graphs.get(name), f"plans.{backend}.{name}")
    return manifest


def _table(data: dict[str, Any], key: str, place: str = "") -> dict[str, Any]:
    """Return the object under ``key``, empty where there is none."""
    found = data.get(key, {})
    if not isinstance(found, dict):
        raise Fault(f"{place}{key}: expected an object, got {type(found).__name__}")
    return found


def _check_graph(entry: GraphEntry, place: str) -> None:
    """Raise Fault for what types do not say: names, hashes, axes."""
    for name, digest in entry.sha256.items():
        _check_file(name, digest, f"{place}.sha256")
    if entry.file not in entry.sha256:
        raise Fault(f"{place}.file: {entry.file!r:.60} has no hash in sha256")
    for key, specs in (("inputs", entry.inputs), ("outputs", entry.outputs)):
        names = [spec.name for spec in specs]
        if not names or len(set(names)) < len(names):
            raise Fault(f"{place}.{key}: {'a name stands twice' if names else 'none'}")
        for spec in specs:
            if spec.dtype not in DTYPES:
                raise Fault(f"{place}.{key}: {spec.name:.60} is {spec.dtype!r:.20}, expected {', '.join(DTYPES)}")
            if any(isinstance(axis, int) and axis < 0 for axis in spec.shape):
                raise Fault(f"{place}.{key}: {spec.name:.60} has a negative length")


def _check_plan(plan: PlanEntry, graph: GraphEntry | None, place: str) -> None:
    """Raise Fault for what types do not say: names, hashes, and a profile that is not of the graph's inputs."""
    _check_file(plan.file, plan.sha256, place)
    if graph is None:
        raise Fault(f"{place}: no such graph")
    axes = {spec.name: 3 * [len(spec.shape)] for spec in graph.inputs}
    if {name: [len(shape) for shape in shapes] for name, shapes in plan.profile.items()} != axes:
        raise Fault(f"{place}.profile: does not fit the graph's inputs")


def _check_file(name: str, digest: str, place: str) -> None:
    """Raise Fault unless ``name`` stays in the bundle's folder, and ``digest`` is a sha256."""
    if not BARE.fullmatch(name):
        raise Fault(f"{place}: {name!r:.60} is no bare file name")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise Fault(f"{place}: {name!r:.60} has {digest!r:.20}, expected a sha256 of 64 hexadecimal digits")


def save(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``, whole or not at all; raises OutputError."""
    with atomic_file(folder / FILE) as partial:
        partial.write_text(manifest.dumps(), encoding="utf-8")
