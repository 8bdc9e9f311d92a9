"""Train the motion network without each ingredient of its recipe, alike, and tell what each is worth.

`python -m samotion.export.training.ingredients --davis DAVIS --fold 0/4 -o RUNS` writes RUNS/ingredients.json, mean
average precision of labels on clips that the fold holds out and on unseen scenes. Stopped, it goes on where it was.
"""

import argparse
import json
from dataclasses import fields, replace

import numpy as np
import torch

from samotion.export.motion import NANO, MotionNetwork
from samotion.export.training import motion
from samotion.export.training.motion_augment import WHOLE, Recipe

# The whole recipe, then that without each of its ingredients.
RECIPES: dict[str, Recipe] = {
    "nothing": WHOLE,
    **{field.name: replace(WHOLE, **{field.name: False}) for field in fields(Recipe)},
}
SCENES = "scenes"


def row(report: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the mean AP of the held-out clips and that of the scenes from what ``motion.evaluate`` says."""
    clips = [figures["ap"] for name, figures in report.items() if name != SCENES]
    return {"clips": round(float(np.mean(clips)), 4), "scenes": report[SCENES]["ap"], "held_out": len(clips)}


def main(argv: list[str] | None = None) -> int:
    """Train what is not trained yet, and write and print the table."""
    parser = motion.parser()
    parser.prog, parser.description = "python -m samotion.export.training.ingredients", __doc__
    parser.set_defaults(steps=300)
    given = parser.parse_args(argv)
    if given.fold is None or given.davis is None:
        parser.error("name clips with --davis, and with --fold K/N which of them to hold out")
    torch.set_num_threads(given.threads)
    data = motion.gather(given)
    out = given.out / "ingredients"
    own = argparse.Namespace(**{**vars(given), "out": out})
    found = {}
    for name, recipe in RECIPES.items():
        file = out / f"{name}.json"
        if not file.exists():
            torch.manual_seed(0)
            network = motion.train(MotionNetwork(NANO), data, own, name, recipe)
            file.write_text(json.dumps(motion.evaluate(network, data.held_out), indent=1) + "\n")
        found[name] = row(json.loads(file.read_text()))
        print(f"without {name}: {found[name]}", flush=True)
    table = {"steps": given.steps, "fold": "/".join(map(str, given.fold)), "without": found}
    (given.out / "ingredients.json").write_text(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
