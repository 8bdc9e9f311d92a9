"""The reference loop: how the four graphs follow objects through a clip, forwards or backwards.

The runtime does the same in NumPy. The rules, as published (sam2_video_predictor, Hydra overrides of
build_sam2_video_predictor), for one object; objects with other prompts go in the same batch, each row with its
own slots, padded with empty ones.

1. Clicked frame. mask_decoder on the frame's own features with memoryless = True, whatever other frames were
   clicked before. One real click (or none) lets the graph take the best of three masks.
   Its mask has its holes filled; the filled mask goes into memory_encoder with clicked = True. Its entry
   (memory, pointer) is kept with the *clicked* frames for good. The features given to memory_encoder are
   always the encoder's own, never the conditioned ones.
2. Correction clicks on the same frame before it was tracked: mask_decoder again with all clicks together (the
   first ones and the new ones, or only the new ones if the caller drops the old), mask_prompt = the earlier
   *filled* mask (the graph limits it to ±32) and has_mask_prompt = True, still memoryless. The answer replaces
   the frame's entry: mask, pointer and memory.
3. Tracked frame t: memory_attention on its features, then mask_decoder with memoryless = False, one point
   labelled -1 and no mask prompt; memory_encoder on the *unfilled* mask with clicked = False; the entry is kept
   with the *tracked* frames. Holes are filled only in what is shown to the user.
   Frames that were clicked are not tracked: their mask stays.
4. Memory slots of frame t going forwards: every clicked frame, past or future, with memory_time 0; then for
   n = memory_frames − 1 … 1 the tracked entry of frame t − n, with memory_time n, where there is one (frames
   before the start, and clicked ones, have none; an older pass's entries count too). Backwards it is t + n.
   With params.max_clicked (not in the published settings): only the last clicked frame before t, the first at
   or after t, then the nearest others up to that number; the rest count as tracked here and in rule 5.
5. Pointer slots of frame t going forwards: the clicked frames at or before t (backwards: at or after), with
   pointer_time t − c (backwards: c − t), never limited; then the tracked entries of frames t − n (backwards
   t + n) for n = 1 … max_pointers − 1 (no more than the clip's frames − 1), with pointer_time n.
   2.0 takes the same pointers without any encoding of time. pointer_horizon = min(frames, 16) − 1, at least 1.
6. Backwards after forwards: both passes share the entries, so the first frames of the backward pass still read
   what the forward pass left on the frames after the start. A pass starts at the earliest clicked frame going
   forwards, and goes from there to frame 0 going backwards.
7. Holes: 8-connected groups of at most 8 cells with logits ≤ 0 get the logit 0.1 (in the 4h × 4w mask).
   The published code leaves them where its CUDA kernel is missing; so do the parity cases.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from samotion.export.networks.sam2.sam2_graphs import (
    MaskDecoderGraph,
    MaskEncoderGraph,
    MemoryAttentionGraph,
    MemoryEncoderGraph,
)
from samotion.export.networks.sam2.sam2_model import EMPTY_TIME, Sam2
from samotion.export.networks.sam2.sam2_params import Sam2Params

Encoded = tuple[Tensor, Tensor, Tensor]


class Answer(NamedTuple):
    """One frame's result for K objects: mask (K, 4h, 4w), object_score (K,), pointer (K, C), memory (K, m, h, w)."""

    mask: Tensor
    object_score: Tensor
    pointer: Tensor
    memory: Tensor


class Slots(NamedTuple):
    """The inputs of memory_attention after the features."""

    memory: Tensor
    memory_time: Tensor
    pointers: Tensor
    pointer_time: Tensor
    pointer_horizon: Tensor


@dataclass
class Bank:
    """Entries of one pass or more over a clip of ``frames`` frames, by frame."""

    frames: int
    params: Sam2Params
    clicked: dict[int, Answer] = field(default_factory=dict)
    tracked: dict[int, Answer] = field(default_factory=dict)

    def slots(self, frame: int, reverse: bool = False) -> Slots:
        """Return what ``frame`` reads: rules 4 and 5."""
        ahead = 1 if reverse else -1
        near = self.nearest(frame)
        others = self.tracked | {at: entry for at, entry in self.clicked.items() if at not in near}
        maps = [(0, self.clicked[at]) for at in near]
        for back in range(self.params.memory_frames - 1, 0, -1):
            if (entry := others.get(frame + ahead * back)) is not None:
                maps.append((back, entry))
        signed = [(ahead * (at - frame), self.clicked[at]) for at in near]
        pointers = [(float(time), entry) for time, entry in signed if time >= 0]
        most = min(self.frames, self.params.max_pointers)
        for back in range(1, most):
            if (entry := others.get(frame + ahead * back)) is not None:
                pointers.append((float(back), entry))
        # A clicked frame's pointer from the other side is left out: an empty slot stands for "none at all".
        pointers = pointers or [(EMPTY_TIME, maps[0][1])]
        objects = len(maps[0][1].memory)
        return Slots(
            torch.stack([entry.memory for _, entry in maps], 1),
            torch.tensor([time for time, _ in maps]).repeat(objects, 1),
            torch.stack([entry.pointer for _, entry in pointers], 1),
            torch.tensor([time for time, _ in pointers]).repeat(objects, 1),
            torch.tensor(float(max(most - 1, 1))),
        )

    def nearest(self, frame: int) -> list[int]:
        """Return the clicked frames that ``frame`` reads as such, in the order of their clicks."""
        most, all_clicked = self.params.max_clicked, list(self.clicked)
        if most is None or len(all_clicked) <= most:
            return all_clicked
        before = max((at for at in all_clicked if at < frame), default=None)
        after = min((at for at in all_clicked if at >= frame), default=None)
        ranked = sorted(all_clicked, key=lambda at: (at not in (before, after), abs(at - frame)))
        return sorted(ranked[:most], key=all_clicked.index)


class Tracker:
    """Follows K objects with one batch; all of them are clicked on the same frames."""

    def __init__(self, model: Sam2, frames: int, fill: Callable[[Tensor], Tensor] = lambda mask: mask) -> None:
        self.decoder = MaskDecoderGraph(model)
        self.memory_encoder = MemoryEncoderGraph(model)
        self.memory_attention = MemoryAttentionGraph(model)
        self.bank = Bank(frames, model.params)
        self.fill = fill

    def click(self, frame: int, encoded: Encoded, points: Tensor, labels: Tensor) -> Answer:
        """Answer clicks (K, P, 2), labels (K, P): rule 1, or rule 2 if the frame has been clicked before."""
        high_0, high_1, features = encoded
        objects, side = len(points), 4 * features.shape[-1]
        before = self.bank.clicked.get(frame)
        prompt = torch.zeros(objects, 1, side, side) if before is None else before.mask[:, None]
        given = torch.full((objects,), before is not None)
        memoryless = torch.ones(objects, dtype=torch.bool)
        mask, _, score, pointer = self.decoder(features, high_0, high_1, points, labels, prompt, given, memoryless)
        mask = self.fill(mask)
        memory = self.memory_encoder(features, mask, memoryless, score)
        self.bank.clicked[frame] = Answer(mask, score, pointer, memory)
        self.bank.tracked.pop(frame, None)
        return self.bank.clicked[frame]

    def step(self, frame: int, encoded: Encoded, reverse: bool = False) -> Answer:
        """Follow to ``frame``: rule 3."""
        if frame in self.bank.clicked:
            return self.bank.clicked[frame]
        high_0, high_1, features = encoded
        slots = self.bank.slots(frame, reverse)
        objects, side = len(slots.memory), 4 * features.shape[-1]
        no = torch.zeros(objects, dtype=torch.bool)
        mask, _, score, pointer = self.decoder(
            self.memory_attention(features, *slots),
            high_0,
            high_1,
            torch.zeros(objects, 1, 2),
            torch.full((objects, 1), -1),
            torch.zeros(objects, 1, side, side),
            no,
            no,
        )
        memory = self.memory_encoder(features, mask, no, score)
        self.bank.tracked[frame] = Answer(mask, score, pointer, memory)
        return self.bank.tracked[frame]


def track(
    model: Sam2, images: Tensor, clicked: int, points: Tensor, labels: Tensor, order: Iterable[int]
) -> dict[int, Answer]:
    """Click K objects on one frame of images (T, 3, S, S) and follow them through the frames of ``order``.

    points (K, P, 2), labels (K, P). An order that falls is a backward pass.
    """
    encoder = MaskEncoderGraph(model)
    encoded = {clicked: encoder(images[clicked : clicked + 1])}
    tracker = Tracker(model, len(images))
    answers = {clicked: tracker.click(clicked, encoded[clicked], points, labels)}
    for frame in order:
        now = encoder(images[frame : frame + 1])
        answers[frame] = tracker.step(frame, now, reverse=frame < clicked)
    return answers
