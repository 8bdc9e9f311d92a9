"""The points that an object held on the frames which two windows share, and what they say of it afterwards."""

from dataclasses import dataclass

import cv2
import numpy as np

from samotion.runtime.identity.match import SAME_IOU
from samotion.runtime.settings import Settings
from samotion.runtime.stages.prompts import in_mask, promptable
from samotion.runtime.values import Bool, Prompt, TrackGroup, Tracks

EDGE = np.ones((13, 13), np.uint8)  # a coarse mask is not to be trusted within six pixels of its outline
FEWEST_POINTS = 3  # that must be in a mask, or held by it, before they can speak against it


@dataclass(frozen=True)
class Hold:
    """Of N tracks (N,) bool each: seen, those that a shared frame shows; held, of them those that were mostly in
    the object; core, of them those never near its outline."""

    seen: Bool
    held: Bool
    core: Bool


def hold(masks: Bool, tracks: Tracks) -> Hold:
    """Return which tracks an object with ``masks`` (S, H, W) on the window's first S frames holds."""
    shown = tracks.visible[:, : len(masks)]
    inside, deep = np.zeros_like(shown), np.zeros_like(shown)
    for frame in np.flatnonzero(masks.any(axis=(1, 2))).tolist():
        points = tracks.xy[:, frame]
        inside[:, frame] = in_mask(points, masks[frame])
        deep[:, frame] = in_mask(points, np.asarray(cv2.erode(masks[frame].astype(np.uint8), EDGE), np.bool_))
    seen = np.asarray(shown.any(axis=1), np.bool_)
    held = 2 * (inside & shown).sum(axis=1) > shown.sum(axis=1)
    return Hold(seen, held, held & (deep | ~shown).all(axis=1))


def group_of(own: Hold, tracks: Tracks, first: int, settings: Settings) -> TrackGroup | None:
    """Return an object's core as a group to click on from frame ``first`` on, None where it never shows again."""
    shown = promptable(tracks, settings)[own.core]
    frames = np.flatnonzero(shown[:, first:].any(axis=0))
    if not len(frames):
        return None
    nothing = Prompt(first + int(frames[0]), np.zeros((0, 2), np.float32), np.zeros(0, np.bool_))
    return TrackGroup(nothing, own.core)


def cut_drift(masks: Bool, tracks: Tracks, own: Hold, first: int) -> None:
    """Empty a carried object's masks (T, H, W) from where they no longer hold its points, frame ``first`` or later.

    What is followed with few or no clicks slides off its object sooner or later, or grows beyond it; its points
    do not go along. It ends where the IoU of the points in it and of those that it held is below SAME_IOU. A frame
    with few points says nothing, nor does one without a mask: there it is hidden.
    """
    for frame in range(first, len(masks)):
        shown = own.seen & tracks.visible[:, frame]
        now, then = shown & in_mask(tracks.xy[:, frame], masks[frame]), shown & own.held
        either = np.count_nonzero(now | then)
        if now.any() and either >= FEWEST_POINTS and np.count_nonzero(now & then) < SAME_IOU * either:
            masks[frame:] = False
            return
