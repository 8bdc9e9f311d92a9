"""A bundle of engines: the networks of one preset, verified and loaded on first use."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

from samotion.engines.bundle_files import verify
from samotion.engines.device import Device
from samotion.engines.engine import Engine
from samotion.engines.errors import BundleError, EngineError
from samotion.engines.manifest import EMBEDDED, FILE, REMEDY, Manifest, read
from samotion.engines.ort.session import OnnxEngine, require
from samotion.engines.preflight import require as require_plans
from samotion.engines.trt.flavours import BACKENDS
from samotion.engines.trt.plan import TensorRtEngine
from samotion.engines.worker_pool import Lanes, lanes_for, usable_cores

__all__ = ["EMBEDDED", "Bundle"]

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class Bundle:
    """The engines in one folder. Use as a context manager, or call close()."""

    def __init__(self, folder: Path, manifest: Manifest, provider: str, threads: int) -> None:
        self.folder = folder
        self.manifest = manifest
        self.provider = provider
        self._threads = threads
        self._engines: dict[tuple[str, int], Engine] = {}
        self._loading = Lock()
        self._device: Device | None = None
        self._process: int | None = os.getpid()
        self._place = _identity(folder)[:2]
        cores = threads or usable_cores()
        # A GPU is one device: runs side by side would only share it.
        self._lanes = Lanes(lanes_for(cores) if provider == "cpu" else 1)
        self._share = threads if self._lanes.count == 1 else cores // self._lanes.count

    @classmethod
    def load(cls, path: Path | None = None, provider: str = "cpu", threads: int = 0) -> Self:
        """Return the bundle in ``path`` (None: the shipped nano), every file checked against its hash.

        provider: "cpu", "cuda", "tensorrt" or "tensorrt-rtx". threads: CPU threads in all; 0 takes every core. Raises
        BundleError for a missing or damaged bundle, EngineError for threads that are no number, a provider that
        is unknown or not there, and plans that do not fit this machine (see preflight).
        """
        if provider not in BACKENDS:
            require(provider)
        if type(threads) is not int or threads < 0:
            raise EngineError(f"threads is {threads!r:.40}, expected a whole number (0: every core)")
        folder = EMBEDDED if path is None else Path(path)
        while True:
            before = _identity(folder)
            try:
                bundle = cls(folder, _verified(folder, provider), provider, threads)
            except (BundleError, EngineError):
                if _identity(folder) == before:
                    raise
            else:
                if _identity(folder) == before:
                    return bundle
                bundle.close()  # an export has replaced it meanwhile: read the new one

    @property
    def name(self) -> str:
        """The preset's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """Short hash of exactly these engines and settings."""
        return self.manifest.digest_for(self.provider)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Pipeline constants that this bundle states."""
        return self.manifest.settings

    def require_open(self) -> None:
        """Raise EngineError where the engines are closed, or were loaded before this process was forked."""
        if self._process is None:
            raise EngineError(f"the engines of {self.name} are closed; load them again")
        if self._process != os.getpid():
            raise EngineError(
                f"the engines of {self.name} were loaded before this process was forked, without their threads; load "
                "them here, or start processes by spawn"
            )

    def engine(self, graph: str) -> Engine:
        """Return the engine of one graph with all threads, for runs one after the other; loaded on first use."""
        return self._loaded(graph, self._threads)

    def lane(self, graph: str) -> Engine:
        """Return the engine of one graph with a lane's share of the threads, for what ``spread`` calls."""
        return self._loaded(graph, self._share)

    def spread(self, work: Callable[[Part], Answer], parts: Iterable[Part]) -> Iterator[Answer]:
        """Yield ``work(part)`` of every part in order, several parts at the same time (see Lanes.spread)."""
        return self._lanes.spread(work, parts)

    @property
    def device(self) -> Device | None:
        """The GPU that the engines run on, None for the CPU; raises EngineError where it cannot be had."""
        with self._loading:
            return self._gpu()

    @property
    def most_objects(self) -> int | None:
        """How many objects the engines take at once, None where any number."""
        plans = self.manifest.plans.get(self.provider, {})
        most = [
            shapes[2][spec.shape.index("K")]
            for name, plan in plans.items()
            for spec in self.manifest.graphs[name].inputs
            if "K" in spec.shape and (shapes := plan.profile[spec.name])
        ]
        return min(most, default=None)

    @property
    def lanes(self) -> int:
        """How many parts ``spread`` works on at the same time."""
        return self._lanes.count

    def _loaded(self, graph: str, threads: int) -> Engine:
        self.require_open()  # before the lock, which a fork may have left taken
        with self._loading:  # lanes may ask for the same engine at the same time
            if (graph, threads) not in self._engines:
                self._engines[graph, threads] = self._load(graph, threads)
            return self._engines[graph, threads]

    def _load(self, graph: str, threads: int) -> Engine:
        """Return a new engine."""
        entry, device = self.manifest.graphs[graph], self._gpu()
        engine: OnnxEngine | TensorRtEngine
        if device is None or self.provider not in BACKENDS:
            file = self.folder / entry.file
            engine = OnnxEngine(file, entry.inputs, entry.outputs, self.provider, threads, device)
            for key, found in engine.names.items():
                if [spec.name for spec in getattr(entry, key)] != found:
                    place = f"{self.folder / FILE}: damaged: graphs.{graph}.{key}"
                    raise BundleError(f"{place}: the graph has {', '.join(found):.200}", REMEDY)
        else:
            plan = self.manifest.plans[self.provider][graph]
            engine = TensorRtEngine(self.folder / plan.file, plan, entry.inputs, entry.outputs, device)
        if _identity(self.folder)[:2] != self._place:  # nobody has held this file against its hash
            raise BundleError(f"{self.folder}: was replaced while in use", "run again")
        return engine

    def _gpu(self) -> Device | None:
        if self._device is None and self.provider != "cpu":
            self._device = Device()
        return self._device

    def close(self) -> None:
        """Free every engine and end the lanes; in a forked child there is nothing to free."""
        if self._process != os.getpid():
            return
        self._process = None
        self._lanes.close()
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()
        if self._device is not None:
            self._device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _verified(folder: Path, provider: str) -> Manifest:
    """Return the manifest of the bundle in ``folder``, the hash of every file that ``provider`` loads checked."""
    manifest = read(folder)
    if provider in BACKENDS:
        require_plans(folder, manifest, provider)
    else:
        for entry in manifest.graphs.values():
            verify(folder, entry)
    return manifest


def _identity(folder: Path) -> tuple[int, ...]:
    """Return numbers that change when ``folder`` (the first two) or its manifest is replaced; none without them."""
    try:
        place, manifest = folder.stat(), (folder / FILE).stat()
    except OSError:
        return ()
    return place.st_dev, place.st_ino, manifest.st_ino, manifest.st_mtime_ns
