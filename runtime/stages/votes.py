"""Votes: what every track says of an object on a frame. A few clicks leave most tracks unheard."""

from dataclasses import replace

import numpy as np

from samotion.runtime.settings import Settings
from samotion.runtime.stages.motion import STILL, thresholds
from samotion.runtime.values import Float, MotionLabels, Prompt, TrackGroup, Tracks, Votes

# A track counts in full this far beyond the threshold that makes it moving, or still, and not at all on it: one that
# rounding takes across says next to nothing on either side.
SURE_MOVING, SURE_STILL = 0.2, 0.15


def sureness(labels: MotionLabels, settings: Settings) -> tuple[Float, Float]:
    """Return how much each dynamic and each still track counts by its probability of moving, 0 to 1."""
    moving = ((labels.probability[labels.dynamic] - thresholds(settings)[-1]) / SURE_MOVING).clip(0, 1)
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
