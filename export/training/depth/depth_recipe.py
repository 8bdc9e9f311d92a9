"""Train the nano depth network on scenes with exact disparity and on what real frames tell of order.

`python -m samotion.export.training.depth --data DAVIS_TRAIN -o RUNS` writes RUNS/depth.safetensors and
RUNS/depth.json with the measured errors. Scenes train the scale- and shift-invariant disparity. Real frames
train order alone: an object is nearer than what is seen above its foot, a pasted object nearer than all
around it, and ground that is lower in the image is, more often than not, nearer.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from samotion.calibration.scenes.cutouts import Sources
from samotion.export.networks.depth_anything import NANO, DepthAnything
from samotion.export.training.depth.depth_batches import SCENES, WHOLE, Order, Recipe, Scenery, order
from samotion.export.training.loop import run
from samotion.export.training.photographs import Photographs, Rng, load, textures
from samotion.export.training.semantics.semantics_recipe import initialise
from samotion.runtime.ops.preprocess import normalised

FRAMES = 4  # real ones of a batch
RATE = 1e-3
AVERAGED = 0.998  # weight of the past in the averaged weights
UNSEEN = 10**6  # seeds from here on measure
MEASURED = 40  # scenes, and real frames
MARGIN = 0.3  # mean absolute deviations by which a nearer point must lead
NAME = "depth"


def standard(disparity: Tensor) -> Tensor:
    """Return maps (n, h, w) with median 0 and mean absolute deviation 1, as Depth-Anything compares them."""
    flat = disparity.flatten(1)
    centred = flat - flat.median(1, keepdim=True).values
    return (centred / centred.abs().mean(1, keepdim=True).clamp(min=1e-6)).view_as(disparity)


def scene_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute difference of standardised maps and of its gradients at four scales."""
    # A speck in front of everything must not set the scale of all the rest.
    error = standard(found) - standard(truth).clamp(-4, 6)
    loss = error.abs().mean()
    for scale in range(4):
        coarse = functional.avg_pool2d(error[:, None], 2**scale)[:, 0]
        steps = coarse.diff(dim=1).abs().mean() + coarse.diff(dim=2).abs().mean()
        loss = loss + 0.5 * steps
    return loss


def leads(found: Tensor, known: Order) -> Tensor:
    """Return by how much the first of each pair is nearer, (n, P) in mean absolute deviations."""
    values = standard(found).flatten(1)
    near, far = (values.gather(1, known.pairs[..., side]) for side in range(2))
    return near - far


def batch_loss(
    model: DepthAnything, scenery: Scenery, photographs: Photographs, rng: Rng, recipe: Recipe = WHOLE
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of a batch of scenes and real frames, and its parts."""
    images, truth = scenery.batch(rng, recipe)
    known = order(rng, photographs, FRAMES, recipe)
    found = model.raw(torch.cat([images, known.images]))
    exact = scene_loss(found[:SCENES], truth)
    ranked = (functional.relu(MARGIN - leads(found[SCENES:], known)) * known.weight).mean()
    # The last ReLU would cut what is below zero.
    positive = functional.relu(0.1 - found).mean()
    loss = exact * recipe.scenes + ranked * recipe.order + positive
    return loss, {"scenes": float(exact.detach()), "order": float(ranked.detach())}


def measure(model: DepthAnything, sources: Sources | None, held: Photographs) -> dict[str, float]:
    """Return the error on unseen scenes and the part of trusted pairs in held-out clips that are right."""
    scenes = [Scenery.paint(UNSEEN + seed, sources) for seed in range(MEASURED)]
    images = torch.from_numpy(normalised(np.stack([frame for frame, _ in scenes])))
    truth = torch.from_numpy(np.stack([disparity for _, disparity in scenes]))
    with torch.no_grad():
        error = (standard(model(images)) - standard(truth).clamp(-4, 6)).abs().mean()
        figures = {"scene_error": float(error)}
        if held.frames:
            known = order(np.random.default_rng(UNSEEN), held, MEASURED)
            right = leads(model(known.images), known) > 0
            for name, trusted in (("object_first", known.weight == 1), ("lower_first", known.weight < 1)):
                figures[name] = float(right[trusted].float().mean())
    return figures


def fresh() -> DepthAnything:
    """Return the untrained network, always the same."""
    torch.manual_seed(0)
    model = DepthAnything(NANO)
    initialise(model.pretrained)
    return model


def train(
    model: DepthAnything,
    sources: Sources,
    photographs: Photographs,
    arguments: argparse.Namespace,
    name: str = NAME,
    recipe: Recipe = WHOLE,
) -> DepthAnything:
    """Train ``model`` and return it with its averaged weights, which are OUT/NAME.safetensors."""
    scenery = Scenery(sources if recipe.photographs else None)

    def step(index: int) -> tuple[Tensor, dict[str, float]]:
        return batch_loss(model, scenery, photographs, np.random.default_rng([2, index]), recipe)

    run(
        name,
        model,
        step,
        steps=arguments.steps,
        rate=RATE,
        out=arguments.out,
        minutes=arguments.minutes,
        ema=AVERAGED if recipe.averaged else 0.0,
    )
    model.load_state_dict(load_file(arguments.out / f"{name}.safetensors"))
    return model


def main(argv: list[str] | None = None) -> int:
    """Train and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, checkpoint and curve")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much training")
    given = parser.parse_args(argv)
    clips, held = load(given.data)
    sources, _ = textures(given.data)
    model = fresh()
    before = measure(model, sources, held)
    after = measure(train(model, sources, clips, given), sources, held)
    figures = {"trained": after, "untrained": before}
    (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0
