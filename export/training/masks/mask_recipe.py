"""Train the nano SAM2 from scratch: clicks on images first, then short clips with memory.

`python -m samotion.export.training.masks --data DAVIS_TRAIN -o RUNS --minutes 60`
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samotion.calibration.scenes.cutouts import Sources
from samotion.export.networks.sam2 import NANO, Sam2
from samotion.export.networks.sam2.reference_loop import Encoded, Tracker
from samotion.export.training.loop import run
from samotion.export.training.masks import mask_clips
from samotion.export.training.masks.mask_batches import Supply
from samotion.export.training.masks.mask_clips import CLICKS, WHOLE, Recipe
from samotion.export.training.masks.mask_losses import HORIZON, ask, clip_loss, image_loss
from samotion.export.training.masks.tracked_clicks import Tracked, tracked_clicks
from samotion.export.training.photographs import Photographs, load, textures
from samotion.export.training.stamps import Stamps
from samotion.export.weights.load import load as load_weights
from samotion.export.weights.load import read
from samotion.runtime.ops.preprocess import normalised, resized
from samotion.runtime.values import Bool

NAME = "masks"
AVERAGED = 0.995  # weight of the past in the averaged weights
IMAGES, CLIPS, CLIP_FRAMES = 6, 2, 4
CORRECTED, CLICKED_AGAIN = 0.35, 0.25  # how often


@dataclass(frozen=True)
class Phase:
    """Part of the training: its weights' name, share of the time and peak rate; clips in turn with images or none."""

    name: str
    part: float
    rate: float
    clips: bool


IMAGE = Phase("masks-image", 0.564, 2e-3, clips=False)
CLIP = Phase(NAME, 1 - IMAGE.part, 1.2e-3, clips=True)


def fresh(recipe: Recipe = WHOLE) -> Sam2:
    """Return the untrained network, always the same."""
    torch.manual_seed(0)
    model = Sam2(NANO)
    if recipe.prepared:
        prepare(model)
    return model


@torch.no_grad()
def prepare(model: Sam2) -> None:
    """Raise the gain of fresh weights where the masks are made: as drawn, their logits hardly leave zero."""
    decoder = model.sam_mask_decoder
    for name, weight in decoder.named_parameters():
        if "hypernetworks" in name and weight.ndim > 1:
            weight.mul_(3.4 if name.endswith("layers.2.weight") else 1.7)
    for name, gain in (("output_upscaling.0", 2.0), ("output_upscaling.3", 3.0), ("conv_s0", 0.5), ("conv_s1", 0.5)):
        decoder.get_parameter(f"{name}.weight").mul_(gain)


def step_of(model: Sam2, supply: Supply, index: int, clips: bool) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of step ``index``: images, or images and clips alternately."""
    if clips and index % 2:
        batch, rng = supply.batch(index, CLIPS, CLIP_FRAMES)
        again = CLIP_FRAMES // 2 if rng.random() < CLICKED_AGAIN else None
        return clip_loss(model, batch, again)
    (batch, rng), recipe = supply.batch(index, IMAGES, 1), supply.recipe
    return image_loss(model, batch, recipe.corrections and bool(rng.random() < CORRECTED), recipe.likeness)


@torch.no_grad()
def evaluate(model: Sam2, held: Photographs, cases: int = 6, length: int = 8) -> dict[str, float]:
    """Return mean IoUs of one click, of 8 + 8 and 16 + 16 clicks, of following the last, and of erring tracks.

    Whole frames as the runtime gives them, every second of the source; IoU at the input's size.
    """
    model.eval()
    size = model.params.image_size
    sums: dict[str, list[float]] = {"one_click": [], "clicks_8": [], "clicks_16": [], "followed": [], "tracks": []}
    for clip, (frames, masks) in enumerate(zip(held.frames, held.masks, strict=True)):
        for case in range(cases):
            rng = np.random.default_rng([4, clip, case])
            first = int(rng.integers(len(frames) - length + 1))
            if not masks[first].any():
                continue
            colours = resized(frames[first : first + length], size, size, cv2.INTER_LINEAR)
            asked = masks[first : first + length]
            truth = np.stack([cv2.resize(m, (size, size), interpolation=cv2.INTER_NEAREST) > 0 for m in asked])
            encoded = [model.encode(image[None]) for image in torch.from_numpy(normalised(colours))]
            for name, counts in (("one_click", (1, 0)), ("clicks_8", (8, 8)), ("clicks_16", (16, 16))):
                tracker = Tracker(model, HORIZON)
                points, labels = mask_clips.clicks(rng, truth[0], *counts)
                answer = tracker.click(0, encoded[0], torch.from_numpy(points)[None], torch.from_numpy(labels)[None])
                sums[name].append(_iou(answer.mask, truth[0]))
            if (found := tracked_clicks(rng, truth[0], CLICKS // 2, CLICKS // 2)) is not None:
                sums["tracks"].append(_iou(_answered(model, encoded[0], found), truth[0]))
            for t in range(1, length):
                sums["followed"].append(_iou(tracker.step(t, encoded[t]).mask, truth[t]))
    model.train()
    return {name: float(np.mean(values)) for name, values in sums.items()}


def _answered(model: Sam2, encoded: Encoded, found: Tracked) -> Tensor:
    """Return the logits (1, S/4, S/4) of the mask that the clicks and votes of tracks ask for."""
    points, labels, votes = (torch.from_numpy(x)[None] for x in (found.points, found.labels, found.votes))
    mask, _, _ = model.select(ask(model, encoded, points, labels, votes[None]), labels)
    return mask


def _iou(logits: Tensor, truth: Bool) -> float:
    """Return the IoU of one mask of logits (1, 4h, 4w), enlarged, with truth (S, S)."""
    large = F.interpolate(logits[None], size=truth.shape, mode="bilinear", align_corners=False)[0, 0].numpy() > 0
    union = int((large | truth).sum())
    return float((large & truth).sum() / union) if union else 1.0


def train(model: Sam2, supply: Supply, arguments: argparse.Namespace, phase: Phase) -> Sam2:
    """Train ``model`` for one phase and return it with its averaged weights, which are OUT/NAME.safetensors."""
    run(
        phase.name,
        model,
        lambda index: step_of(model, supply, index, phase.clips),
        steps=max(1, round(arguments.steps * phase.part)),
        rate=phase.rate,
        out=arguments.out,
        minutes=None if arguments.minutes is None else arguments.minutes * phase.part,
        ema=AVERAGED if supply.recipe.averaged else 0.0,
        muon=supply.recipe.muon,
    )
    load_weights(model, read(arguments.out / f"{phase.name}.safetensors"), phase.name)
    return model


def main(argv: list[str] | None = None) -> int:
    """Train both phases, or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of <clip>/frames and <clip>/masks")
    parser.add_argument("--stamps", type=Path, help="folder of PNGs with alpha: objects to lay over the clips")
    parser.add_argument("-o", "--out", type=Path, help="folder for weights, checkpoints and curves")
    parser.add_argument("--steps", type=int, default=6000, help="of both phases together")
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much training")
    parser.add_argument("--all", action="store_true", help="train on the held-out clips too, as what is shipped does")
    parser.add_argument("--evaluate", type=Path, metavar="WEIGHTS", help="measure these weights on --data and stop")
    given = parser.parse_args(argv)
    if given.out is None and given.evaluate is None:
        parser.error("name a folder with -o, or weights with --evaluate")
    clips, held = load(given.data, every=2)
    if given.all or not held.frames:
        clips = held = Photographs(clips.frames + held.frames, clips.masks + held.masks)
    model = fresh()
    if given.evaluate is None:
        sources = Sources.load(given.data) if given.all else textures(given.data)[0]
        stamps = None if given.stamps is None else Stamps.load(given.stamps)
        supply = Supply(clips, stamps, sources, NANO.image_size)
        for phase in (IMAGE, CLIP):
            train(model, supply, given, phase)
    else:
        load_weights(model, read(given.evaluate), str(given.evaluate))
    figures = evaluate(model, held)
    if given.out:
        (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0
