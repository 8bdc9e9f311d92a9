"""Train a network without each ingredient of its recipe, alike, and tell what each is worth.

`python -m samotion.export.training.ingredients NETWORK --data DAVIS -o RUNS` adds NETWORK's table to
RUNS/ingredients.json: what the network's own evaluation says of clips, and of scenes, that none of these trainings
saw. Stopped, it goes on where it was.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samotion.engines.errors import InputError
from samotion.export.networks.motion.motion_network import NANO as MOTION
from samotion.export.networks.motion.motion_network import MotionNetwork
from samotion.export.networks.sam2 import NANO as MASKS
from samotion.export.training.depth import depth_batches, depth_recipe
from samotion.export.training.masks import mask_clips, mask_recipe
from samotion.export.training.masks.mask_batches import Supply
from samotion.export.training.motion import motion_augment, motion_recipe
from samotion.export.training.photographs import HELD_OUT, load, textures
from samotion.export.training.semantics import semantics_recipe, semantics_views
from samotion.export.training.stamps import Stamps
from samotion.export.training.tapir import tapir_clips, tapir_recipe

SCENES = "scenes"
FOLD = "0/4"  # of the clips that the motion network's trainings hold out
Figures = dict[str, float]


@dataclass(frozen=True)
class Bench:
    """What is alike for all of a network's trainings: the clips held out, and how a recipe is trained and evaluated.

    trial: takes the command line with the folder to write to, a name and a recipe.
    """

    held_out: list[str]
    trial: Callable[[argparse.Namespace, str, Any], Figures]


def _held_out(data: Path) -> list[str]:
    """Return which of HELD_OUT are in ``data``; raises InputError if none is."""
    found = [name for name in HELD_OUT if (data / name / "frames").is_dir()]
    if not found:
        raise InputError(f"{data}: holds none of the clips to evaluate on, {', '.join(HELD_OUT)}")
    return found


def _tracker(given: argparse.Namespace) -> Bench:
    """Evaluate on unseen scenes with the textures of the clips that are held out."""
    train, held = textures(given.data)

    def trial(own: argparse.Namespace, name: str, recipe: tapir_clips.Recipe) -> Figures:
        return tapir_recipe.evaluate(tapir_recipe.train(tapir_recipe.fresh(recipe), train, own, name, recipe), held)

    return Bench(_held_out(given.data), trial)


def _depth(given: argparse.Namespace) -> Bench:
    """Evaluate on the held-out clips and on unseen scenes with their textures."""
    (train, held), (sources, unseen) = load(given.data), textures(given.data)

    def trial(own: argparse.Namespace, name: str, recipe: depth_batches.Recipe) -> Figures:
        return depth_recipe.measure(
            depth_recipe.train(depth_recipe.fresh(), sources, train, own, name, recipe), unseen, held
        )

    return Bench(_held_out(given.data), trial)


def _semantics(given: argparse.Namespace) -> Bench:
    """Evaluate on the held-out clips."""
    train, held = load(given.data)

    def trial(own: argparse.Namespace, name: str, recipe: semantics_views.Recipe) -> Figures:
        network = semantics_recipe.train(semantics_recipe.fresh(), train, own, name, recipe)
        return {"average_precision": semantics_recipe.probe(network, train, held)}

    return Bench(_held_out(given.data), trial)


def _masks(given: argparse.Namespace) -> Bench:
    """Evaluate on the held-out clips after the phase on images; memory, which follows, has not learnt yet."""
    (train, held), (sources, _) = load(given.data, every=2), textures(given.data)
    stamps = Stamps.load(given.stamps)

    def trial(own: argparse.Namespace, name: str, recipe: mask_clips.Recipe) -> Figures:
        supply = Supply(train, stamps, sources, MASKS.image_size, recipe)
        model = mask_recipe.train(
            mask_recipe.fresh(recipe), supply, own, replace(mask_recipe.IMAGE, name=name, part=1.0)
        )
        return {key: value for key, value in mask_recipe.evaluate(model, held).items() if key != "followed"}

    return Bench(_held_out(given.data), trial)


def _motion(given: argparse.Namespace) -> Bench:
    """Evaluate on the fold's clips and on unseen scenes, on tracks of RUNS's networks or those of --engines."""
    options = ["--davis", str(given.data), "--fold", FOLD, "-o", str(given.out), "--threads", str(given.threads)]
    engines = [] if given.engines is None else ["--engines", str(given.engines)]
    data = motion_recipe.gather(motion_recipe.parser().parse_args([*options, *engines]))

    def trial(own: argparse.Namespace, name: str, recipe: motion_augment.Recipe) -> Figures:
        torch.manual_seed(0)
        report = motion_recipe.evaluate(
            motion_recipe.train(MotionNetwork(MOTION), data, own, name, recipe), data.held_out
        )
        clips = [figures["ap"] for held, figures in report.items() if held != SCENES]
        return {"clips": float(np.mean(clips)), "scenes": report[SCENES]["ap"]}

    return Bench(sorted(set(data.held_out) - {SCENES}), trial)


@dataclass(frozen=True)
class Network:
    """A network's whole recipe, the steps that tell its ingredients apart, and where they are tried."""

    whole: Any
    steps: int
    bench: Callable[[argparse.Namespace], Bench]

    def recipes(self) -> dict[str, Any]:
        """Return the whole recipe, and that without each of its ingredients, by what is left out."""
        without = {field.name: replace(self.whole, **{field.name: False}) for field in fields(self.whole)}
        return {"nothing": self.whole, **without}


NETWORKS = {
    "tracker": Network(tapir_clips.WHOLE, 100, _tracker),
    "depth": Network(depth_batches.WHOLE, 150, _depth),
    "semantics": Network(semantics_views.WHOLE, 200, _semantics),
    "motion": Network(motion_augment.WHOLE, 300, _motion),
    "masks": Network(mask_clips.WHOLE, 150, _masks),
}


def table(network: Network, given: argparse.Namespace, out: Path) -> dict[str, Any]:
    """Return the steps, the clips held out and, by what is left out, the figures; train to OUT what is not yet."""
    bench, found = network.bench(given), {}
    own = argparse.Namespace(**{**vars(given), "out": out})
    for name, recipe in network.recipes().items():
        file = out / f"{name}.json"
        if not file.exists():
            figures = bench.trial(own, name, recipe)
            file.write_text(json.dumps({key: round(value, 4) for key, value in figures.items()}, indent=1) + "\n")
        found[name] = json.loads(file.read_text())
        print(f"{given.network} without {name}: {found[name]}", flush=True)
    return {"steps": given.steps, "held_out": bench.held_out, "without": found}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m samotion.export.training.ingredients",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("network", choices=NETWORKS)
    made.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    made.add_argument("--stamps", type=Path, help="masks: folder of PNGs with alpha, objects to lay over the clips")
    made.add_argument("--engines", type=Path, help="motion: bundle whose tracks to learn on (default: OUT's own)")
    made.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, curves and the table")
    steps = ", ".join(f"{name} {network.steps}" for name, network in NETWORKS.items())
    made.add_argument("--steps", type=int, help=f"of each training (default: {steps})")
    made.add_argument("--threads", type=int, default=1, help="of PyTorch and engines (default: %(default)s)")
    made.set_defaults(minutes=None)
    return made


def main(argv: list[str] | None = None) -> int:
    """Train what is not trained yet, and add the network's table to OUT/ingredients.json."""
    line = parser()
    given = line.parse_args(argv)
    if given.network == "masks" and given.stamps is None:
        line.error("masks: name stamps with --stamps, they are an ingredient")
    network = NETWORKS[given.network]
    given.steps = given.steps or network.steps
    torch.set_num_threads(given.threads)
    made = table(network, given, given.out / "ingredients" / f"{given.network}-{given.steps}")
    file = given.out / "ingredients.json"
    tables = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**tables, given.network: made}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
