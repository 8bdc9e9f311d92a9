"""A bundle of engines: the networks of one preset, verified and loaded on first use."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from samotion.engines.engine import Engine
from samotion.engines.manifest import Manifest, read, verify
from samotion.engines.onnx_runtime import OnnxEngine, require

EMBEDDED = Path(__file__).parent / "nano"


class Bundle:
    """The engines in one folder. Use as a context manager, or call close()."""

    def __init__(self, folder: Path, manifest: Manifest, provider: str, threads: int) -> None:
        self.folder = folder
        self.manifest = manifest
        self.provider = provider
        self._threads = threads
        self._engines: dict[str, Engine] = {}

    @classmethod
    def load(cls, path: Path | None = None, provider: str = "cpu", threads: int = 0) -> Self:
        """Return the bundle in ``path`` (None: the shipped nano), every file checked against its hash.

        provider: "cpu" or "cuda". threads: of one engine; 0 takes every core. Raises BundleError for a
        missing or damaged bundle, EngineError for a provider that is unknown or not there.
        """
        require(provider)
        folder = EMBEDDED if path is None else Path(path)
        manifest = read(folder)
        for entry in manifest.graphs.values():
            verify(folder, entry)
        return cls(folder, manifest, provider, threads)

    @property
    def name(self) -> str:
        """The preset's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """Short hash of exactly these engines and settings."""
        return self.manifest.digest

    @property
    def settings(self) -> Mapping[str, Any]:
        """Pipeline constants that this bundle states."""
        return self.manifest.settings

    def engine(self, graph: str) -> Engine:
        """Return the engine of one graph, loading it on first use."""
        if graph not in self._engines:
            entry = self.manifest.graphs[graph]
            self._engines[graph] = OnnxEngine(
                self.folder / entry.file, entry.inputs, entry.outputs, self.provider, self._threads
            )
        return self._engines[graph]

    def close(self) -> None:
        """Free every engine."""
        for engine in self._engines.values():
            engine.close()
        self._engines.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
