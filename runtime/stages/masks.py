"""Stage 2: prompt SAM2 with each object's tracks and carry the masks through the clip, all objects together."""

from dataclasses import dataclass, field, replace

import numpy as np

from samotion.runtime.ops.interface import Canvas
from samotion.runtime.ops.preprocess import batches
from samotion.runtime.progress import Progress, Stage
from samotion.runtime.sam2.memory_bank import Memory, MemoryBank
from samotion.runtime.sam2.predictor import Answer, MaskPredictor
from samotion.runtime.settings import Settings
from samotion.runtime.stages.prompts import corrective_points, promptable, prompts_for
from samotion.runtime.stages.votes import with_votes
from samotion.runtime.values import Bool, Float, ObjectMasks, Prompt, TrackGroup, Tracks

# Prompts that go through the mask decoder at once: beyond eight a prompt costs no less.
PROMPTS_A_BATCH = 8


@dataclass
class _Object:
    """One object on its way: its number, its tracks, its prompts by frame and its memory."""

    number: int
    points: Float
    shown: Bool
    prompts: dict[int, Prompt]
    bank: MemoryBank = field(default_factory=MemoryBank)

    @property
    def first(self) -> int:
        """First prompted frame, from which masks spread both ways."""
        return min(self.prompts)


def segment_objects(
    groups: list[TrackGroup],
    dynamic: Tracks,
    static: Tracks,
    network: MaskPredictor,
    settings: Settings,
    progress: Progress,
    sure: tuple[Float, Float] | None = None,
) -> ObjectMasks:
    """Return the masks of the objects that ``groups`` found among the ``dynamic`` tracks.

    static: tracks that do not move by themselves, for background clicks where the settings ask for them. sure: how
    much each dynamic and each static track counts where all are heard (see votes.with_votes).
    """
    canvas = network.canvas(len(groups))
    objects = [_object(number, groups, dynamic, static, settings, sure) for number in range(len(groups))]
    with progress.stage("masks", len(objects) * network.frames) as stage:
        if objects:
            _click(objects, network, canvas, settings, stage)
            _propagate(objects, network, canvas, stage)
        return ObjectMasks(canvas.masks())


def _object(
    number: int,
    groups: list[TrackGroup],
    dynamic: Tracks,
    static: Tracks,
    settings: Settings,
    sure: tuple[Float, Float] | None,
) -> _Object:
    """Return the object of one of the groups with its prompts."""
    group = groups[number]
    prompts = prompts_for(group, dynamic, static, settings)
    if settings.all_tracks:
        prompts = with_votes(prompts, group, groups, dynamic, static, sure)
    shown = promptable(dynamic, settings)[group.tracks]
    return _Object(number, dynamic.xy[group.tracks], shown, {prompt.frame: prompt for prompt in prompts})


def _click(objects: list[_Object], network: MaskPredictor, canvas: Canvas, settings: Settings, stage: Stage) -> None:
    """Answer every prompt, correct the answers that miss the object's points, and remember them."""
    asked = [(item, frame) for item in objects for frame in item.prompts]
    asked.sort(key=lambda pair: pair[1])  # so that neighbours share a frame's features

    def answered(part: slice) -> list[tuple[_Object, int, Memory]]:
        pairs = asked[part]
        answer = _filled(network.click([item.prompts[frame] for item, frame in pairs]), network)
        own = [answer.of(slice(k, k + 1)) for k in range(len(pairs))]
        if settings.clicks == 1:  # several clicks have spoken for the whole object already
            _correct(own, pairs, network)
        for (item, frame), one in zip(pairs, own, strict=True):
            canvas.draw(item.number, frame, one.mask[0])
        return [(item, frame, _unread(network, frame, one)) for (item, frame), one in zip(pairs, own, strict=True)]

    a_lane = max(1, -(-len(asked) // network.scheduler.lanes))
    for done in network.scheduler.spread(answered, batches(len(asked), min(PROMPTS_A_BATCH, a_lane))):
        for item, frame, memory in done:
            item.bank.clicked[frame] = memory
        stage.advance(len(done))


def _unread(network: MaskPredictor, frame: int, own: Answer) -> Memory:
    """Return the memory of one object's answer, to be encoded when it is read."""
    return Memory(lambda: network.remember(frame, own, clicked=True)[0].spatial, own.pointer[0])


def _correct(own: list[Answer], pairs: list[tuple[_Object, int]], network: MaskPredictor) -> None:
    """Ask again, and replace in ``own``, one answer a pair, where an object's mask misses too many of its points."""
    again: dict[int, Prompt] = {}
    for k, (item, frame) in enumerate(pairs):
        points = item.points[item.shown[:, frame], frame]
        further = corrective_points(points, network.at_frame_size(frame, own[k].mask[0]))
        if further is not None:
            again[k] = Prompt(frame, further, np.ones(len(further), np.bool_))
    if not again:
        return
    # As SAM2 refines: the clicks so far replaced by the new ones, on top of the first answer's logits.
    first = network.arrays.joined([own[k].mask for k in again])
    second = _filled(network.click(list(again.values()), previous=first), network)
    for row, k in enumerate(again):
        own[k] = second.of(slice(row, row + 1))


def _filled(answer: Answer, network: MaskPredictor) -> Answer:
    """Return ``answer`` with the small holes of its masks filled."""
    return replace(answer, mask=network.arrays.filled(answer.mask))


def _propagate(objects: list[_Object], network: MaskPredictor, canvas: Canvas, stage: Stage) -> None:
    """Track every object forward from its first prompt, then backward from there."""
    for frame in range(network.frames):
        _track([item for item in objects if item.first < frame], frame, False, network, canvas, stage)
    for frame in reversed(range(max(item.first for item in objects))):
        _track([item for item in objects if item.first > frame], frame, True, network, canvas, stage)


def _track(
    objects: list[_Object], frame: int, reverse: bool, network: MaskPredictor, canvas: Canvas, stage: Stage
) -> None:
    """Find those of ``objects`` that were not clicked on ``frame`` there, from their memories."""
    waiting = [item for item in objects if frame not in item.prompts]
    banks = [item.bank for item in waiting]
    shares, in_lanes = network.scheduler.shares(banks) if banks else ([], False)

    def tracked(part: slice) -> None:
        answer = network.track(frame, banks[part], reverse, in_lanes)
        memories = network.remember(frame, answer, clicked=False)
        for item, mask, memory in zip(waiting[part], network.arrays.filled(answer.mask), memories, strict=True):
            canvas.draw(item.number, frame, mask)
            item.bank.tracked[frame] = memory

    for _ in (network.scheduler.spread if in_lanes else map)(tracked, shares):
        pass
    reach = max(network.limits.memory_frames, network.limits.pointers)
    for item in objects:
        # The first frames after the first prompt are what backward tracking will look up.
        item.bank.forget(frame, reach, item.first)
    stage.advance(len(waiting))
