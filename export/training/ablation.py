"""Train the motion network without each of its parts, alike, and put each into a bundle of its own.

`python -m samotion.export.training.ablation --davis DAVIS -o RUNS`: RUNS/ablation/NAME is a copy of the shipped
bundle with that motion network. `python -m samotion.benchmarks.ablation` then tells what each is worth.
"""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from samotion.engines.bundle import EMBEDDED
from samotion.engines.manifest import FILE, read
from samotion.export.graph.export import export
from samotion.export.networks.motion.motion_network import NANO, MotionNetwork, graphs
from samotion.export.training.ablation_models import WITHOUT
from samotion.export.training.motion import motion_recipe


def bundle_with(network: MotionNetwork, name: str, folder: Path) -> None:
    """Write the shipped bundle with another motion network to ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = read(EMBEDDED)
    for entry in manifest.graphs.values():
        for file in entry.sha256:
            shutil.copyfile(EMBEDDED / file, folder / file)
    entries = {spec.name: export(spec, folder) for spec in graphs(network.eval())}
    changed = replace(manifest, name=f"nano without {name}", graphs={**manifest.graphs, **entries})
    (folder / FILE).write_text(changed.dumps(), encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Train what is not trained yet; each network ends with its bundle and OUT/ablation/NAME.json."""
    given = motion_recipe.parser()
    given.prog, given.description = "python -m samotion.export.training.ablation", __doc__
    given.set_defaults(steps=400)
    arguments = given.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    data = motion_recipe.gather(arguments)
    out = arguments.out / "ablation"
    for name, build in WITHOUT.items():
        figures = out / f"{name}.json"
        if figures.exists():
            continue
        torch.manual_seed(0)
        own = argparse.Namespace(**{**vars(arguments), "out": out})
        network = motion_recipe.train(build(NANO), data, own, name)
        bundle_with(network, name, out / name)
        figures.write_text(json.dumps(motion_recipe.evaluate(network, data.held_out), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
