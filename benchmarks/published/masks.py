"""The published system's stages 1 and 2: groups, then masks, object after object, on a SAM2 that forgets features."""

import numpy as np

from samotion.benchmarks.published.sam2 import OneFrameSam
from samotion.runtime.sam2.memory_bank import MemoryBank
from samotion.runtime.sam2.predictor import Answer
from samotion.runtime.settings import Settings
from samotion.runtime.stages.grouping import completed, group_tracks
from samotion.runtime.stages.prompts import background_points, corrective_points, promptable, prompts_for
from samotion.runtime.stages.votes import with_votes
from samotion.runtime.values import Bool, Float, ObjectMasks, Prompt, TrackGroup, Tracks


def group(moving: Tracks, static: Tracks, sam: OneFrameSam, settings: Settings) -> list[TrackGroup]:
    """Return the objects of stage 1: one click a round, its frame encoded for that round."""

    def ask(frame: int, click: Float) -> Bool:
        still = static.xy[static.visible[:, frame], frame]
        around = background_points(still, click[None], settings.background_clicks)
        xy = np.concatenate([click[None], around]).astype(np.float32)
        return sam.at_frame_size(frame, sam.click(Prompt(frame, xy, np.arange(len(xy)) < 1)))

    groups = group_tracks(moving.xy, promptable(moving, settings), ask)
    if settings.complete_within is None:
        return groups
    return completed(groups, moving.xy, moving.visible, settings.complete_within * float(np.hypot(*sam.size)))


def segment_objects(
    groups: list[TrackGroup],
    moving: Tracks,
    static: Tracks,
    sam: OneFrameSam,
    settings: Settings,
    sure: tuple[Float, Float] | None = None,
) -> ObjectMasks:
    """Return the masks of stage 2, each object clicked, remembered and carried both ways by itself.

    sure: see runtime.votes.with_votes.
    """
    masks = np.zeros((len(groups), sam.frames, *sam.size), np.bool_)
    for found, own in zip(groups, masks, strict=True):
        answers = _clicked(found, groups, moving, static, sam, settings, sure)
        # Memories of clicked frames are made when propagation begins (propagate_in_video_preflight), by when
        # the features of all clicked frames but one are gone.
        bank = MemoryBank({frame: sam.remember(frame, answers[frame], clicked=True) for frame in sorted(answers)})
        first = min(answers)
        _propagate(range(first, sam.frames), False, answers, bank, own, sam)
        if first > 0:
            _propagate(range(first, -1, -1), True, answers, bank, own, sam)
    return ObjectMasks(masks)


def _clicked(
    found: TrackGroup,
    groups: list[TrackGroup],
    moving: Tracks,
    static: Tracks,
    sam: OneFrameSam,
    settings: Settings,
    sure: tuple[Float, Float] | None,
) -> dict[int, Answer]:
    """Return the answers to an object's prompts by frame, corrected where the settings ask for it."""
    prompts = prompts_for(found, moving, static, settings)
    if settings.all_tracks:
        prompts = with_votes(prompts, found, groups, moving, static, sure)
    shown = promptable(moving, settings)[found.tracks]
    xy = moving.xy[found.tracks]
    answers = {}
    for prompt in prompts:
        frame = prompt.frame
        answer = sam.click(prompt)
        mask = sam.at_frame_size(frame, answer)
        further = corrective_points(xy[shown[:, frame], frame], mask) if settings.clicks == 1 else None
        if further is not None:
            answer = sam.click(Prompt(frame, further, np.ones(len(further), np.bool_)), answer.mask)
        answers[frame] = answer
    return answers


def _propagate(
    frames: range, reverse: bool, answers: dict[int, Answer], bank: MemoryBank, masks: Bool, sam: OneFrameSam
) -> None:
    """Carry one object over ``frames``, adding to its masks (T, H, W); clicked frames keep their answers."""
    for frame in frames:
        answer = answers.get(frame)
        if answer is None:
            answer = sam.track(frame, bank, reverse)
            bank.tracked[frame] = sam.remember(frame, answer, clicked=False)
        masks[frame] |= sam.at_frame_size(frame, answer)
