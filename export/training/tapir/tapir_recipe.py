"""Train the nano tracker on scenes, or measure trained weights on scenes that it has not seen.

`python -m samotion.export.training.tapir --data DAVIS_TRAIN -o RUNS` writes RUNS/tapir.safetensors;
`python -m samotion.export.training.tapir --data DAVIS_TRAIN --evaluate RUNS/tapir.safetensors` prints the
fraction of visible points within 1, 2, 4, 8 and 16 pixels of 256, averaged, and the accuracy of occlusion.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samotion.calibration.scenes.cutouts import Sources
from samotion.export.networks.tapir import NANO, Tapir, Tracking
from samotion.export.networks.tapir.track_head import similarities
from samotion.export.training.loop import run
from samotion.export.training.tapir import tapir_clips
from samotion.export.training.tapir.tapir_clips import WHOLE, Example, Recipe
from samotion.export.weights.load import load, read

NAME = "tapir"
# One clip a step: more steps beat larger ones when minutes count. All points teach the features; the head, whose
# convolutions cost most, sees fewer.
FRAMES, POINTS, HEAD_POINTS = 12, 192, 64
RATE = 1.5e-3
AVERAGED = 0.995  # weight of the past in the averaged weights
HELD_OUT = 1_000_000_000  # seeds from here on are never trained on
# Of TAPIR's loss: Huber delta and distance that counts as lost in pixels of 256, and the position's weight.
HUBER_DELTA, LOST, POSITION_WEIGHT = 4.0, 6.0, 0.05
# TAPIR's loss reaches only cells near the peak, too slow for an hour from nothing: the truth's cell is
# therefore taught outright, in the similarities, in the heat and, near the truth, in the high features.
CELL_TEMPERATURE, FINE_WEIGHT, FINE_JITTER = 15.0, 0.5, 2.0


def fresh(recipe: Recipe = WHOLE) -> Tapir:
    """Return the untrained network, always the same."""
    torch.manual_seed(0)
    model = Tapir(NANO)
    if recipe.prepared:
        prepare(model)
    return model


def prepare(model: Tapir) -> None:
    """Start the head as an honest reader: heat is the similarity itself, and refinements change nothing."""
    cost, mixer = model.torch_cost_volume_track_mods, model.torch_pips_mixer
    with torch.no_grad():
        for layer in (cost.hid1, cost.hid2):
            layer.weight.mul_(0.2)
            layer.weight[0, 0, 1, 1] = 1.0
        mixer.linear_1.weight.mul_(0.05)
        mixer.linear_1.bias.zero_()


@dataclass(frozen=True)
class Truth:
    """An Example as tensors: frames (T, 3, S, S) in [-1, 1], points, xy, visible."""

    frames: Tensor
    points: Tensor
    xy: Tensor
    visible: Tensor

    @classmethod
    def of(cls, clip: Example) -> "Truth":
        """Convert a clip."""
        frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2).float() / 127.5 - 1
        points, xy, visible = (torch.from_numpy(a) for a in (clip.points, clip.xy, clip.visible))
        return cls(frames, points, xy, visible)

    def first(self, count: int) -> "Truth":
        """Return the clip with its first ``count`` points."""
        return Truth(self.frames, self.points[:count], self.xy[:count], self.visible[:count])


def guess_loss(guess: Tracking, xy: Tensor, visible: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return TAPIR's three terms for one guess: position, occlusion, expected distance."""
    seen = visible.float()
    distance = ((guess.xy - xy) * (256 / side)).square().sum(-1).add(1e-12).sqrt()
    huber = torch.where(distance < HUBER_DELTA, distance.square() / 2, HUBER_DELTA * (distance - HUBER_DELTA / 2))
    lost = (distance.detach() > LOST).float()
    doubt = F.binary_cross_entropy_with_logits(guess.expected_distance, lost, reduction="none")
    occlusion = F.binary_cross_entropy_with_logits(guess.occlusion, 1 - seen)
    return POSITION_WEIGHT * (huber * seen).mean(), occlusion, (doubt * seen).mean()


def cell_loss(logits: Tensor, cell: Tensor, keep: Tensor) -> Tensor:
    """Return the cross entropy between maps and the truth spread bilinearly over its four cells.

    logits: (B, h, w). cell: (B, 2) truth (x, y), (0, 0) being the first cell's centre. keep: (B,) bool.
    """
    height, width = logits.shape[1:]
    cell = cell[keep].clamp(min=0).minimum(cell.new_tensor([width - 1, height - 1]))
    surprise = -torch.log_softmax(logits[keep].flatten(1), dim=-1)
    corner = cell.floor()
    part, corner = cell - corner, corner.long()
    total = logits.new_zeros(len(cell))
    for right in (0, 1):
        for down in (0, 1):
            x, y = (corner[:, 0] + right).clamp(max=width - 1), (corner[:, 1] + down).clamp(max=height - 1)
            weight = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if down else 1 - part[:, 1])
            total = total + weight * surprise.gather(1, (y * width + x).unsqueeze(1)).squeeze(1)
    return total.sum() / max(1, len(cell))


def feature_loss(grids: tuple[Tensor, Tensor], queries: tuple[Tensor, Tensor], clip: Truth, side: int) -> Tensor:
    """Return the cross entropy of the truth among all low cells and among the 7×7 high cells around it."""
    (low, high), (query_low, query_high) = grids, queries
    frames, height, width, channels = low.shape
    seen = clip.visible.flatten()
    near = query_low @ low.reshape(-1, channels).T * CELL_TEMPERATURE
    coarse = cell_loss(near.reshape(-1, height, width), cells(clip.xy, height, side), seen)
    cell = cells(clip.xy, high.shape[1], side).reshape(-1, frames, 2)
    jitter = (torch.rand_like(cell) * 2 - 1) * FINE_JITTER
    near = similarities(high, cell + jitter, query_high.unsqueeze(1)) * CELL_TEMPERATURE
    fine = cell_loss(near.reshape(-1, 7, 7), (3 - jitter).reshape(-1, 2), seen)
    return coarse + FINE_WEIGHT * fine


def cells(xy: Tensor, count: int, side: int) -> Tensor:
    """Return pixels (N, T, 2) of a square of ``side`` as cells (N·T, 2) of a grid of ``count``."""
    return (xy * (count / side) - 0.5).reshape(-1, 2)


def clip_loss(model: Tapir, clip: Truth, recipe: Recipe = WHOLE) -> tuple[Tensor, dict[str, float]]:
    """Return the loss on one clip and the figures to record."""
    side = model.params.resolution
    low, high = model.features(clip.frames)
    queries = model.queries(low, high, clip.points)
    features = feature_loss((low, high), queries, clip, side)
    few, (query_low, query_high) = clip.first(HEAD_POINTS), (query[:HEAD_POINTS] for query in queries)
    guesses, heat = model.track(query_low, query_high, low, high, few.points)
    logits = heat.flatten(0, 1) * model.params.temperature
    peaks = cell_loss(logits, cells(few.xy, heat.shape[2], side), few.visible.flatten())
    total = features * recipe.features + peaks * recipe.heat
    terms = [guess_loss(guess, few.xy, few.visible, side) for guess in guesses]
    total = total + torch.stack([part for term in terms for part in term]).sum()
    figures = {"features": float(features.detach()), "occlusion": float(terms[-1][1].detach())}
    for name, guess in (("first", guesses[0]), ("last", guesses[-1])):
        error = (guess.xy.detach() - few.xy).norm(dim=-1)[few.visible]
        figures[f"median_{name}"] = float(error.median())
        figures[f"within_4_{name}"] = float((error < 4).float().mean())
    return total, figures


@torch.no_grad()
def evaluate(model: Tapir, sources: Sources | None, scenes: int = 24, points: int = 128) -> dict[str, float]:
    """Return means over scenes of unseen seeds.

    delta_first, delta: fraction of visible points, except the queries themselves, within 1, 2, 4, 8 and 16
    pixels of 256, averaged, for the first and the last guess. lost: fraction of them further off than 6.
    occlusion: accuracy. visible: how often the truth is visible.
    """
    model.eval()
    rows = []
    for seed in range(HELD_OUT, HELD_OUT + scenes):
        clip = Truth.of(tapir_clips.drawn(seed, model.params.resolution, sources)).first(points)
        guesses = model(clip.frames, clip.points)
        asked = clip.visible & (torch.arange(len(clip.frames)) != clip.points[:, :1])
        scale = 256 / model.params.resolution
        first, last = ((guess.xy - clip.xy).norm(dim=-1)[asked] * scale for guess in (guesses[0], guesses[-1]))
        rows.append(
            {
                "delta_first": _within(first),
                "delta": _within(last),
                "lost": float((last > LOST).float().mean()),
                "occlusion": float(((guesses[-1].occlusion < 0) == clip.visible).float().mean()),
                "visible": float(clip.visible.float().mean()),
            }
        )
    return {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}


def _within(error: Tensor) -> float:
    """Return the fraction of errors under 1, 2, 4, 8 and 16 pixels, averaged over the five."""
    return float(torch.stack([(error < limit).float().mean() for limit in (1, 2, 4, 8, 16)]).mean())


def train(
    model: Tapir, sources: Sources | None, arguments: argparse.Namespace, name: str = NAME, recipe: Recipe = WHOLE
) -> Tapir:
    """Train ``model`` and return it with its averaged weights, which are OUT/NAME.safetensors."""

    def step(index: int) -> tuple[Tensor, dict[str, float]]:
        rng, size = np.random.default_rng([2, index]), model.params.resolution
        clip = tapir_clips.example(rng, index, size, FRAMES, POINTS, sources, recipe)
        return clip_loss(model, Truth.of(clip), recipe)

    run(
        name,
        model,
        step,
        steps=arguments.steps,
        rate=RATE,
        out=arguments.out,
        minutes=arguments.minutes,
        warmup=40,
        ema=AVERAGED if recipe.averaged else 0.0,
    )
    load(model, read(arguments.out / f"{name}.safetensors"), name)
    return model


def main(argv: list[str] | None = None) -> int:
    """Train, or evaluate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="folder of <clip>/frames and <clip>/masks; none: drawn textures")
    parser.add_argument("-o", "--out", type=Path, help="folder for weights, checkpoint and curve")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=None, help="stop after this much training")
    parser.add_argument("--evaluate", type=Path, metavar="WEIGHTS", help="measure these weights and stop")
    given = parser.parse_args(argv)
    if given.out is None and given.evaluate is None:
        parser.error("name a folder with -o, or weights with --evaluate")
    sources = Sources.load(given.data) if given.data else None
    model = fresh()
    if given.evaluate is None:
        train(model, sources, given)
    else:
        load(model, read(given.evaluate), str(given.evaluate))
    figures = evaluate(model, sources)
    if given.out:
        (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0
