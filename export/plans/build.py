"""Building TensorRT plans from a bundle's ONNX graphs: one way for TensorRT 10, 11 and RTX, all plans or none."""

import contextlib
import dataclasses
import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from samotion.engines.atomic import atomic_file, locked
from samotion.engines.bundle_files import PLAN, hash_of, verify
from samotion.engines.engine import TensorSpec
from samotion.engines.errors import BundleError, EngineError, OutputError
from samotion.engines.machine import Machine, this_machine
from samotion.engines.manifest import Manifest, PlanEntry, read, save
from samotion.engines.trt.flavours import BACKENDS, Target, TensorRT
from samotion.engines.trt.log import first_reason, logger, monitor
from samotion.export.plans.profiles import Profile, profile

Told = Callable[[str, PlanEntry], None]


def build(
    folder: Path,
    backend: str,
    target: Target,
    tell: Told,
    machine: Machine | None = None,
) -> Manifest:
    """Build a plan of every graph of the bundle in ``folder``, record them in its manifest and return that.

    backend: "tensorrt" or "tensorrt-rtx". tell: is called for each plan as it is done. machine: this one if None.
    Plans of the same backend are replaced when all new ones are there; an error leaves
    the bundle as it was. Raises BundleError for a damaged bundle, EngineError for a backend that is missing, a target
    that it cannot meet or a graph that it refuses, OutputError where the folder cannot be written to.
    """
    chosen = BACKENDS[backend]
    machine = machine or this_machine()
    manifest = read(folder)
    for graph in manifest.graphs.values():
        verify(folder, graph)
    trt = chosen.load()
    builder = _Builder(chosen, trt, target, chosen.aim(target, machine), machine.platform)
    plans: dict[str, PlanEntry] = {}
    with _tidied(folder):
        for name in manifest.graphs:
            plans[name] = builder.plan(folder, manifest, name)
            tell(name, plans[name])
        manifest = dataclasses.replace(manifest, plans={**manifest.plans, backend: plans})
        save(folder, manifest)
    return manifest


@contextlib.contextmanager
def _tidied(folder: Path) -> Iterator[None]:
    """Keep other builders away from ``folder``, and remove the plans that its manifest does not list, then and now.

    New plans get names of their own, so that the old ones last until the manifest lists the new.
    """
    try:
        with locked(folder / "plans"):
            _remove_unlisted(folder)
            try:
                yield
            finally:
                _remove_unlisted(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written to ({error.strerror})", "free space, or write to another with -o"
        ) from error


def _remove_unlisted(folder: Path) -> None:
    """Remove the plans that a builder who was stopped left, and those that others have replaced."""
    listed = {plan.file for plans in read(folder).plans.values() for plan in plans.values()}
    for path in folder.iterdir():
        if PLAN.fullmatch(path.name) and path.name not in listed:
            path.unlink()


def _free(folder: Path, stem: str) -> Path:
    """Return STEM.plan in ``folder``, or STEM.2.plan and so on where that is taken."""
    names = itertools.chain([stem], (f"{stem}.{number}" for number in itertools.count(2)))
    return next(path for name in names if not (path := folder / f"{name}.plan").exists())


@contextlib.contextmanager
def _accessible(path: Path) -> Iterator[None]:
    """Turn a timing cache that cannot be read or written into one line."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be read and written ({error.strerror}); name another file") from error


@dataclasses.dataclass(frozen=True)
class _Builder:
    """A backend with what is asked of it. capabilities, platform: that plans will be for."""

    backend: TensorRT
    trt: Any
    target: Target
    capabilities: tuple[str, ...]
    platform: str

    def plan(self, folder: Path, manifest: Manifest, name: str) -> PlanEntry:
        """Build one plan into ``folder`` and return its entry."""
        entry, shapes = manifest.graphs[name], profile(manifest, name)
        path = _free(folder, f"{name}.{self.backend.name}")
        begun = time.perf_counter()
        self._write(folder / entry.file, entry.inputs, shapes, path)
        return PlanEntry(
            file=path.name,
            sha256=hash_of(path),
            graph=entry.digest,
            backend=self.backend.name,
            version=self.trt.__version__,
            compute_capabilities=self.capabilities,
            platform=self.platform,
            hardware_compatible=self.target.hardware_compatible,
            version_compatible=self.target.version_compatible,
            profile=shapes,
            precision=entry.precision,
            seconds=round(time.perf_counter() - begun, 2),
            bytes=path.stat().st_size,
        )

    def _write(self, graph: Path, inputs: tuple[TensorSpec, ...], shapes: Profile, path: Path) -> None:
        """Build ``graph`` and write its plan to ``path``."""
        log, bar = logger(self.trt), monitor(self.trt, graph.stem)
        with contextlib.closing(bar.bar):
            plan = self._built(graph, inputs, shapes, log, bar)
        if bar.interrupted:
            raise KeyboardInterrupt
        if plan is None:
            raise EngineError(f"{graph.name}: {self._who} cannot build it: {first_reason(log.errors)}; {_HELP}")
        with path.open("wb") as file:
            file.write(memoryview(plan))

    def _built(self, graph: Path, inputs: tuple[TensorSpec, ...], shapes: Profile, log: Any, bar: Any) -> Any:
        """Return the plan of ``graph`` in memory, None where the builder gave up or was stopped."""
        builder = self.trt.Builder(log)
        network = self.backend.network(self.trt, builder)
        parser = self._parsed(network, log, graph, inputs)  # holds the weights: kept until all is built
        config = builder.create_builder_config()
        config.progress_monitor = bar
        config.clear_flag(self.trt.BuilderFlag.TF32)  # float32 in the graph means float32
        self.backend.configure(self.trt, config, self.target)
        self._add_profile(builder, config, shapes, graph, log)
        with self._timed(config):
            plan = builder.build_serialized_network(network, config)
        del parser
        return plan

    def _parsed(self, network: Any, log: Any, graph: Path, inputs: tuple[TensorSpec, ...]) -> Any:
        """Read ``graph`` into ``network`` and return the parser; raises where it is not what the manifest states."""
        parser = self.trt.OnnxParser(network, log)
        if not parser.parse_from_file(os.fspath(graph)):
            raise self._refusal(graph, parser, log)
        if not network.num_outputs:  # the parser takes any bytes for an empty model
            raise BundleError(f"{graph}: {_NO_GRAPH}")
        found = {tensor.name: tensor for tensor in map(network.get_input, range(network.num_inputs))}
        for spec in inputs:
            tensor = found.pop(spec.name, None)
            wanted = tuple(-1 if isinstance(axis, str) else axis for axis in spec.shape)
            if tensor is None or tuple(tensor.shape) != wanted or self._dtype(tensor) != spec.dtype:
                has = "is missing" if tensor is None else f"is {self._dtype(tensor)} {tuple(tensor.shape)}"
                raise BundleError(
                    f"{graph}: input {spec.name} {has}, the manifest states {spec.dtype} {wanted}; "
                    "export the bundle again with samotion-export"
                )
        if found:
            raise BundleError(f"{graph}: input {min(found)} is not in the manifest; export the bundle again")
        return parser

    def _refusal(self, graph: Path, parser: Any, log: Any) -> BundleError | EngineError:
        """Return the parser's first error as one line."""
        if not parser.num_errors:
            return EngineError(f"{graph.name}: {self._who} cannot read it: {first_reason(log.errors)}; {_HELP}")
        error = parser.get_error(0)
        kind = str(error.code()).rsplit(".", 1)[-1]
        if kind == "MODEL_DESERIALIZE_FAILED":
            return BundleError(f"{graph}: {_NO_GRAPH}")
        node = error.node_name()
        where = f"node {node} ({error.node_operator()})" if error.node_operator() else "the graph"
        reasons = [line for line in error.desc().splitlines() if line not in ("", "false", f"Invalid Node - {node}")]
        said = first_reason(reasons) if reasons else kind.lower().replace("_", " ")
        return EngineError(f"{graph.name}: {self._who} does not take {where}: {said}; {_HELP}")

    def _add_profile(self, builder: Any, config: Any, shapes: Profile, graph: Path, log: Any) -> None:
        """Give ``config`` the least, best and largest shapes of the inputs."""
        ranges = builder.create_optimization_profile()
        for name, (least, best, most) in shapes.items():
            ranges.set_shape(name, least, best, most)
        if config.add_optimization_profile(ranges) < 0:
            raise EngineError(f"{graph.name}: {self._who} refuses its profile: {first_reason(log.errors)}; {_HELP}")

    @contextlib.contextmanager
    def _timed(self, config: Any) -> Iterator[None]:
        """Let the build use the timing cache, and keep what it added."""
        path = self.target.timing_cache
        if path is None:
            yield
            return
        with _accessible(path):
            cache = config.create_timing_cache(path.read_bytes() if path.exists() else b"")
            path.parent.mkdir(parents=True, exist_ok=True)  # reported now, not after the build
        if cache is None or not config.set_timing_cache(cache, False):
            raise EngineError(f"{path}: no timing cache of {self._who} on this GPU; delete it or name another file")
        yield
        with _accessible(path), atomic_file(path) as partial:
            partial.write_bytes(memoryview(config.get_timing_cache().serialize()))

    def _dtype(self, tensor: Any) -> str:
        """Return NumPy's name of a tensor's type."""
        try:
            return str(np.dtype(self.trt.nptype(tensor.dtype)).name)
        except TypeError:  # no such type in NumPy
            return str(tensor.dtype)

    @property
    def _who(self) -> str:
        return f"{self.backend.name} {self.trt.__version__}"


_NO_GRAPH = "holds no ONNX graph; export the bundle again with samotion-export"
_HELP = "use --backend onnxruntime for this bundle, or another version of the backend"
