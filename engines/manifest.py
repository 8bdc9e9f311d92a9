"""bundle.json: what a bundle of engines holds, how its networks want their inputs, and its files' hashes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from samotion.engines.atomic import atomic_file
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import BundleError, OutputError

FILE = "bundle.json"
EMBEDDED = Path(__file__).parent / "nano"  # the bundle that comes with the package
FORMAT = 1
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
PLAN = re.compile(rf"({'|'.join(GRAPHS)})\.tensorrt(-rtx)?(\.\d+)?\.plan")
LEFT = rf"\.({re.escape(FILE)}|plans)\.(lock|partial)"  # by a writer that was killed
OWN = re.compile(rf"{re.escape(FILE)}|({'|'.join(GRAPHS)})\.onnx(\.data)?|{PLAN.pattern}|{LEFT}")
MEND = "export it again with samotion-export, or leave --engines out for the shipped bundle"


@dataclass(frozen=True)
class TrackerInput:
    """BootsTAPIR: frames are resized to size × size pixels."""

    size: int


@dataclass(frozen=True)
class DepthInput:
    """Depth-Anything-V2: one side becomes ``size`` pixels, both are rounded to multiples of ``multiple``."""

    size: int
    multiple: int


@dataclass(frozen=True)
class SemanticsInput:
    """DINOv2: frames are resized up to multiples of ``multiple``, after a shrink to ``longest_side`` if given."""

    multiple: int
    longest_side: int | None


@dataclass(frozen=True)
class MasksInput:
    """SAM2: frames are resized to size × size pixels; the rest is its memory bank.

    memory_frames: slots of the bank, the clicked frames' not counted among the recent ones (published: 7 with
    one clicked). pointers: most object pointers. max_clicked: most clicked frames read at once, the nearest
    (None, published: all).
    """

    size: int
    memory_frames: int
    pointers: int
    max_clicked: int | None = None


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
    opset: int
    precision: str
    parity: Mapping[str, float] = field(default_factory=dict)
    precision_map: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Hash of all the graph's files, by which a plan knows what it was built from."""
        return hashlib.sha256(json.dumps(dict(self.sha256), sort_keys=True).encode()).hexdigest()


Shape = tuple[int, ...]


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
    bytes: int


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


def read(folder: Path) -> Manifest:
    """Return the manifest of the bundle in ``folder``; raises BundleError if there is none that we can read."""
    path = folder / FILE
    if not path.is_file():
        raise BundleError(f"{folder}: no {FILE} found, so this is no engine bundle", MEND)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise BundleError(f"{path}: format {data['format']}, this version reads {FORMAT}", MEND)
        return _manifest(data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path}: damaged ({type(error).__name__}: {error})", MEND) from error


def save(folder: Path, manifest: Manifest) -> None:
    """Write ``manifest`` into ``folder``, whole or not at all; raises OutputError."""
    with atomic_file(folder / FILE) as partial:
        partial.write_text(manifest.dumps(), encoding="utf-8")


def must_be_bundle(folder: Path) -> None:
    """Raise OutputError where ``folder`` holds a file that is no bundle's: it would be lost with the bundle."""
    names = sorted(path.name for path in folder.iterdir())
    if foreign := [name for name in names if FILE not in names or not OWN.fullmatch(name)]:
        raise OutputError(
            f"{folder}: holds other files than an engine bundle ({', '.join(foreign[:3])})",
            "move them, or name an empty or new folder",
        )


def _manifest(data: dict[str, Any]) -> Manifest:
    """Return ``data`` as a Manifest; raises KeyError or TypeError where a part is missing or unknown."""
    parts: dict[str, Any] = {
        "tracker": TrackerInput(**data["tracker"]),
        "depth": DepthInput(**data["depth"]),
        "semantics": SemanticsInput(**data["semantics"]),
        "masks": MasksInput(**data["masks"]),
        "graphs": {name: _entry(data["graphs"][name]) for name in GRAPHS},
        "plans": {
            backend: {name: _plan(plan) for name, plan in plans.items()}
            for backend, plans in data.get("plans", {}).items()
        },
    }
    return Manifest(**{**data, **parts})


def _entry(data: dict[str, Any]) -> GraphEntry:
    """Return one graph's entry."""
    specs = {
        key: tuple(TensorSpec(t["name"], t["dtype"], tuple(t["shape"])) for t in data[key])
        for key in ("inputs", "outputs")
    }
    return GraphEntry(**{**data, **specs})


def _plan(data: dict[str, Any]) -> PlanEntry:
    """Return one plan's entry."""
    profile = {}
    for name, (least, best, most) in data["profile"].items():
        profile[name] = (tuple(least), tuple(best), tuple(most))
    capabilities = tuple(data["compute_capabilities"])
    return PlanEntry(**{**data, "profile": profile, "compute_capabilities": capabilities})


def hash_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, entry: GraphEntry) -> None:
    """Raise BundleError unless every file of ``entry`` is there and has its hash."""
    for name, wanted in entry.sha256.items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"{path}: missing from the bundle", MEND)
        if (found := hash_of(path)) != wanted:
            raise BundleError(f"{path}: damaged (sha256 {found[:12]}…, expected {wanted[:12]}…)", MEND)
