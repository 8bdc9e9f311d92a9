"""What the mask network is trained to lessen: its errors on clicked images, and on clips followed with memory."""

import torch
import torch.nn.functional as F
from torch import Tensor

from samotion.export.networks.sam2 import Sam2
from samotion.export.networks.sam2.mask_decoder import Candidates
from samotion.export.networks.sam2.reference_loop import Answer, Bank, Encoded
from samotion.export.training.masks.mask_batches import Batch
from samotion.export.training.masks.mask_clips import CLICKS

CROSS, DICE = 2.0, 1.0
LIKENESS, LIKENESS_GAIN = 1.5, 8.0
HORIZON = 32  # clips are long at run time: the pointers' times are scaled as there


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


def image_loss(model: Sam2, batch: Batch, correct: bool, likeness: bool = True) -> tuple[Tensor, dict[str, float]]:
    """Return the loss of clicks on single images, of their features' likeness, and of a correction click after."""
    encoded = _of(model.encode(batch.frames[:, 0]), batch.owner)
    truth, points, labels = batch.truth[:, 0], batch.points[0], batch.labels[0]
    found = ask(model, encoded, points, labels, batch.votes[0])
    loss, iou = loss_of(found, truth)
    if likeness:
        loss = loss + LIKENESS * torch.stack([likeness_loss(maps, truth) for maps in encoded]).mean()
    figures = _figures(found, iou, labels)
    if correct:
        before, _, _ = model.select(found, labels)
        before = before.detach()
        points, labels = _corrected(before, truth, points, labels)
        again, _ = loss_of(ask(model, encoded, points, labels, before[:, None]), truth)
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


def ask(model: Sam2, encoded: Encoded, points: Tensor, labels: Tensor, prompt: Tensor) -> Candidates:
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
            found = ask(model, now, batch.points[t], labels, batch.votes[t])
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
