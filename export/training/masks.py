"""Train the nano SAM2 from scratch: clicks on images first, then short clips with memory.

`python -m samotion.export.training.masks --data DAVIS_TRAIN -o RUNS --minutes 60`
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samotion.calibration.sources import Sources
from samotion.export.sam2 import NANO, Sam2
from samotion.export.sam2.decoder import Candidates
from samotion.export.sam2.tracking import Answer, Bank, Encoded, Tracker
from samotion.export.training import mask_clips
from samotion.export.training.loop import run
from samotion.export.training.mask_batches import Batch, Supply
from samotion.export.training.mask_clips import CLICKS
from samotion.export.training.photographs import HELD_OUT, Photographs, load
from samotion.export.training.stamps import Stamps
from samotion.export.training.tracked_clicks import Tracked, tracked_clicks
from samotion.export.weights import load as load_weights
from samotion.export.weights import read
from samotion.runtime.preprocess import normalised, resized
from samotion.runtime.values import Bool

NAME = "masks"
IMAGE_NAME = "masks-image"
IMAGE_PART = 0.564  # of the training time
IMAGES, CLIPS, CLIP_FRAMES = 6, 2, 4
CROSS, DICE = 2.0, 1.0
LIKENESS, LIKENESS_GAIN = 1.5, 8.0
HORIZON = 32  # clips are long at run time: the pointers' times are scaled as there
CORRECTED, CLICKED_AGAIN = 0.35, 0.25  # how often


def loss_of(found: Candidates, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of K answers against truth (K, S/2, S/2), and each answer's IoU (K, 4).

    The one mask and the best of the three are both held to the truth, so that neither lags where the other
    is chosen; absent objects only count for the object score. Cross entropy weighted towards the smaller side
    stands where the published recipe has a focal loss: from scratch that one soon says "nothing" everywhere.
    """
    there = truth.flatten(1).sum(1) > 0
    logits = F.interpolate(found.masks, size=truth.shape[1:], mode="bilinear", align_corners=False).flatten(2)
    wanted = truth.flatten(1)[:, None].expand_as(logits)
    p = logits.sigmoid()
    cross = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    share = wanted.mean(2, keepdim=True).clamp(0.01, 0.99)
    weight = torch.where(wanted > 0, (0.5 / share).sqrt(), (0.5 / (1 - share)).sqrt())
    dice = 1 - (2 * (p * wanted).sum(2) + 1) / (p.sum(2) + wanted.sum(2) + 1)
    each = CROSS * (weight * cross).mean(2) + DICE * dice
    with torch.no_grad():
        inside = (logits > 0).float()
        both = (inside * wanted).sum(2)
        iou = both / (inside.sum(2) + wanted.sum(2) - both).clamp(min=1)
    row = each[:, 0] + each[:, 1:].amin(1) + (found.iou - iou).abs().mean(1)
    presence = F.binary_cross_entropy_with_logits(found.object_score, there.float())
    return (row * there).sum() / there.sum().clamp(min=1) + presence, iou


def likeness_loss(maps: Tensor, truth: Tensor) -> Tensor:
    """Return how badly cells of feature maps (K, C, h, w) tell objects (K, H, W) from the rest of their frame.

    A cell is compared with the mean feature inside and outside. The decoder alone teaches the trunk too
    indirectly: for a thousand steps it only draws blobs around the clicks.
    """
    inside = F.adaptive_avg_pool2d(truth[:, None], (maps.shape[2], maps.shape[3]))
    unit = F.normalize(maps, dim=1)
    means = [F.normalize((unit * part).sum((2, 3), keepdim=True), dim=1) for part in (inside, 1 - inside)]
    nearer = ((unit * means[0]).sum(1) - (unit * means[1]).sum(1)) * LIKENESS_GAIN
    share = inside.mean((1, 2, 3)).clamp(0.01, 0.99)[:, None, None]
    weight = inside[:, 0] * (0.5 / share).sqrt() + (1 - inside[:, 0]) * (0.5 / (1 - share)).sqrt()
    loss: Tensor = F.binary_cross_entropy_with_logits(nearer, inside[:, 0], weight)
    return loss


@torch.no_grad()
def prepare(model: Sam2) -> None:
    """Raise the gain of fresh weights where the masks are made: as drawn, their logits hardly leave zero."""
    decoder = model.sam_mask_decoder
    for name, weight in decoder.named_parameters():
        if "hypernetworks" in name and weight.ndim > 1:
            weight.mul_(3.4 if name.endswith("layers.2.weight") else 1.7)
    for name, gain in (("output_upscaling.0", 2.0), ("output_upscaling.3", 3.0), ("conv_s0", 0.5), ("conv_s1", 0.5)):
        decoder.get_parameter(f"{name}.weight").mul_(gain)


def image_loss(model: Sam2, batch: Batch, correct: bool) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of clicks on single images, and of a correction click that follows."""
    encoded = _of(model.encode(batch.frames[:, 0]), batch.owner)
    truth, points, labels = batch.truth[:, 0], batch.points[0], batch.labels[0]
    found = _ask(model, encoded, points, labels, batch.votes[0])
    loss, iou = loss_of(found, truth)
    loss = loss + LIKENESS * torch.stack([likeness_loss(maps, truth) for maps in encoded]).mean()
    figures = _figures(found, iou, labels)
    if correct:
        before, _, _ = model.select(found, labels)
        before = before.detach()
        points, labels = _corrected(before, truth, points, labels)
        again, _ = loss_of(_ask(model, encoded, points, labels, before[:, None]), truth)
        loss = (loss + again) / 2
    return loss, figures


def _figures(found: Candidates, iou: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the mean IoU of what would be answered to one click, and to several."""
    with torch.no_grad():
        single = (labels >= 0).sum(1) <= 1
        best = iou.gather(1, found.iou[:, 1:].argmax(1, keepdim=True) + 1)[:, 0]
        figures = {"one_click": best[single], "clicks": iou[~single, 0]}
        return {name: float(values.mean()) if len(values) else 0.5 for name, values in figures.items()}


def _of(encoded: Encoded, owner: Tensor) -> Encoded:
    """Return each object's own frame."""
    high_0, high_1, features = (x[owner] for x in encoded)
    return high_0, high_1, features


def _ask(model: Sam2, encoded: Encoded, points: Tensor, labels: Tensor, prompt: Tensor) -> Candidates:
    """Decode clicks with a mask prompt (K, 1, S/4, S/4), votes or an earlier answer, without memory."""
    high_0, high_1, features = encoded
    always = torch.ones(len(points), dtype=torch.bool)
    return model.decode(features, high_0, high_1, points, labels, prompt, always, always)


def _corrected(mask: Tensor, truth: Tensor, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Add one click where the mask is wrong, in the first padding place (or the last place)."""
    coarse = F.interpolate(mask[:, None], size=truth.shape[1:], mode="bilinear", align_corners=False)[:, 0] > 0
    wrong = (coarse != (truth > 0)).flatten(1).float() + 1e-6
    cell = torch.multinomial(wrong, 1)[:, 0]
    side = truth.shape[-1]
    at = 2 * torch.stack([cell % side, cell // side], 1).float() + 0.5
    slot = (labels >= 0).sum(1).clamp(max=CLICKS - 1)
    rows = torch.arange(len(points))
    points, labels = points.clone(), labels.clone()
    points[rows, slot], labels[rows, slot] = at, truth.flatten(1)[rows, cell].long()
    return points, labels


def clip_loss(model: Sam2, batch: Batch, again: int | None) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of clips clicked on frame 0 (and on frame ``again``) and followed with memory."""
    length = batch.frames.shape[1]
    encoded = model.encode(batch.frames.flatten(0, 1))
    bank, losses, figures = Bank(HORIZON, model.params), [], {"tracked": 0.5}
    k = len(batch.owner)
    blank = torch.zeros(k, dtype=torch.bool)
    for t in range(length):
        now = _of(encoded, batch.owner * length + t)
        clicked = t in (0, again)
        if clicked:
            labels = batch.labels[t]
            found = _ask(model, now, batch.points[t], labels, batch.votes[t])
        else:
            high_0, high_1, features = now
            labels = torch.full((k, 1), -1)
            conditioned = model.condition(features, *bank.slots(t))
            prompt = torch.zeros(k, 1, *high_0.shape[2:])
            found = model.decode(conditioned, high_0, high_1, torch.zeros(k, 1, 2), labels, prompt, blank, blank)
        loss, iou = loss_of(found, batch.truth[:, t])
        losses.append(loss)
        mask, _, pointer = model.select(found, labels)
        if not clicked:
            figures["tracked"] = float(iou[batch.there(t)].amax(1).mean()) if batch.there(t).any() else 0.5
        memory = model.remember(now[2], mask.detach(), blank | clicked, found.object_score.detach())
        (bank.clicked if clicked else bank.tracked)[t] = Answer(mask, found.object_score, pointer, memory)
    return torch.stack(losses).mean(), figures


def step_of(model: Sam2, supply: Supply, index: int, clips: bool) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of step ``index``: images, or images and clips by turns."""
    if clips and index % 2:
        batch, rng = supply.batch(index, CLIPS, CLIP_FRAMES)
        again = CLIP_FRAMES // 2 if rng.random() < CLICKED_AGAIN else None
        return clip_loss(model, batch, again)
    batch, rng = supply.batch(index, IMAGES, 1)
    return image_loss(model, batch, bool(rng.random() < CORRECTED))


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
    mask, _, _ = model.select(_ask(model, encoded, points, labels, votes[None]), labels)
    return mask


def _iou(logits: Tensor, truth: Bool) -> float:
    """Return the IoU of one mask of logits (1, 4h, 4w), enlarged, with truth (S, S)."""
    large = F.interpolate(logits[None], size=truth.shape, mode="bilinear", align_corners=False)[0, 0].numpy() > 0
    union = int((large | truth).sum())
    return float((large & truth).sum() / union) if union else 1.0


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
    train, held = load(given.data, every=2)
    if given.all or not held.frames:
        train = held = Photographs(train.frames + held.frames, train.masks + held.masks)
    torch.manual_seed(0)
    model = Sam2(NANO)
    prepare(model)
    if given.evaluate is None:
        sources = Sources.load(given.data)
        without = () if given.all else HELD_OUT
        kept = tuple(clip for clip in sources.clips if clip[0][0].parent.parent.name not in without)
        stamps = None if given.stamps is None else Stamps.load(given.stamps)
        supply = Supply(train, stamps, Sources(kept), NANO.image_size)
        for name, part, rate, clips in ((IMAGE_NAME, IMAGE_PART, 2e-3, False), (NAME, 1 - IMAGE_PART, 1.2e-3, True)):
            run(
                name,
                model,
                lambda index, clips=clips: step_of(model, supply, index, clips),  # type: ignore[misc]
                steps=max(1, round(given.steps * part)),
                rate=rate,
                out=given.out,
                minutes=None if given.minutes is None else given.minutes * part,
                ema=0.995,
                muon=True,
            )
            weights = given.out / f"{name}.safetensors"
            load_weights(model, read(weights), str(weights))
    weights = given.evaluate or given.out / f"{NAME}.safetensors"
    load_weights(model, read(weights), str(weights))
    figures = evaluate(model, held)
    if given.out:
        (given.out / f"{NAME}.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
