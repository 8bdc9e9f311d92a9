"""A preset and its weights become a bundle of checked ONNX graphs on disk."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from samotion.engines.manifest import GraphEntry, Manifest, save
from samotion.export.graph.export import export
from samotion.export.presets import Preset
from samotion.export.weights.sources import Source, is_random, sources

Tell = Callable[[str], None]


def write(preset: Preset, weights: str | None, folder: Path, tell: Tell, offline: bool = False) -> Manifest:
    """Export every network of ``preset`` into ``folder``, empty or not there, and return its manifest.

    weights: a folder with the checkpoints under their official names; None takes what is shipped or downloads
    it, unless ``offline``; "random:SEED" draws them. tell: is called for each graph. Raises CheckpointError for
    weights that are missing or do not fit, EngineError for a graph that does not answer as PyTorch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    graphs: dict[str, GraphEntry] = {}
    for name, source in sources(preset, weights, offline, tell).items():
        graphs.update(_graphs(name, source, folder, tell))
    manifest = _manifest(preset, weights, graphs)
    save(folder, manifest)
    return manifest


def _graphs(name: str, source: Source, folder: Path, tell: Tell) -> dict[str, GraphEntry]:
    """Export the graphs of one network."""
    entries = {}
    for spec in source.network.graphs(source.filled()):
        entries[spec.name] = export(spec, folder)
        size = sum((folder / file).stat().st_size for file in entries[spec.name].sha256)
        worst = max(entries[spec.name].parity.values())
        tell(f"{name}: {spec.name} {size / 1e6:.1f} MB, off PyTorch by {worst:.1e}")
    return entries


def _manifest(preset: Preset, weights: str | None, graphs: dict[str, GraphEntry]) -> Manifest:
    """Return the manifest of the exported graphs."""
    drawn = is_random(weights)
    licences = {name: "none (random weights)" if drawn else n.licence for name, n in preset.networks.items()}
    return Manifest(
        name=preset.name,
        version=_version(),
        licences=licences,
        settings=preset.settings,
        tracker=preset.tracker,
        depth=preset.depth,
        semantics=preset.semantics,
        masks=preset.masks,
        graphs=graphs,
    )


def _version() -> str:
    """Return this package's version."""
    try:
        return version("samotion")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "source"
