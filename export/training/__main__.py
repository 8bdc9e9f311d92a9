"""Train all nano networks from nothing, in order, in as many minutes as the shipped ones took.

`python -m samotion.export.training --data DAVIS [--stamps STAMPS] [--photos PHOTOS] -o RUNS`; stopped, it goes on.
"""

import argparse
from pathlib import Path

# Minutes of wall time that the shipped weights took, one process each on two shared CPU cores.
MINUTES = {"tapir": 81.0, "depth": 13.0, "semantics": 15.0, "motion": 54.0, "masks": 293.0}


def commands(given: argparse.Namespace) -> dict[str, list[str]]:
    """Return each network's arguments, in the order of training: motion learns on what the first three answer."""
    data, out = str(given.data), str(given.out)
    stamps = [] if given.stamps is None else ["--stamps", str(given.stamps)]
    photos = [] if given.photos is None else ["--photos", str(given.photos)]
    own = {
        "motion": ["--davis", data, *stamps, *photos],
        "masks": ["--data", data, *stamps, "--all"],
    }
    # Minutes end the training, not steps.
    limits = {
        name: ["--steps", "1000000", "--minutes", f"{minutes * given.part:g}"] for name, minutes in MINUTES.items()
    }
    return {name: [*own.get(name, ["--data", data]), "-o", out, *limits[name]] for name in MINUTES}


def main(argv: list[str] | None = None) -> int:
    """Train what is not trained yet; returns the first status that is not 0."""
    parser = argparse.ArgumentParser(
        prog="python -m samotion.export.training", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    parser.add_argument("--stamps", type=Path, help="folder of PNGs with alpha: objects to lay over the clips")
    parser.add_argument("--photos", type=Path, help="folder with JPEGs: photographs in which nothing moves")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, checkpoints and curves")
    parser.add_argument("--part", type=float, default=1.0, help="of the shipped minutes (default: all)")
    given = parser.parse_args(argv)
    from samotion.export.training.depth import depth_recipe
    from samotion.export.training.masks import mask_recipe
    from samotion.export.training.motion import motion_recipe
    from samotion.export.training.semantics import semantics_recipe
    from samotion.export.training.tapir import tapir_recipe

    mains = {
        "tapir": tapir_recipe.main,
        "depth": depth_recipe.main,
        "semantics": semantics_recipe.main,
        "motion": motion_recipe.main,
    }
    mains["masks"] = mask_recipe.main
    for name, arguments in commands(given).items():
        if (given.out / f"{name}.json").exists():
            continue  # its last step is to write its figures
        print(f"{name}: {' '.join(arguments)}", flush=True)
        if status := mains[name](arguments):
            return status
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
