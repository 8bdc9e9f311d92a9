"""What all tracks say of an object on a frame, as SAM2's mask prompt: a few clicks leave most of them unheard."""

from dataclasses import replace

import numpy as np

from samotion.runtime.settings import Settings
from samotion.runtime.stages.motion import STILL, THRESHOLDS
from samotion.runtime.values import Float, MotionLabels, Prompt, TrackGroup, Tracks, Votes

REACH = 0.04  # of the frame's width and height: standard deviation of a vote's reach
DOUBT = 0.3  # votes that everywhere count for neither side, so that far from all tracks nothing is said
LOGIT = 10.0  # of a unanimous vote, as clicks enter the prompt (export.sam2.prompt.DISC_LOGIT)
# A track counts in full this far beyond the threshold that makes it moving, or still, and not at all on it: one that
# rounding takes across says next to nothing on either side.
SURE_MOVING, SURE_STILL = 0.2, 0.15


def sureness(labels: MotionLabels, settings: Settings) -> tuple[Float, Float]:
    """Return how much each dynamic and each still track counts by its probability of moving, 0 to 1."""
    threshold = THRESHOLDS[-1] if settings.dynamic_above is None else settings.dynamic_above
    moving = ((labels.probability[labels.dynamic] - threshold) / SURE_MOVING).clip(0, 1)
    still = ((STILL - labels.probability[labels.probability < STILL]) / SURE_STILL).clip(0, 1)
    return moving.astype(np.float32), still.astype(np.float32)


def with_votes(
    prompts: list[Prompt],
    group: TrackGroup,
    groups: list[TrackGroup],
    dynamic: Tracks,
    static: Tracks,
    sure: tuple[Float, Float] | None,
) -> list[Prompt]:
    """Return an object's prompts, each with the votes of its visible tracks and, against it, of all others.

    group: the object among ``groups``, of the dynamic tracks; those of no group do not vote. sure: how much each of
    the dynamic (N,) and static (M,) tracks counts, 0 to 1; None: all alike.
    """
    moving, still = (np.ones(len(t.xy), np.float32) for t in (dynamic, static)) if sure is None else sure
    others = np.any([other.tracks for other in groups], axis=0) & ~group.tracks
    side = group.tracks.astype(np.float32) - others
    return [
        replace(
            prompt,
            votes=Votes(
                np.concatenate([dynamic.xy[:, prompt.frame], static.xy[:, prompt.frame]]),
                np.concatenate([side * moving * _seen(dynamic, prompt.frame), -still * _seen(static, prompt.frame)]),
            ),
        )
        for prompt in prompts
    ]


def _seen(tracks: Tracks, frame: int) -> Float:
    """Return how surely each track (N,) is seen on ``frame``, 0 to 1: 0 on the border of being visible."""
    product = tracks.visibility[:, frame] * tracks.confidence[:, frame]
    return np.asarray(tracks.visible[:, frame] * (2 * product - 1).clip(0, 1), np.float32)


def mask_prompt(votes: Votes, size: tuple[int, int], side: int) -> Float:
    """Return votes on a frame of ``size`` (height, width) as mask logits (side, side)."""
    unit = np.asarray(votes.xy / np.array(size[::-1], np.float32), np.float32)
    return drawn(unit, votes.weight, side)


def drawn(unit: Float, weight: Float, side: int) -> Float:
    """Return votes as mask logits (side, side): the mean of those near a cell, weighted by their nearness.

    unit: (P, 2) places in parts of the frame's width and height. weight: (P,), −1 to 1.
    """
    cells = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side
    x, y = (np.exp(-0.5 * ((cells - unit[:, axis, None]) / REACH) ** 2, dtype=np.float32) for axis in (0, 1))
    down = y.T
    balance, heard = (down * weight) @ x, (down * np.abs(weight)) @ x
    return np.asarray(LOGIT * balance / (heard + DOUBT), np.float32)
