"""Objects that a new window did not find again: what is remembered of them, and following them through it."""

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np

from samotion.runtime.identity.match import Identified
from samotion.runtime.identity.point_support import cut_drift, group_of, hold
from samotion.runtime.progress import Progress
from samotion.runtime.sam2.memory_bank import Memory, MemoryBank
from samotion.runtime.sam2.predictor import Answer, MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.stages.masks import segment_objects
from samotion.runtime.stages.prompts import background_points, densest, spread
from samotion.runtime.values import Bool, Bytes, Float, Prompt, Tracks

# What stood still, or was hidden, for two windows (ten seconds of default windows at 24 frames a second) is no
# moving object any more; and what is followed without new clicks drifts.
MOST_WINDOWS = 2
SURE = 10.0  # a given mask enters as logits of ±10, and its presence is as sure (SAM2)
CANDIDATES = 200  # points of a mask among which its clicks are chosen
AROUND = 24  # pixels between the points among which background clicks are chosen
MARGIN = np.ones((13, 13), np.uint8)  # no background click within six pixels of the mask


@dataclass(frozen=True)
class Known:
    """An object of the window before.

    identity: its id. still: for how many windows only memory has followed it. memories: SAM2's of the last frames
    that show it, by frame counted from the window's end (-1 is the last one). tail: its masks on the last frames.
    """

    identity: int
    still: int
    memories: dict[int, Memory]
    tail: "Tail"


class Tail:
    """Masks (S, H, W) bool, kept in an eighth of the memory."""

    def __init__(self, masks: Bool) -> None:
        self._shape = masks.shape
        self._bits: Bytes = np.packbits(masks.reshape(len(masks), -1), axis=1)

    def last(self, count: int) -> Bool:
        """Return the last ``count`` masks (count, H, W)."""
        _, height, width = self._shape
        bits = np.unpackbits(self._bits[-count:], axis=1, count=height * width)
        return bits.reshape(count, height, width).astype(np.bool_)


def remember(seen: Identified, network: MaskPredictor, settings: Settings) -> list[Known]:
    """Return what the next window may need of the objects of this one; those that no frame shows are left out."""
    asked: dict[int, list[int]] = defaultdict(list)
    for k, own in enumerate(seen.masks):
        for frame in np.flatnonzero(own.any(axis=(1, 2)))[-network.limits.memory_frames :]:
            asked[int(frame)].append(k)
    memories: list[dict[int, Memory]] = [{} for _ in seen.masks]
    for frame, shown in sorted(asked.items()):
        for k, memory in zip(shown, _memories(frame, seen.masks[shown, frame], network, settings), strict=True):
            memories[k][frame - network.frames] = memory
    most = max(settings.overlap, (settings.window or 0) // 2)  # of what cut() may let two windows share
    return [
        Known(int(seen.identities[k]), int(seen.still[k]), own, Tail(seen.masks[k, -most:]))
        for k, own in enumerate(memories)
        if own
    ]


def follow(
    known: list[Known], tracks: Tracks, network: MaskPredictor, shared: int, settings: Settings, progress: Progress
) -> Identified:
    """Return known objects in the window of ``network``: stage 2 on the points that they hold, else memory alone.

    tracks: all of the window's. The first ``shared`` frames keep the masks that the objects have there; from where
    an object loses its points it has no masks (see point_support).
    """
    masks = np.zeros((len(known), network.frames, *network.size), np.bool_)
    tails = [item.tail.last(shared) for item in known]
    holds = [hold(tail, tracks) for tail in tails]
    groups = [group_of(own, tracks, shared, settings) for own in holds]
    pointed = [k for k, group in enumerate(groups) if group is not None]
    if pointed:
        others = tracks.select(~np.any([own.held | ~own.seen for own in holds], axis=0))
        chosen = [group for group in groups if group is not None]
        masks[pointed] = segment_objects(chosen, tracks, others, network, settings, progress).values
    unseen = [k for k in range(len(known)) if k not in pointed]
    if unseen:
        masks[unseen] = _by_memory([known[k] for k in unseen], network, shared, progress)
    for own, tail, held in zip(masks, tails, holds, strict=True):
        own[:shared] = tail
        cut_drift(own, tracks, held, shared)
    identities = np.array([item.identity for item in known], np.int64)
    return Identified(masks, identities, np.array([item.still + 1 for item in known], np.int64))


def _by_memory(known: list[Known], network: MaskPredictor, shared: int, progress: Progress) -> Bool:
    """Return masks (C, T, H, W), from frame ``shared`` on, of objects of which no point shows."""
    canvas = network.canvas(len(known))
    banks = [_bank(item, shared) for item in known]
    reach = max(network.limits.memory_frames, network.limits.pointers)
    with progress.stage("carrying", len(known) * (network.frames - shared)) as stage:
        for frame in range(shared, network.frames):
            answer = network.track(frame, banks, reverse=False)
            memories = network.remember(frame, answer, clicked=False)
            for k, (mask, memory) in enumerate(zip(network.arrays.filled(answer.mask), memories, strict=True)):
                canvas.draw(k, frame, mask)
                banks[k].tracked[frame] = memory
                banks[k].forget(frame, reach, frame)
            stage.advance(len(known))
    return canvas.masks()


def _bank(item: Known, shared: int) -> MemoryBank:
    """Return what is remembered of an object, by the frames of a window that shares ``shared`` frames."""
    frames = {frame + shared: memory for frame, memory in item.memories.items()}
    # As clicked count two of them: more would crowd out the recent frames in networks that read few.
    clicked = {frame: frames[frame] for frame in (min(frames), max(frames))}
    return MemoryBank(clicked, {frame: memory for frame, memory in frames.items() if frame not in clicked})


def _memories(frame: int, masks: Bool, network: MaskPredictor, settings: Settings) -> list[Memory]:
    """Return SAM2's memories of the masks (K, H, W) that objects have on ``frame``."""
    side = network.limits.size // 4
    logits = np.stack([_logits(mask, side) for mask in masks])
    answer = network.click([_clicks(frame, mask, settings) for mask in masks], previous=logits)
    sure = np.full(len(masks), SURE, np.float32)
    return network.remember(frame, Answer(logits, answer.iou, sure, answer.pointer), clicked=True)


def _logits(mask: Bool, side: int) -> Float:
    """Return a mask (H, W) as the logits (side, side) of an answer that draws it."""
    share = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray((2 * share - 1) * SURE, np.float32)


def _clicks(frame: int, mask: Bool, settings: Settings) -> Prompt:
    """Return clicks spread over ``mask`` (H, W) and over what is around it, as many as objects get otherwise."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    y, x = np.nonzero(inner if inner.any() else mask)
    every = max(1, len(x) // CANDIDATES)
    points = np.stack([x, y], axis=1)[::every].astype(np.float32)
    inside = points[spread(points, [densest(points)], settings.clicks)]
    y, x = np.mgrid[0 : mask.shape[0] : AROUND, 0 : mask.shape[1] : AROUND].reshape(2, -1)
    away = cv2.dilate(mask.astype(np.uint8), MARGIN)[y, x] == 0
    outside = background_points(np.stack([x, y], axis=1)[away].astype(np.float32), inside, settings.background_clicks)
    xy = np.concatenate([inside, outside]).astype(np.float32)
    return Prompt(frame, xy, np.arange(len(xy)) < len(inside))
