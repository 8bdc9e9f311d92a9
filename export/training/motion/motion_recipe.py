"""Training of the nano motion network on scenes, real clips and counterfactual ones with the bundle's tracks."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from samotion.engines.bundle import Bundle
from samotion.export.networks.motion.motion_network import NANO, MotionNetwork
from samotion.export.training.collages import photographs
from samotion.export.training.frozen_frontend import front_bundle
from samotion.export.training.loop import run
from samotion.export.training.motion.counterfactuals import Ingredients, ingredients
from samotion.export.training.motion.motion_augment import WHOLE, Recipe, draw, settled
from samotion.export.training.motion.motion_data import TrackSample, clip_files, made_files, scene_files
from samotion.export.training.photographs import load as load_photographs
from samotion.export.training.stamps import Stamps
from samotion.export.weights.load import load, read
from samotion.runtime.ops.global_motion import against_camera
from samotion.runtime.values import Float, Int

RATE = 2e-3
BATCH = 3  # samples whose losses are averaged in a step
SHARES = {"clips": 0.45, "made": 0.25, "scenes": 0.3}  # of the samples drawn, of those that there are
AVERAGED = 0.998  # weight of the past in the averaged weights
WEIGHT_LIMIT = 10.0  # on positives: a clip with three moving tracks must not rule the step
CHECK_SCENES = 40  # held-out scenes, by the seeds from CHECK_SEED on
CHECK_SEED = 10_000_000


@dataclass(frozen=True)
class Data:
    """Cached samples: scenes, counterfactual clips, real ones by clip, and what evaluation asks (name → samples)."""

    scenes: list[TrackSample]
    made: list[TrackSample]
    clips: dict[str, list[TrackSample]]
    held_out: dict[str, list[TrackSample]]


def gather(arguments: argparse.Namespace) -> Data:
    """Make or read the cache that the command line asks for."""
    cache = arguments.out / "motion_samples"
    scenes = [TrackSample.read(file) for file in scene_files(cache, range(arguments.scenes))]
    clips: dict[str, list[TrackSample]] = {}
    made: list[TrackSample] = []
    if arguments.davis is not None:
        with _bundle(arguments) as bundle:
            files = clip_files(cache, arguments.davis, bundle, arguments.variants)
            counterfactual = made_files(cache, _ingredients(arguments), bundle, arguments.made)
        clips = {name: [TrackSample.read(file) for file in cuts] for name, cuts in files.items()}
        made = [TrackSample.read(file) for file in counterfactual]
    held_out = {}
    if arguments.fold is not None:
        fold, folds = arguments.fold
        held_out = {name: clips.pop(name) for index, name in enumerate(sorted(clips)) if index % folds == fold}
    checks = scene_files(cache, range(CHECK_SEED, CHECK_SEED + CHECK_SCENES))
    rng = np.random.default_rng(0)
    held_out["scenes"] = [draw(TrackSample.read(file), 0, rng) for file in checks]
    return Data(scenes, made, clips, held_out)


def _ingredients(arguments: argparse.Namespace) -> Ingredients:
    """Return what counterfactual clips are made of."""
    stamps = None if arguments.stamps is None else Stamps.load(arguments.stamps)
    photos = [] if arguments.photos is None else photographs(arguments.photos)
    return ingredients(load_photographs(arguments.davis)[0], photos, stamps)


def _bundle(arguments: argparse.Namespace) -> Bundle:
    """Return the bundle that finds the real clips' tracks."""
    if arguments.engines is None:
        return front_bundle(arguments.out, arguments.threads)
    return Bundle.load(arguments.engines, threads=arguments.threads)


def pick(data: Data, rng: np.random.Generator, recipe: Recipe) -> TrackSample:
    """Draw a sample of a real clip, each as likely as any other, of a counterfactual one, or of a scene."""
    kinds = [kind for kind in SHARES if getattr(data, kind) and getattr(recipe, kind)] or ["scenes"]
    shares = np.array([SHARES[kind] for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    if kind == "clips":
        chosen = data.clips[sorted(data.clips)[int(rng.integers(len(data.clips)))]]
    else:
        chosen = data.made if kind == "made" else data.scenes
    return chosen[int(rng.integers(len(chosen)))]


def drawn(data: Data, rng: np.random.Generator, recipe: Recipe) -> TrackSample:
    """Draw a view of a sample that shows a track: a few frames of a clip may show none."""
    while not len((sample := draw(pick(data, rng, recipe), NANO.semantics, rng, recipe)).label):
        pass
    return sample


def logits_of(network: MotionNetwork, sample: TrackSample) -> Tensor:
    """Return the network's logits (N,) for a sample; scenes have no semantics, which reads as zeros."""
    xy, visibility, confidence, depth, semantics = (
        torch.from_numpy(np.ascontiguousarray(array))
        for array in (sample.xy, sample.visibility, sample.confidence, sample.depth, sample.semantics)
    )
    visible = torch.from_numpy(np.ascontiguousarray(sample.visible))
    if not semantics.shape[1]:
        semantics = semantics.new_zeros(len(semantics), network.params.semantics)
    deviations = torch.from_numpy(against_camera(sample.xy, sample.visible)) if network.params.deviations else None
    channels = network.augment(xy, visible, visibility, confidence, depth, deviations)
    return network.classify(channels, visible, semantics)


def balanced_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Return cross-entropy with positives weighted by their rarity in the clip, as published, up to a limit.

    Labels of -1 do not count; 0 where no label is left.
    """
    known = label >= 0
    truth = label[known].to(logits.dtype)
    if not len(truth):
        return logits.sum() * 0
    positives = truth.sum()
    weight = ((len(truth) - positives) / positives.clamp(min=1)).clamp(1, WEIGHT_LIMIT)
    return functional.binary_cross_entropy_with_logits(logits[known], truth, 1 + (weight - 1) * truth)


def average_precision(score: Float, truth: Int) -> float:
    """Return the mean of precision at each positive, by falling score; NaN without positives."""
    ranked = truth[np.argsort(-score, kind="stable")] > 0
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean()) if ranked.any() else float("nan")


def evaluate(network: MotionNetwork, held_out: dict[str, list[TrackSample]]) -> dict[str, dict[str, float]]:
    """Return AP and IoU at probability 0.5 of the tracks' labels, by name: means over the name's samples."""
    network.eval()
    report = {}
    for name, samples in held_out.items():
        figures = [_figures(network, settled(sample)) for sample in samples]
        figures = [f for f in figures if not np.isnan(f[0])]
        if figures:
            ap, iou = np.mean(figures, axis=0)
            report[name] = {"ap": round(float(ap), 4), "iou": round(float(iou), 4), "samples": len(figures)}
    return report


def _figures(network: MotionNetwork, sample: TrackSample) -> tuple[float, float]:
    """Return AP and IoU of one sample."""
    known = sample.label >= 0
    with torch.no_grad():
        score = logits_of(network, sample).numpy()[known]
    truth, chosen = sample.label[known] > 0, score > 0
    iou = (truth & chosen).sum() / max(1, (truth | chosen).sum())
    return average_precision(score, sample.label[known]), float(iou)


def train(
    network: MotionNetwork, data: Data, arguments: argparse.Namespace, name: str, recipe: Recipe = WHOLE
) -> MotionNetwork:
    """Train ``network`` on ``data`` and return it with its averaged weights, which are OUT/NAME.safetensors."""

    def step(index: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng((1, index))
        network.train()
        losses, scores = [], []
        for _ in range(BATCH):
            sample = drawn(data, rng, recipe)
            logits = logits_of(network, sample)
            losses.append(balanced_loss(logits, torch.from_numpy(sample.label)))
            known = sample.label >= 0
            scores.append(average_precision(logits.detach().numpy()[known], sample.label[known]))
        found = [score for score in scores if not np.isnan(score)]
        return torch.stack(losses).mean(), {"ap": float(np.mean(found)) if found else 0.0}

    run(
        name,
        network,
        step,
        steps=arguments.steps,
        rate=RATE,
        out=arguments.out,
        minutes=arguments.minutes,
        ema=AVERAGED if recipe.averaged else 0.0,
        muon=recipe.muon,
    )
    load(network, read(arguments.out / f"{name}.safetensors"), name)
    return network


def _fold(text: str) -> tuple[int, int]:
    """Read K/N."""
    fold, _, folds = text.partition("/")
    if not (fold.isdigit() and folds.isdigit() and int(fold) < int(folds)):
        raise argparse.ArgumentTypeError(f"'{text}' is no fold such as 0/7")
    return int(fold), int(folds)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="python -m samotion.export.training.motion", description=__doc__)
    made.add_argument("-o", "--out", type=Path, required=True, help="folder for weights, curve and cache")
    made.add_argument("--scenes", type=int, default=1500, help="scenes to make (default: %(default)s)")
    made.add_argument("--davis", type=Path, help="folder of <clip>/frames and <clip>/masks")
    made.add_argument("--photos", type=Path, help="folder with JPEGs that counterfactual clips show as well")
    made.add_argument("--stamps", type=Path, help="folder of PNGs with alpha that lie over them as well")
    made.add_argument("--made", type=int, default=200, help="counterfactual clips (default: %(default)s)")
    made.add_argument("--engines", type=Path, help="bundle whose tracks to learn on (default: made of OUT's weights)")
    made.add_argument("--variants", type=int, default=6, help="cuts of each clip (default: %(default)s)")
    made.add_argument("--fold", type=_fold, help="K/N: hold out every N-th clip from the K-th on, and report on them")
    made.add_argument("--steps", type=int, default=4000, help="(default: %(default)s)")
    made.add_argument("--minutes", type=float, help="stop after this much training")
    made.add_argument("--threads", type=int, default=1, help="of PyTorch and engines (default: %(default)s)")
    return made


def main(argv: list[str] | None = None) -> int:
    """Make the data, train, evaluate on what was held out, and write OUT/NAME.json beside the weights."""
    arguments = parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    name = "motion" if arguments.fold is None else f"motion_fold{arguments.fold[0]}of{arguments.fold[1]}"
    data = gather(arguments)
    torch.manual_seed(0)
    report = evaluate(train(MotionNetwork(NANO), data, arguments, name), data.held_out)
    (arguments.out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    for held, figures in report.items():
        print(f"{held}: AP {figures['ap']:.3f}, IoU {figures['iou']:.3f}")
    return 0
