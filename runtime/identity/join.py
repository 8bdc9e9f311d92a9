"""The results of a clip's windows joined to one in memory."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from samotion.engines.errors import InputError
from samotion.runtime.machine import MEMORY_SHARE, machine_memory
from samotion.runtime.values import Clip, ClipResult, MotionLabels, ObjectMasks, Tracks, WindowResult


def joined(clip: Clip, windows: Iterable[WindowResult]) -> ClipResult:
    """Return ``windows``, which cover ``clip``, as one result, of which object k is identity k + 1.

    Tracks are hidden, at (0, 0), outside their own window. Raises InputError where the masks do not fit in memory.
    """
    # Without their frames, which would be a second copy of the clip.
    kept = [replace(window, clip=window.clip.part(slice(0)), depth=None) for window in windows]
    if len(kept) == 1:
        return ClipResult(clip, kept[0].tracks, kept[0].labels, kept[0].masks, kept[0].seconds)
    count = max((int(window.identities.max(initial=0)) for window in kept), default=0)
    need, have = count * len(clip.frames) * clip.size[0] * clip.size[1], machine_memory()
    if have is not None and need > MEMORY_SHARE * have:
        raise InputError(
            f"{clip.name}: {count} objects in {len(clip.frames)} frames need {need / 2**30:.1f} GiB of the "
            f"{have / 2**30:.1f} GiB here as one result; take them window by window from pipeline.stream"
        )
    masks = np.zeros((count, len(clip.frames), *clip.size), np.bool_)
    seconds: dict[str, float] = {}
    begin = 0
    for window in kept:
        end = begin + window.masks.values.shape[1]
        masks[window.identities - 1, begin:end] = window.masks.values
        begin = end
        for stage, spent in window.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    probability = np.concatenate([window.labels.probability for window in kept])
    labels = MotionLabels(probability, np.concatenate([window.labels.dynamic for window in kept]))
    return ClipResult(clip, joined_tracks(kept, len(clip.frames)), labels, ObjectMasks(masks), seconds)


def joined_tracks(windows: Sequence[WindowResult], frames: int) -> Tracks:
    """Return the tracks of every window, over all frames."""
    count = sum(len(window.tracks.xy) for window in windows)
    empty = np.zeros((3, count, frames), np.float32)
    every = Tracks(
        np.zeros((count, frames, 2), np.float32), empty[0] > 0, empty[1], empty[2], np.zeros(count, np.int64)
    )
    row = 0
    for window in windows:
        own = window.tracks
        n, t = own.visible.shape
        where = slice(row, row + n), slice(window.start, window.start + t)
        every.xy[where], every.visible[where] = own.xy, own.visible
        every.visibility[where], every.confidence[where] = own.visibility, own.confidence
        every.query_frame[row : row + n] = own.query_frame + window.start
        row += n
    return every
